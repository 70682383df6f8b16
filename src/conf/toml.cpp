/* SPDX-License-Identifier: PostgreSQL */
#include "conf/toml.h"

#include <cctype>
#include <cstdio>
#include <cstring>
#include <deque>
#include <new>
#include <string>

/* Debian's pkg-config file asks for the shared library, whose errors are exceptions. */
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY           1
#define TOML_EXCEPTIONS            0
#define TOML_ENABLE_FORMATTERS     0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_MAX_NESTED_VALUES     16
#include <toml++/toml.h>

/* toml++ walks its tables by recursion, so a key of a million dots would use up the stack. */
static constexpr int max_dots_in_a_key = 128;

struct toml_tree {
    std::deque<toml_node>   nodes; /* a deque never moves what is in it */
    std::deque<std::string> texts;
};

namespace
{

/* A NUL would end the name early and make it look like another one. */
std::string_view name_of(const toml::key &key, std::string &storage)
{
    storage = key.str();
    for (size_t at; (at = storage.find('\0')) != std::string::npos;)
        storage.replace(at, 1, "\\0");
    return storage;
}

const char *keep_text(toml_tree &tree, std::string_view text)
{
    return tree.texts.emplace_back(text).c_str();
}

toml_node *convert(toml_tree &tree, const toml::node &node);

void convert_table(toml_tree &tree, const toml::table &table, toml_node &out)
{
    const toml_node **end = &out.first;
    std::string       storage;

    for (auto &&[key, value] : table) {
        toml_node *child = convert(tree, value);

        child->key = keep_text(tree, name_of(key, storage));
        *end = child;
        end = &child->next;
    }
}

void convert_array(toml_tree &tree, const toml::array &array, toml_node &out)
{
    const toml_node **end = &out.first;

    for (auto &&value : array) {
        toml_node *child = convert(tree, value);

        *end = child;
        end = &child->next;
    }
}

toml_type type_of(const toml::node &node)
{
    switch (node.type()) {
    case toml::node_type::table: return TOML_TABLE;
    case toml::node_type::array: return TOML_ARRAY;
    case toml::node_type::string: return TOML_STRING;
    case toml::node_type::integer: return TOML_INTEGER;
    case toml::node_type::floating_point: return TOML_FLOAT;
    case toml::node_type::boolean: return TOML_BOOLEAN;
    default: return TOML_DATE;
    }
}

toml_node *convert(toml_tree &tree, const toml::node &node)
{
    toml_node &out = tree.nodes.emplace_back();

    out.type = type_of(node);
    out.line = static_cast<int>(node.source().begin.line);
    if (auto *table = node.as_table())
        convert_table(tree, *table, out);
    else if (auto *array = node.as_array())
        convert_array(tree, *array, out);
    else if (auto *text = node.as_string()) {
        out.text = keep_text(tree, text->get());
        out.text_len = text->get().size();
    } else if (auto *integer = node.as_integer())
        out.integer = integer->get();
    else if (auto *boolean = node.as_boolean())
        out.boolean = boolean->get();
    return &out;
}

void set_error(toml_error *error, int line, std::string_view text)
{
    error->line = line;
    snprintf(error->text, sizeof error->text, "%.*s", static_cast<int>(text.size()),
             text.data());
    error->text[0] = static_cast<char>(tolower(static_cast<unsigned char>(error->text[0])));
}

/* The line of a key with too many dots, or 0. */
int line_of_endless_key(std::string_view text)
{
    int line = 1, dots = 0;

    for (char c : text) {
        if (c == '.')
            dots++;
        else if (strchr(" \t\"'-_", c) == nullptr && !isalnum(static_cast<unsigned char>(c)))
            dots = 0;
        if (dots > max_dots_in_a_key)
            return line;
        if (c == '\n')
            line++;
    }
    return 0;
}

toml_tree *parse(std::string_view text, toml_error *error)
{
    if (int line = line_of_endless_key(text); line != 0) {
        set_error(error, line, "too many dots in a key");
        return nullptr;
    }
    toml::parse_result result = toml::parse(text);
    if (!result) {
        const toml::parse_error &why = result.error();

        set_error(error, static_cast<int>(why.source().begin.line), why.description());
        return nullptr;
    }

    auto tree = std::make_unique<toml_tree>();
    convert(*tree, result.table());
    return tree.release();
}

} // namespace

extern "C" struct toml_tree *toml_parse(const char *text, size_t len, struct toml_error *error)
{
    try {
        return parse(std::string_view(text, len), error);
    } catch (const std::bad_alloc &) {
        set_error(error, 0, "out of memory");
    } catch (...) {
        set_error(error, 0, "the TOML reader failed");
    }
    return nullptr;
}

extern "C" void toml_free(struct toml_tree *tree)
{
    delete tree;
}

extern "C" const struct toml_node *toml_root(const struct toml_tree *tree)
{
    return &tree->nodes.front();
}

extern "C" const struct toml_node *toml_child(const struct toml_node *table, const char *key)
{
    for (const toml_node *child = table->first; child != nullptr; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return nullptr;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "conf/toml.h"

#include "harness/check.h"

#include <stdlib.h>

#define SAMPLE                                                                                 \
    "# a comment\n"                                                                            \
    "workers = 4\n"                                                                            \
    "ratio = 0.5\n"                                                                            \
    "[[proxy]]\n"                                                                              \
    "name = \"or\\u0000ders\"\n"                                                               \
    "  [proxy.listener]\n"                                                                     \
    "  bind_address = [\"a\",\n"                                                               \
    "    \"b\"]\n"                                                                             \
    "  mtls = true\n"                                                                          \
    "[[proxy]]\n"                                                                              \
    "since = 2024-01-01\n"

static struct toml_tree *parse(const char *text, struct toml_error *error)
{
    return toml_parse(text, strlen(text), error);
}

static void a_file_becomes_a_tree_with_lines(void **state)
{
    struct toml_error       error = { 0 };
    struct toml_tree       *tree = parse(SAMPLE, &error);
    const struct toml_node *root, *proxy, *list;

    assert_non_null(tree);
    root = toml_root(tree);
    assert_int_equal(root->type, TOML_TABLE);
    assert_int_equal(toml_child(root, "workers")->integer, 4);
    assert_int_equal(toml_child(root, "workers")->line, 2);
    assert_int_equal(toml_child(root, "ratio")->type, TOML_FLOAT);
    assert_null(toml_child(root, "name"));

    proxy = toml_child(root, "proxy")->first;
    assert_int_equal(proxy->line, 4);
    assert_int_equal(toml_child(proxy, "name")->text_len, 7);
    list = toml_child(toml_child(proxy, "listener"), "bind_address");
    assert_int_equal(list->type, TOML_ARRAY);
    assert_string_equal(list->first->text, "a");
    assert_string_equal(list->first->next->text, "b");
    assert_int_equal(list->first->next->line, 8);
    assert_null(list->first->next->next);
    assert_true(toml_child(toml_child(proxy, "listener"), "mtls")->boolean);

    assert_int_equal(proxy->next->line, 10);
    assert_int_equal(toml_child(proxy->next, "since")->type, TOML_DATE);
    assert_null(proxy->next->next);
    toml_free(tree);
}

static void an_empty_file_is_an_empty_table(void **state)
{
    struct toml_error error = { 0 };
    struct toml_tree *tree = parse("", &error);

    assert_non_null(tree);
    assert_int_equal(toml_root(tree)->type, TOML_TABLE);
    assert_null(toml_root(tree)->first);
    toml_free(tree);
}

static void what_is_not_toml_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text;
        int         line;
    } rows[] = {
        { "a = 1\nb =\n", 2 },        { "a = 1\na = 2\n", 2 }, { "[x]\n\n[x]\n", 3 },
        { "a = \"no end\nb = 1", 1 }, { "\xff = 1", 1 },       { "a = 1 b = 2", 1 },
        { "[[a]]\n[a]\n", 2 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct toml_error error = { 0 };

        assert_null(parse(rows[i].text, &error));
        assert_int_equal(error.line, rows[i].line);
        assert_true(strlen(error.text) > 5);
    }
}

static void what_people_slip_on_is_told_with_what_to_do(void **state)
{
    static const struct {
        const char *text, *advice;
    } rows[] = {
        { "a = caf\xe9", "; save the file as UTF-8" },
        { "a = \"C:\\certs\"", "; write \\\\ for a backslash, or the text in single quotes" },
        { "a = server.crt", "; write text in quotes" },
        { "[x]\n[x]", "; write it once: another route begins with [[proxy]]" },
        { "a = 1\na = 2", "; write it once" },
        { "a = \n", "" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct toml_error error = { 0 };
        size_t            len;

        assert_null(parse(rows[i].text, &error));
        len = strlen(error.text);
        assert_true(len > strlen(rows[i].advice));
        assert_string_equal(error.text + len - strlen(rows[i].advice), rows[i].advice);
    }
}

static void a_file_cut_anywhere_is_a_tree_or_an_error(void **state)
{
    for (size_t cut = 0; cut < sizeof SAMPLE - 1; cut++) {
        struct toml_error error = { 0 };
        char             *text = malloc(cut + 1);
        struct toml_tree *tree;

        assert_non_null(text);
        memcpy(text, SAMPLE, cut);
        tree = toml_parse(text, cut, &error);
        assert_true((tree == NULL) == (error.text[0] != '\0'));
        toml_free(tree);
        free(text);
    }
}

static void a_nul_in_a_name_does_not_make_it_another_name(void **state)
{
    struct toml_error error = { 0 };
    struct toml_tree *tree = parse("\"workers\\u0000x\" = 4\n", &error);

    assert_non_null(tree);
    assert_null(toml_child(toml_root(tree), "workers"));
    toml_free(tree);
}

/* toml++ up to 3.4 meets an assertion of its own there. */
static void a_bracket_before_no_name_is_told_with_its_line(void **state)
{
    static const char *const texts[] = { "a = 1\n\n[)b]\nc = 2\n", "\n\n[\x01", "\n\n[=]\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct toml_error error = { 0 };

        assert_null(parse(texts[i], &error));
        assert_int_equal(error.line, 3);
    }
}

/* Up to toml++ 3.4 some of them led to code that "cannot be reached". */
static void characters_outside_ascii_are_no_space(void **state)
{
    static const char *const texts[] = { "\n\xef\xb9\xbf a = 1\n", "\n\xc3\xa9 = 1\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct toml_error error = { 0 };

        assert_null(parse(texts[i], &error));
        assert_int_equal(error.line, 2);
    }
}

static void nesting_without_end_is_refused(void **state)
{
    struct toml_error error = { 0 };
    static char       text[300000];

    memset(text, '[', 2000);
    memcpy(text, "a = ", 4);
    assert_null(parse(text, &error));

    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "a.", 2);
    memcpy(text, "\n\n", 2);
    memcpy(text + sizeof text - 8, "a = 1\n\0", 8);
    assert_null(parse(text, &error));
    assert_int_equal(error.line, 3);
    assert_string_equal(error.text, "too many dots in a key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_a_tree_with_lines),
        cmocka_unit_test(an_empty_file_is_an_empty_table),
        cmocka_unit_test(what_is_not_toml_is_told_with_its_line),
        cmocka_unit_test(what_people_slip_on_is_told_with_what_to_do),
        cmocka_unit_test(a_file_cut_anywhere_is_a_tree_or_an_error),
        cmocka_unit_test(a_nul_in_a_name_does_not_make_it_another_name),
        cmocka_unit_test(a_bracket_before_no_name_is_told_with_its_line),
        cmocka_unit_test(characters_outside_ascii_are_no_space),
        cmocka_unit_test(nesting_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

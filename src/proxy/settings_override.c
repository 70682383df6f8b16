/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_override.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_KEYS   4
#define MOST_ROUTES 64 /* whose names a mistyped one is compared with */

#define SHAPES                                                                                 \
    "write log_level=debug, defaults.limits.max_connections=5, or "                            \
    "proxy.NAME.listener.sslmode=require with the name of a route"

/* The equals sign behind PATH, which may have others in quotes; or the end. */
static const char *end_of_path(const char *set)
{
    char quote = '\0';

    for (; *set != '\0' && (quote != '\0' || *set != '='); set++) {
        if (quote == *set)
            quote = '\0';
        else if (quote == '\0' && (*set == '"' || *set == '\''))
            quote = *set;
    }
    return set;
}

void settings_override_name(char out[static OVERRIDE_NAME], const char *set)
{
    char path[OVERRIDE_NAME - 8];

    text_escape(path, sizeof path, bytes_of(set, (size_t)(end_of_path(set) - set)));
    snprintf(out, OVERRIDE_NAME, "--set %s", path);
}

static void complain(const char *set, struct conf_problems *problems, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(const char *set, struct conf_problems *problems, const char *format, ...)
{
    char        name[OVERRIDE_NAME], text[400];
    const char *before;
    va_list     args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    settings_override_name(name, set);
    before = conf_problems_in(problems, name);
    conf_problem_add(problems, false, 0, "%s", text);
    conf_problems_in(problems, before);
}

/* ---- PATH ---- */

static bool has_control_character(const char *text)
{
    while (*text != '\0' && (unsigned char)*text >= 0x20 && *text != 0x7f)
        text++;
    return *text != '\0';
}

/* The tree of "KEY = TEXT", or NULL. */
static struct toml_tree *parse_pair(struct bytes key, const char *text)
{
    struct buf        pair = BUF_LIMIT((size_t)64 * 1024);
    struct toml_error error;
    struct toml_tree *tree = NULL;

    buf_put(&pair, key);
    buf_put(&pair, BYTES(" = "));
    buf_put(&pair, bytes_of_string(text));
    if (buf_ok(&pair))
        tree = toml_parse((const char *)buf_bytes(&pair).p, buf_bytes(&pair).len, &error);
    buf_fini(&pair);
    return tree;
}

/* The names from the root down to the value; 0 where they are not one chain. */
static size_t list_keys(const struct toml_node *node, const char *keys[MOST_KEYS])
{
    size_t count = 0;

    while (node->type == TOML_TABLE) {
        node = node->first;
        if (node == NULL || node->next != NULL || count == MOST_KEYS)
            return 0;
        keys[count++] = node->key;
    }
    return count;
}

static enum settings_section section_named(const char *word)
{
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++)
        if (strcmp(settings_section_names[s], word) == 0)
            return s;
    return SECTION_PROXY;
}

static bool is_word(const char *key, const char *const *words)
{
    while (*words != NULL && strcmp(*words, key) != 0)
        words++;
    return *words != NULL;
}

/* What a path of that many names leads to. */
static void find_target(struct settings_override *o, const char *const *keys, size_t count)
{
    static const char *const sections[] = { "proxy",   "defaults", "listener",
                                            "backend", "limits",   NULL };
    bool                     is_route = count >= 3 && strcmp(keys[0], "proxy") == 0;
    bool                     is_default = count == 3 && strcmp(keys[0], "defaults") == 0;

    if (count == 0 || is_word(keys[count - 1], sections))
        return;
    o->key = keys[count - 1];
    o->route = is_route ? keys[1] : NULL;
    o->section = count == 4   ? section_named(keys[2])
                 : is_default ? section_named(keys[1])
                              : SECTION_PROXY;
    if (count == 1)
        o->target = OVERRIDE_TOP;
    else if (is_default && o->section != SECTION_PROXY)
        o->target = OVERRIDE_DEFAULTS;
    else if (is_route && (count == 3) == (o->section == SECTION_PROXY))
        o->target = OVERRIDE_ROUTE;
}

static void read_path(struct settings_override *o, struct conf_problems *problems)
{
    const char *keys[MOST_KEYS] = { NULL };
    const char *end = end_of_path(o->set);
    size_t      count = 0;

    if (*end == '\0' || has_control_character(o->set)) {
        complain(o->set, problems, "is not PATH=VALUE; " SHAPES);
        return;
    }
    o->path = parse_pair(bytes_of(o->set, (size_t)(end - o->set)), "0");
    if (o->path != NULL)
        count = list_keys(toml_root(o->path), keys);
    find_target(o, keys, count);
    if (o->target == OVERRIDE_NOTHING)
        complain(o->set, problems, "names no setting; " SHAPES);
    else if (o->target == OVERRIDE_ROUTE && strcmp(o->key, "name") == 0) {
        complain(o->set, problems, "a name cannot be set, it is how a route is found");
        o->target = OVERRIDE_NOTHING;
    }
}

struct settings_override *settings_overrides_new(const struct settings_source *source,
                                                 struct conf_problems         *problems)
{
    struct settings_override *overrides = calloc(source->set_count + 1, sizeof *overrides);

    for (size_t i = 0; overrides != NULL && i < source->set_count; i++) {
        overrides[i].set = source->sets[i];
        overrides[i].line = -1 - (int)i;
        read_path(&overrides[i], problems);
    }
    return overrides;
}

void settings_overrides_free(struct settings_override *overrides, size_t count)
{
    for (size_t i = 0; overrides != NULL && i < count; i++)
        toml_free(overrides[i].path);
    free(overrides);
}

/* ---- VALUE ---- */

static const struct conf_table *table_of(const struct settings_override *o)
{
    return o->target == OVERRIDE_TOP ? settings_top_table()
                                     : settings_section_table(o->section);
}

/* Whether VALUE stands for itself, or is TOML: in quotes, in brackets, or of another type. */
static bool is_bare_text(const struct option *row, const char *value)
{
    if (row->type == OPTION_SWITCH || row->type == OPTION_NUMBER)
        return false;
    return *value != '"' && *value != '\'' && !(option_is_list(row->type) && *value == '[');
}

static void bind_node(const struct settings_override *o, const struct conf_scope *scope,
                      struct toml_node node, void *target, int *lines)
{
    const struct toml_node section = { .type = TOML_TABLE, .first = &node };

    node.key = o->key;
    node.line = 0;
    node.next = NULL;
    conf_bind(table_of(o), &section, scope, target, lines);
}

static void bind_value(const struct settings_override *o, const struct conf_scope *scope,
                       const struct option *row, void *target, int *lines)
{
    const char            *value = end_of_path(o->set) + 1;
    const struct toml_node bare = { .type = TOML_STRING,
                                    .text = value,
                                    .text_len = strlen(value) };
    struct toml_tree      *tree =
        row != NULL && is_bare_text(row, value) ? NULL : parse_pair(BYTES("v"), value);

    if (tree != NULL)
        bind_node(o, scope, *toml_root(tree)->first, target, lines);
    else if (row == NULL || is_bare_text(row, value) || *value == '[')
        bind_node(o, scope, bare, target, lines);
    else
        conf_problem_add(scope->problems, false, 0, "\"%s\" is not a value of TOML", value);
    toml_free(tree);
}

void settings_override_apply(struct settings_override *o, const struct conf_scope *scope,
                             void *target, int *lines)
{
    const struct conf_table *table = table_of(o);
    int                      row = conf_row(table, o->key);
    struct conf_scope        own = *scope;
    char                     name[OVERRIDE_NAME];
    const char              *before;

    o->is_used = true;
    own.names_nothing = true;
    settings_override_name(name, o->set);
    before = conf_problems_in(own.problems, name);
    bind_value(o, &own, row >= 0 ? conf_option(table, (size_t)row) : NULL, target, lines);
    conf_problems_in(own.problems, before);
    if (row >= 0)
        lines[row] = o->line;
}

void settings_overrides_check_used(const struct settings_override *overrides, size_t count,
                                   const struct proxy_settings *settings,
                                   struct conf_problems        *problems)
{
    const char *names[MOST_ROUTES + 1] = { NULL };
    size_t      known = 0;

    for (size_t i = 0; i < settings->route_count && known < MOST_ROUTES; i++)
        if (settings->routes[i].name != NULL)
            names[known++] = settings->routes[i].name;
    for (size_t i = 0; i < count; i++) {
        const struct settings_override *o = &overrides[i];
        const char                     *near;

        if (o->is_used || o->target != OVERRIDE_ROUTE)
            continue;
        near = text_nearest(o->route, names);
        complain(o->set, problems, "there is no route \"%s\"%s%s%s", o->route,
                 near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                 near != NULL ? "\"?" : "");
    }
}

/* SPDX-License-Identifier: PostgreSQL */
/* Reading a configuration: the main file, what it includes, defaults, --set. */
#include "conf/file.h"
#include "proxy/settings_check.h"
#include "proxy/settings_files.h"
#include "proxy/settings_override.h"
#include "proxy/settings_table.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGEST_FILE ((size_t)16 * 1024 * 1024)
#define WHERE_TEXT   100

/* One configuration on its way. */
struct loading {
    struct proxy_settings        *settings;
    const struct settings_source *source;
    const struct toml_node       *defaults; /* or NULL */
    bool                          has_bad_default;
    struct conf_problems         *problems;
    const char                   *main_file;
    const char                   *main_folder;
    struct settings_override     *overrides; /* as many as the source has */
};

static void say_out_of_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, false, 0, "out of memory");
}

static struct conf_scope scope_of(const struct loading *loading, const char *folder,
                                  const char *where)
{
    return (struct conf_scope){ .problems = loading->problems,
                                .folder = folder,
                                .where = where,
                                .tables = settings_tables() };
}

/* ---- --set ---- */

static void apply_to_top(const struct loading *loading, int *lines)
{
    struct conf_scope scope = scope_of(loading, loading->main_folder, "");

    for (size_t i = 0; i < loading->source->set_count; i++)
        if (loading->overrides[i].target == OVERRIDE_TOP)
            settings_override_apply(&loading->overrides[i], &scope, loading->settings, lines);
}

/* On top of [defaults.*] in `target`. */
static void apply_to_defaults(const struct loading *loading, struct conf_problems *problems,
                              enum settings_section section, void *target, int *lines)
{
    struct conf_scope scope = scope_of(loading, loading->main_folder, "");

    scope.problems = problems;
    for (size_t i = 0; i < loading->source->set_count; i++)
        if (loading->overrides[i].target == OVERRIDE_DEFAULTS &&
            loading->overrides[i].section == section)
            settings_override_apply(&loading->overrides[i], &scope, target, lines);
}

static void apply_to_route(const struct loading *loading, struct route_settings *route)
{
    struct conf_scope scope = scope_of(loading, loading->main_folder, "");

    for (size_t i = 0; i < loading->source->set_count; i++) {
        struct settings_override *o = &loading->overrides[i];

        if (o->target == OVERRIDE_ROUTE && strcmp(o->route, route->name) == 0)
            settings_override_apply(o, &scope, settings_section_of(route, o->section),
                                    route->lines[o->section].rows);
    }
}

/* ---- one route ---- */

static bool is_usable_name(const struct toml_node *name)
{
    if (name == NULL || name->type != TOML_STRING || name->text_len == 0 || name->text_len > 64)
        return false;
    for (size_t i = 0; i < name->text_len; i++)
        if ((unsigned char)name->text[i] < 0x20)
            return false;
    return true;
}

/* Problems need the name before it is bound. */
static void name_for_problems(char out[static WHERE_TEXT], const struct toml_node *node,
                              size_t at)
{
    const struct toml_node *name = toml_child(node, "name");

    if (is_usable_name(name))
        snprintf(out, WHERE_TEXT, "route \"%s\": ", name->text);
    else
        snprintf(out, WHERE_TEXT, "route \"proxy[%zu]\": ", at);
}

/* What is wrong with a default was told once, when they were all looked at. */
static void bind_defaults(const struct loading *loading, struct route_settings *route,
                          enum settings_section section)
{
    struct conf_problems    quiet = { .file = "" };
    struct conf_scope       scope = scope_of(loading, loading->main_folder, "");
    const struct toml_node *node =
        loading->defaults != NULL
            ? toml_child(loading->defaults, settings_section_names[section])
            : NULL;

    scope.problems = &quiet;
    if (node != NULL && node->type == TOML_TABLE)
        conf_bind(settings_section_table(section), node, &scope,
                  settings_section_of(route, section), route->lines[section].defaults);
    apply_to_defaults(loading, &quiet, section, settings_section_of(route, section),
                      route->lines[section].defaults);
    if (quiet.error_count > 0 && !loading->has_bad_default)
        say_out_of_memory(loading->problems);
    conf_problems_fini(&quiet);
}

static void bind_section(struct route_settings *route, enum settings_section section,
                         const struct toml_node *parent, const struct conf_scope *scope)
{
    const struct conf_table *table = settings_section_table(section);
    const struct toml_node  *node = toml_child(parent, settings_section_names[section]);
    struct section_lines    *lines = &route->lines[section];

    if (node != NULL && node->type != TOML_TABLE) {
        conf_problem_add(scope->problems, false, node->line,
                         "%s%s: is not a section; write %s and its settings below",
                         scope->where, settings_section_names[section], table->header);
        lines->header = -1; /* said once is enough */
        return;
    }
    lines->header = node == NULL ? 0 : node->line;
    conf_bind(table, node, scope, settings_section_of(route, section), lines->rows);
}

/* A required setting may come from the route, the defaults, or --set. */
static void require_settings(struct route_settings *route, enum settings_section section,
                             const struct conf_scope *scope)
{
    const struct section_lines *lines = &route->lines[section];
    int                         either[OPTION_LIMIT];

    if (lines->header < 0)
        return;
    for (size_t i = 0; i < OPTION_LIMIT; i++)
        either[i] = lines->rows[i] != 0 ? lines->rows[i] : lines->defaults[i];
    conf_require(settings_section_table(section),
                 lines->header != 0 ? lines->header : route->line, scope, either);
}

static void name_by_place(struct route_settings *route, size_t at,
                          struct conf_problems *problems)
{
    char name[32];

    if (route->name != NULL)
        return;
    snprintf(name, sizeof name, "proxy[%zu]", at);
    if ((route->name = strdup(name)) == NULL)
        say_out_of_memory(problems);
}

static void load_route(const struct loading *loading, struct route_settings *route, size_t at,
                       const struct toml_node *node, const char *folder)
{
    char              where[WHERE_TEXT];
    struct conf_scope scope = scope_of(loading, folder, where);

    name_for_problems(where, node, at);
    route->line = route->lines[SECTION_PROXY].header = node->line;
    route->main_file = loading->settings->file;
    route->file = strdup(loading->problems->file);
    route->sets = loading->source->sets;
    for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
        conf_preset(settings_section_table(s), settings_section_of(route, s));
    conf_bind(settings_section_table(SECTION_PROXY), node, &scope, route,
              route->lines[SECTION_PROXY].rows);
    name_by_place(route, at, scope.problems);
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++) {
        bind_defaults(loading, route, s);
        bind_section(route, s, node, &scope);
    }
    if (route->name == NULL)
        return;
    apply_to_route(loading, route);
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++)
        require_settings(route, s, &scope);
    settings_check_route(route, scope.problems);
}

/* ---- files ---- */

static size_t count_of(const struct toml_node *array)
{
    size_t count = 0;

    for (const struct toml_node *item = array->first; item != NULL; item = item->next)
        count++;
    return count;
}

/* The routes of one file are added behind those that are there. */
static void load_routes(const struct loading *loading, const struct toml_node *array,
                        const char *folder)
{
    struct proxy_settings *settings = loading->settings;
    size_t                 count = settings->route_count + count_of(array);
    struct route_settings *routes = realloc(settings->routes, count * sizeof *routes);

    if (routes == NULL) {
        say_out_of_memory(loading->problems);
        return;
    }
    settings->routes = routes;
    for (const struct toml_node *node = array->first; node != NULL; node = node->next)
        if (node->type == TOML_TABLE) {
            struct route_settings *route = &routes[settings->route_count];

            *route = (struct route_settings){ 0 };
            load_route(loading, route, settings->route_count++, node, folder);
        } else
            conf_problem_add(loading->problems, false, node->line,
                             "proxy: is not a list of routes; write [[proxy]]");
}

static void load_proxy_array(const struct loading *loading, const struct toml_node *array,
                             const char *folder)
{
    bool is_array = array->type == TOML_ARRAY && array->first != NULL;

    if (is_array && array->first->type == TOML_TABLE)
        load_routes(loading, array, folder);
    else
        conf_problem_add(loading->problems, false, array->line,
                         "proxy: is not a list of routes; write [[proxy]]");
}

/* A tree of a file, or NULL after a problem. */
static struct toml_tree *parse(struct bytes text, struct conf_problems *problems)
{
    struct toml_error error = { 0 };
    struct toml_tree *tree = toml_parse((const char *)text.p, text.len, &error);

    if (tree == NULL)
        conf_problem_add(problems, false, error.line, "not TOML: %s", error.text);
    return tree;
}

static void complain_of_file(const char *file, struct failure *why,
                             struct conf_problems *problems)
{
    conf_file_explain_denied(file, why);
    conf_problem_add(problems, false, 0, "cannot be read: %s%s%s", why->text,
                     why->hint[0] != '\0' ? "; " : "", why->hint);
}

static struct toml_tree *read_and_parse(const char *file, struct conf_problems *problems)
{
    struct buf        text = BUF_LIMIT(LARGEST_FILE);
    struct failure    why = { 0 };
    struct toml_tree *tree = NULL;

    if (conf_file_read(file, &text, &why) == FAIL_NONE)
        tree = parse(buf_bytes(&text), problems);
    else
        complain_of_file(file, &why, problems);
    buf_fini(&text);
    return tree;
}

/* An included file has routes and nothing else. */
static void load_included(const struct loading *loading, const char *file)
{
    const char       *before = conf_problems_in(loading->problems, file);
    struct toml_tree *tree = read_and_parse(file, loading->problems);
    char             *folder = conf_file_folder(file);

    if (tree != NULL && folder == NULL)
        say_out_of_memory(loading->problems);
    else if (tree != NULL)
        for (const struct toml_node *n = toml_root(tree)->first; n != NULL; n = n->next) {
            if (strcmp(n->key, "proxy") == 0)
                load_proxy_array(loading, n, folder);
            else
                conf_problem_add(loading->problems, false, n->line,
                                 "%s: an included file has only [[proxy]]; write it into %s",
                                 n->key, loading->main_file);
        }
    free(folder);
    toml_free(tree);
    conf_problems_in(loading->problems, before);
}

/* The folder of the file is no pattern, whatever characters it has. */
static char *absolute_pattern(const char *folder, const char *pattern)
{
    size_t length = strlen(folder);
    char  *escaped = malloc(2 * length + 1), *absolute, *to = escaped;

    if (escaped == NULL)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (strchr("*?[]\\", folder[i]) != NULL)
            *to++ = '\\';
        *to++ = folder[i];
    }
    *to = '\0';
    absolute = conf_file_absolute(escaped, pattern);
    free(escaped);
    return absolute;
}

/* A folder that is not there has no files; one that cannot be read may have some. */
static int on_glob_error(const char *path, int error)
{
    return error != ENOENT && error != ENOTDIR;
}

static void complain_of_include(const struct loading *loading, const char *pattern,
                                const char *what)
{
    settings_top_problem(loading->problems, false, loading->settings, "include", "\"%s\" %s",
                         pattern, what);
}

static void load_pattern(const struct loading *loading, const char *pattern)
{
    char  *absolute = absolute_pattern(loading->main_folder, pattern);
    glob_t found = { 0 };
    int    rc = absolute != NULL ? glob(absolute, 0, on_glob_error, &found) : GLOB_NOSPACE;

    /* a folder without routes is one that may get some; a file that is named must be there */
    if (rc == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL)
        complain_of_include(loading, pattern, "is not there");
    else if (rc == GLOB_ABORTED)
        complain_of_include(loading, pattern, "is in a folder that cannot be read");
    else if (rc != 0 && rc != GLOB_NOMATCH)
        say_out_of_memory(loading->problems);
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
        load_included(loading, found.gl_pathv[i]);
    globfree(&found);
    free(absolute);
}

static void prove_section(const struct loading *loading, const struct toml_node *node,
                          struct route_settings *scratch)
{
    struct conf_scope     scope = scope_of(loading, loading->main_folder, "defaults.");
    enum settings_section s = SECTION_LISTENER;

    while (s < SECTION_COUNT && strcmp(settings_section_names[s], node->key) != 0)
        s++;
    if (s == SECTION_COUNT || node->type != TOML_TABLE)
        conf_problem_add(loading->problems, false, node->line,
                         "defaults.%s: unknown section; write [defaults.listener], "
                         "[defaults.backend] or [defaults.limits]",
                         node->key);
    else
        conf_bind(settings_section_table(s), node, &scope, settings_section_of(scratch, s),
                  scratch->lines[s].rows);
}

/* Each default is looked at once, whether there is a route or not. */
static void prove_defaults(struct loading *loading)
{
    struct route_settings scratch = { 0 };
    size_t                errors = loading->problems->error_count;

    if (loading->defaults != NULL && loading->defaults->type != TOML_TABLE) {
        conf_problem_add(loading->problems, false, loading->defaults->line,
                         "defaults: is not a section; write [defaults.listener], "
                         "[defaults.backend] or [defaults.limits]");
        loading->defaults = NULL;
    }
    if (loading->defaults != NULL)
        for (const struct toml_node *n = loading->defaults->first; n != NULL; n = n->next)
            prove_section(loading, n, &scratch);
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++) {
        apply_to_defaults(loading, loading->problems, s, settings_section_of(&scratch, s),
                          scratch.lines[s].rows);
        conf_unbind(settings_section_table(s), settings_section_of(&scratch, s));
    }
    loading->has_bad_default = loading->problems->error_count > errors;
}

static void check_log_level(const struct loading *loading)
{
    struct proxy_settings *settings = loading->settings;
    struct log_levels      levels;
    struct failure         why = { 0 };

    if (settings->log_level == NULL && (settings->log_level = strdup("info")) == NULL)
        say_out_of_memory(loading->problems);
    else if (log_levels_parse(&levels, settings->log_level, &why) != FAIL_NONE)
        settings_top_problem(loading->problems, false, settings, "log_level", "%s; %s",
                             why.text, why.hint);
}

static void load_tree(struct loading *loading, const struct toml_node *root)
{
    struct proxy_settings  *settings = loading->settings;
    const struct toml_node *array = toml_child(root, "proxy");
    struct conf_scope       scope = scope_of(loading, loading->main_folder, "");

    loading->defaults = toml_child(root, "defaults");
    conf_preset(settings_top_table(), settings);
    settings->sets = loading->source->sets;
    conf_bind(settings_top_table(), root, &scope, settings, settings->lines);
    apply_to_top(loading, settings->lines);
    check_log_level(loading);
    prove_defaults(loading);
    if (array != NULL)
        load_proxy_array(loading, array, loading->main_folder);
    for (size_t i = 0; i < settings->include.count; i++)
        load_pattern(loading, settings->include.items[i]);
    if (array == NULL && settings->route_count == 0)
        conf_problem_add(loading->problems, false, 0,
                         "proxy: missing; a file needs at least one [[proxy]]");
    settings_overrides_check_used(loading->overrides, loading->source->set_count, settings,
                                  loading->problems);
    settings_check_routes(settings, loading->problems);
}

static struct proxy_settings *new_settings(const char *file)
{
    struct proxy_settings *settings = calloc(1, sizeof *settings);

    if (settings == NULL || (settings->file = strdup(file)) == NULL) {
        free(settings);
        return NULL;
    }
    return settings;
}

/* What can be told of the file, errors or not. */
static struct proxy_settings *load_what_is_there(const struct settings_source *source,
                                                 const struct toml_tree       *tree,
                                                 struct conf_problems         *problems)
{
    struct proxy_settings *settings = new_settings(source->file);
    char                  *folder = conf_file_folder(source->file);
    struct loading         loading = {
                .settings = settings,
                .source = source,
                .problems = problems,
                .main_file = source->file,
                .main_folder = folder,
                .overrides = settings_overrides_new(source, problems),
    };

    if (folder == NULL || settings == NULL || loading.overrides == NULL)
        say_out_of_memory(problems);
    else
        load_tree(&loading, toml_root(tree));
    settings_overrides_free(loading.overrides, source->set_count);
    free(folder);
    return settings;
}

/* Settings with errors are not handed out. */
static struct proxy_settings *only_good(struct proxy_settings      *settings,
                                        const struct conf_problems *problems)
{
    if (problems->error_count == 0)
        return settings;
    settings_free(settings);
    return NULL;
}

struct proxy_settings *settings_load_text(const char *file, struct bytes text,
                                          struct conf_problems *problems)
{
    const struct settings_source source = { .file = file };
    struct proxy_settings       *settings = NULL;
    struct toml_tree            *tree;

    problems->file = file;
    tree = parse(text, problems);
    if (tree != NULL)
        settings = load_what_is_there(&source, tree, problems);
    toml_free(tree);
    return only_good(settings, problems);
}

struct proxy_settings *settings_load(const struct settings_source *source,
                                     struct conf_problems         *problems)
{
    struct proxy_settings *settings = NULL;
    struct toml_tree      *tree;

    problems->file = source->file;
    tree = read_and_parse(source->file, problems);
    if (tree != NULL)
        settings = load_what_is_there(source, tree, problems);
    toml_free(tree);
    if (settings != NULL && problems->error_count > 0)
        settings_prove_files(settings, problems);
    return only_good(settings, problems);
}

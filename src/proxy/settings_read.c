/* SPDX-License-Identifier: PostgreSQL */
/* Reading a configuration: the main file, what it includes, defaults, --set. */
#include "conf/file.h"
#include "proxy/settings_check.h"
#include "proxy/settings_files.h"
#include "proxy/settings_loading.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

static void apply_to_top(const struct loading *loading, int *lines)
{
    struct conf_scope scope = loading_scope(loading, loading->main_folder, "");

    for (size_t i = 0; i < loading->source->set_count; i++)
        if (loading->overrides[i].target == OVERRIDE_TOP)
            settings_override_apply(&loading->overrides[i], &scope, loading->settings, lines);
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
        loading_out_of_memory(loading->problems);
        return;
    }
    settings->routes = routes;
    for (const struct toml_node *node = array->first; node != NULL; node = node->next)
        if (node->type == TOML_TABLE) {
            struct route_settings *route = &routes[settings->route_count];

            *route = (struct route_settings){ 0 };
            settings_load_route(loading, route, settings->route_count++, node, folder);
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
    struct buf        text = BUF_LIMIT(SETTINGS_LARGEST_FILE);
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
        loading_out_of_memory(loading->problems);
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
        loading_out_of_memory(loading->problems);
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
        load_included(loading, found.gl_pathv[i]);
    globfree(&found);
    free(absolute);
}

static void check_log_level(const struct loading *loading)
{
    struct proxy_settings *settings = loading->settings;
    struct log_levels      levels;
    struct failure         why = { 0 };

    if (settings->log_level == NULL && (settings->log_level = strdup("info")) == NULL)
        loading_out_of_memory(loading->problems);
    else if (log_levels_parse(&levels, settings->log_level, &why) != FAIL_NONE)
        settings_top_problem(loading->problems, false, settings, "log_level", "%s; %s",
                             why.text, why.hint);
}

static void load_tree(struct loading *loading, const struct toml_node *root)
{
    struct proxy_settings  *settings = loading->settings;
    const struct toml_node *array = toml_child(root, "proxy");
    struct conf_scope       scope = loading_scope(loading, loading->main_folder, "");

    loading->defaults = toml_child(root, "defaults");
    conf_preset(settings_top_table(), settings);
    settings->sets = loading->source->sets;
    conf_bind(settings_top_table(), root, &scope, settings, settings->lines);
    apply_to_top(loading, settings->lines);
    check_log_level(loading);
    settings_prove_defaults(loading);
    if (array != NULL)
        load_proxy_array(loading, array, loading->main_folder);
    for (size_t i = 0; loading->opens_files && i < settings->include.count; i++)
        load_pattern(loading, settings->include.items[i]);
    if (array == NULL && settings->route_count == 0 &&
        (loading->opens_files || settings->include.count == 0))
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
    atomic_init(&settings->holders, 1);
    return settings;
}

/* What can be told of the file, errors or not. */
static struct proxy_settings *load_what_is_there(const struct settings_source *source,
                                                 const struct toml_tree *tree, bool opens_files,
                                                 struct conf_problems *problems)
{
    struct proxy_settings *settings = new_settings(source->file);
    char                  *folder = conf_file_folder(source->text != NULL ? "" : source->file);
    struct loading         loading = {
                .settings = settings,
                .source = source,
                .problems = problems,
                .main_file = source->file,
                .main_folder = folder,
                .opens_files = opens_files,
                .overrides = settings_overrides_new(source, problems),
    };

    if (folder == NULL || settings == NULL || loading.overrides == NULL)
        loading_out_of_memory(problems);
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
        settings = load_what_is_there(&source, tree, false, problems);
    toml_free(tree);
    return only_good(settings, problems);
}

struct proxy_settings *settings_load(const struct settings_source *source,
                                     struct conf_problems         *problems)
{
    struct proxy_settings *settings = NULL;
    struct toml_tree      *tree;

    problems->file = source->file;
    tree = source->text != NULL ? parse(buf_bytes(source->text), problems)
                                : read_and_parse(source->file, problems);
    if (tree != NULL)
        settings = load_what_is_there(source, tree, true, problems);
    toml_free(tree);
    if (settings != NULL && problems->error_count > 0)
        settings_prove_files(settings, problems);
    return only_good(settings, problems);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings.h"

#include "conf/file.h"
#include "proxy/settings_check.h"
#include "proxy/settings_files.h"
#include "proxy/settings_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGEST_FILE ((size_t)16 * 1024 * 1024)
#define WHERE_TEXT   100

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_LISTENER] = "listener",
    [SECTION_BACKEND] = "backend",
    [SECTION_LIMITS] = "limits",
};

static void say_out_of_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, false, 0, "out of memory");
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

static void bind_section(struct route_settings *route, enum settings_section section,
                         const struct toml_node *parent, const struct conf_scope *scope)
{
    const struct conf_table *table = settings_section_table(section);
    const struct toml_node  *node = toml_child(parent, section_names[section]);
    struct section_lines    *lines = &route->lines[section];

    if (node != NULL && node->type != TOML_TABLE) {
        conf_problem_add(scope->problems, false, node->line,
                         "%s%s: is not a section; write %s and its settings below",
                         scope->where, section_names[section], table->header);
        return;
    }
    lines->header = node == NULL ? 0 : node->line;
    conf_bind(table, node, scope, settings_section_of(route, section), lines->rows);
    conf_require(table, node == NULL ? route->line : node->line, scope, lines->rows);
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

static void load_route(struct route_settings *route, size_t at, const struct toml_node *node,
                       const struct conf_scope *file_scope)
{
    char              where[WHERE_TEXT];
    struct conf_scope scope = *file_scope;

    name_for_problems(where, node, at);
    scope.where = where;
    route->line = route->lines[SECTION_PROXY].header = node->line;
    for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
        conf_preset(settings_section_table(s), settings_section_of(route, s));
    conf_bind(settings_section_table(SECTION_PROXY), node, &scope, route,
              route->lines[SECTION_PROXY].rows);
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++)
        bind_section(route, s, node, &scope);
    name_by_place(route, at, scope.problems);
    if (route->name != NULL)
        settings_check_route(route, scope.problems);
}

/* ---- the file ---- */

static size_t count_of(const struct toml_node *array)
{
    size_t count = 0;

    for (const struct toml_node *item = array->first; item != NULL; item = item->next)
        count++;
    return count;
}

/* The array of all [[proxy]], or NULL after a problem. */
static const struct toml_node *find_routes(const struct toml_node *root,
                                           struct conf_problems   *problems)
{
    const struct toml_node *array = toml_child(root, "proxy");
    bool is_array = array != NULL && array->type == TOML_ARRAY && array->first != NULL;

    if (array == NULL)
        conf_problem_add(problems, false, 0,
                         "proxy: missing; a file needs at least one [[proxy]]");
    else if (!is_array || array->first->type != TOML_TABLE)
        conf_problem_add(problems, false, array->line,
                         "proxy: is not a list of routes; write [[proxy]]");
    else
        return array;
    return NULL;
}

static void load_routes(struct proxy_settings *settings, const struct toml_node *array,
                        const struct conf_scope *scope)
{
    size_t count = count_of(array);

    settings->routes = calloc(count, sizeof *settings->routes);
    if (settings->routes == NULL) {
        say_out_of_memory(scope->problems);
        return;
    }
    for (const struct toml_node *node = array->first; node != NULL; node = node->next)
        if (node->type == TOML_TABLE) {
            load_route(&settings->routes[settings->route_count], settings->route_count, node,
                       scope);
            settings->route_count++;
        } else
            conf_problem_add(scope->problems, false, node->line,
                             "proxy: is not a list of routes; write [[proxy]]");
    settings_check_routes(settings, scope->problems);
}

static void load_tree(struct proxy_settings *settings, const struct toml_node *root,
                      const struct conf_scope *scope)
{
    int                     lines[OPTION_LIMIT] = { 0 };
    const struct toml_node *array = find_routes(root, scope->problems);

    conf_preset(settings_top_table(), settings);
    conf_bind(settings_top_table(), root, scope, settings, lines);
    if (array != NULL)
        load_routes(settings, array, scope);
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

/* What can be told of the file, errors or not; NULL where it is not TOML. */
static struct proxy_settings *load_what_is_there(const char *file, struct bytes text,
                                                 struct conf_problems *problems)
{
    struct toml_error      error = { 0 };
    char                  *folder = conf_file_folder(file);
    struct proxy_settings *settings = new_settings(file);
    struct toml_tree      *tree = toml_parse((const char *)text.p, text.len, &error);
    struct conf_scope      scope = {
             .problems = problems, .folder = folder, .where = "", .tables = settings_tables()
    };

    problems->file = file;
    if (tree == NULL)
        conf_problem_add(problems, false, error.line, "not TOML: %s", error.text);
    else if (folder == NULL || settings == NULL)
        say_out_of_memory(problems);
    else
        load_tree(settings, toml_root(tree), &scope);
    toml_free(tree);
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
    return only_good(load_what_is_there(file, text, problems), problems);
}

struct proxy_settings *settings_load(const char *file, struct conf_problems *problems)
{
    struct buf             text = BUF_LIMIT(LARGEST_FILE);
    struct failure         why = { 0 };
    struct proxy_settings *settings = NULL;

    problems->file = file;
    if (conf_file_read(file, &text, &why) == FAIL_NONE)
        settings = load_what_is_there(file, buf_bytes(&text), problems);
    else
        conf_problem_add(problems, false, 0, "cannot be read: %s", why.text);
    buf_fini(&text);
    if (settings != NULL && problems->error_count > 0)
        settings_prove_files(settings, problems);
    return only_good(settings, problems);
}

void settings_free(struct proxy_settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->route_count; i++)
        for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
            conf_unbind(settings_section_table(s),
                        settings_section_of(&settings->routes[i], s));
    free(settings->routes);
    free(settings->file);
    free(settings);
}

/* ---- where a setting is ---- */

static enum settings_section section_of(const char *setting, const char **name)
{
    const char *dot = strchr(setting, '.');

    *name = dot == NULL ? setting : dot + 1;
    for (enum settings_section s = SECTION_LISTENER; dot != NULL && s < SECTION_COUNT; s++)
        if (strncmp(section_names[s], setting, (size_t)(dot - setting)) == 0)
            return s;
    return SECTION_PROXY;
}

/* The line where the setting is written, or 0. */
static int line_of(const struct route_settings *route, const char *setting)
{
    const char           *name;
    enum settings_section section = section_of(setting, &name);
    int                   row = conf_row(settings_section_table(section), name);

    return row < 0 ? 0 : route->lines[section].rows[row];
}

bool settings_has(const struct route_settings *route, const char *setting)
{
    return line_of(route, setting) != 0;
}

int settings_line(const struct route_settings *route, const char *setting)
{
    const char *name;
    int         line = line_of(route, setting);

    if (line == 0)
        line = route->lines[section_of(setting, &name)].header;
    return line != 0 ? line : route->line;
}

void settings_problem(struct conf_problems *problems, bool is_warning,
                      const struct route_settings *route, const char *setting,
                      const char *format, ...)
{
    char    text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    conf_problem_add(problems, is_warning, settings_line(route, setting),
                     "route \"%s\": %s: %s", route->name, setting, text);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_check.h"
#include "proxy/settings_loading.h"

#include <stdio.h>
#include <string.h>

#define WHERE_TEXT 100

void loading_out_of_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, false, 0, "out of memory");
}

struct conf_scope loading_scope(const struct loading *loading, const char *folder,
                                const char *where)
{
    return (struct conf_scope){ .problems = loading->problems,
                                .folder = folder,
                                .where = where,
                                .tables = settings_tables() };
}

/* ---- --set ---- */

/* On top of [defaults.*] in `target`. */
static void apply_to_defaults(const struct loading *loading, struct conf_problems *problems,
                              enum settings_section section, void *target, int *lines)
{
    struct conf_scope scope = loading_scope(loading, loading->main_folder, "");

    scope.problems = problems;
    for (size_t i = 0; i < loading->source->set_count; i++)
        if (loading->overrides[i].target == OVERRIDE_DEFAULTS &&
            loading->overrides[i].section == section)
            settings_override_apply(&loading->overrides[i], &scope, target, lines);
}

static void apply_to_route(const struct loading *loading, struct route_settings *route)
{
    struct conf_scope scope = loading_scope(loading, loading->main_folder, "");

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
    struct conf_scope       scope = loading_scope(loading, loading->main_folder, "");
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
        loading_out_of_memory(loading->problems);
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
        loading_out_of_memory(problems);
}

void settings_load_route(const struct loading *loading, struct route_settings *route, size_t at,
                         const struct toml_node *node, const char *folder)
{
    char              where[WHERE_TEXT];
    struct conf_scope scope = loading_scope(loading, folder, where);

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

/* ---- defaults ---- */

static void prove_section(const struct loading *loading, const struct toml_node *node,
                          struct route_settings *scratch)
{
    struct conf_scope     scope = loading_scope(loading, loading->main_folder, "defaults.");
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

void settings_prove_defaults(struct loading *loading)
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

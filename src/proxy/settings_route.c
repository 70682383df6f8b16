/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_check.h"
#include "proxy/settings_loading.h"

#include <stdio.h>
#include <stdlib.h>
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

/* The section of `parent` that this table is for. */
static void bind_section(struct route_settings *route, enum settings_section section,
                         const struct conf_table *table, const struct toml_node *parent,
                         const struct conf_scope *scope)
{
    const struct toml_node *node = toml_child(parent, settings_section_names[section]);
    struct section_lines   *lines = &route->lines[section];

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
static void require_settings(const struct route_settings *route, enum settings_section section,
                             const struct conf_table *table, const struct conf_scope *scope)
{
    const struct section_lines *lines = &route->lines[section];
    int                         either[OPTION_LIMIT];

    if (lines->header < 0)
        return;
    for (size_t i = 0; i < OPTION_LIMIT; i++)
        either[i] = lines->rows[i] != 0 ? lines->rows[i] : lines->defaults[i];
    conf_require(table, lines->header != 0 ? lines->header : route->line, scope, either);
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

/* What the route says, by itself and by defaults and --set. */
static void bind_route(const struct loading *loading, struct route_settings *route, size_t at,
                       const struct toml_node *node, const struct conf_scope *scope)
{
    route->line = route->lines[SECTION_PROXY].header = node->line;
    route->main_file = loading->settings->file;
    route->file = strdup(loading->problems->file);
    route->sets = loading->source->sets;
    for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
        conf_preset(settings_section_table(s), settings_section_of(route, s));
    conf_bind(settings_section_table(SECTION_PROXY), node, scope, route,
              route->lines[SECTION_PROXY].rows);
    name_by_place(route, at, scope->problems);
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++) {
        bind_defaults(loading, route, s);
        bind_section(route, s, settings_section_table(s), node, scope);
    }
    if (route->name != NULL)
        apply_to_route(loading, route);
}

static void require_all(const struct route_settings *route, const struct conf_scope *scope)
{
    for (enum settings_section s = SECTION_LISTENER; s < SECTION_COUNT; s++)
        if (s != SECTION_BACKEND || route->lines[s].header != 0 ||
            !settings_hosts_have_backends(route))
            require_settings(route, s, settings_section_table(s), scope);
}

/* ---- hosts ---- */

/* A backend of its own starts anew: from the defaults, not from that of the port. */
static void bind_own_backend(const struct loading *loading, struct route_settings *host,
                             const struct toml_node *node, const struct conf_scope *scope)
{
    host->has_own_backend = toml_child(node, "backend") != NULL;
    if (!host->has_own_backend)
        return;
    conf_unbind(settings_section_table(SECTION_BACKEND), &host->backend);
    host->backend = (struct backend_settings){ 0 };
    host->lines[SECTION_BACKEND] = (struct section_lines){ 0 };
    conf_preset(settings_section_table(SECTION_BACKEND), &host->backend);
    bind_defaults(loading, host, SECTION_BACKEND);
    bind_section(host, SECTION_BACKEND, settings_host_backend_table(), node, scope);
    require_settings(host, SECTION_BACKEND, settings_host_backend_table(), scope);
}

/* It starts as a second copy of the port, whose problems were told once. */
static void load_host(const struct loading *loading, struct route_settings *host, size_t at,
                      const struct toml_node *port, const struct toml_node *node,
                      const struct conf_scope *scope)
{
    struct conf_problems  quiet = { .file = "" };
    struct conf_scope     silent = *scope;
    struct section_lines *lines = &host->lines[SECTION_HOST];

    silent.problems = &quiet;
    bind_route(loading, host, at, port, &silent);
    conf_problems_fini(&quiet);
    if (host->name == NULL || host->file == NULL)
        loading_out_of_memory(scope->problems);
    host->is_host = true;
    host->line = lines->header = node->line;
    conf_bind(settings_section_table(SECTION_HOST), node, scope, &host->listener, lines->rows);
    require_settings(host, SECTION_HOST, settings_section_table(SECTION_HOST), scope);
    bind_own_backend(loading, host, node, scope);
}

/* 0: it is not a list of tables. */
static size_t count_hosts(const struct toml_node *array)
{
    size_t                  count = 0;
    const struct toml_node *node = array->type == TOML_ARRAY ? array->first : NULL;

    for (; node != NULL && node->type == TOML_TABLE; node = node->next)
        count++;
    return node == NULL ? count : 0;
}

static void load_hosts(const struct loading *loading, struct route_settings *route, size_t at,
                       const struct toml_node *port, const struct conf_scope *scope)
{
    const struct toml_node *array = toml_child(port, "host");

    if (array == NULL)
        return;
    if (count_hosts(array) == 0) {
        conf_problem_add(scope->problems, false, array->line,
                         "%shost: is not a list of hosts; write [[proxy.host]]", scope->where);
        return;
    }
    route->hosts = calloc(count_hosts(array), sizeof *route->hosts);
    if (route->hosts == NULL) {
        loading_out_of_memory(scope->problems);
        return;
    }
    for (const struct toml_node *node = array->first; node != NULL; node = node->next)
        load_host(loading, &route->hosts[route->host_count++], at, port, node, scope);
}

void settings_load_route(const struct loading *loading, struct route_settings *route, size_t at,
                         const struct toml_node *node, const char *folder)
{
    char              where[WHERE_TEXT];
    struct conf_scope scope = loading_scope(loading, folder, where);

    name_for_problems(where, node, at);
    bind_route(loading, route, at, node, &scope);
    if (route->name == NULL)
        return;
    load_hosts(loading, route, at, node, &scope);
    require_all(route, &scope);
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

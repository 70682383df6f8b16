/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings.h"

#include "proxy/settings_override.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const settings_section_names[SECTION_COUNT] = {
    [SECTION_LISTENER] = "listener",
    [SECTION_BACKEND] = "backend",
    [SECTION_LIMITS] = "limits",
};

struct proxy_settings *settings_hold(struct proxy_settings *settings)
{
    atomic_fetch_add(&settings->holders, 1);
    return settings;
}

static void free_route(struct route_settings *route)
{
    for (size_t i = 0; i < route->host_count; i++)
        free_route(&route->hosts[i]);
    free(route->hosts);
    conf_unbind(settings_section_table(SECTION_HOST), &route->listener);
    for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
        conf_unbind(settings_section_table(s), settings_section_of(route, s));
    free(route->file);
}

void settings_free(struct proxy_settings *settings)
{
    if (settings == NULL || atomic_fetch_sub(&settings->holders, 1) > 1)
        return;
    for (size_t i = 0; i < settings->route_count; i++)
        free_route(&settings->routes[i]);
    conf_unbind(settings_top_table(), settings);
    free(settings->routes);
    free(settings->file);
    free(settings);
}

const char *settings_user(const struct proxy_settings *settings)
{
    return settings->user == NULL || settings->user[0] == '\0' ? NULL : settings->user;
}

/* ---- where a setting is ---- */

static enum settings_section section_of(const char *setting, const char **name)
{
    const char *dot = strchr(setting, '.');

    *name = dot == NULL ? setting : dot + 1;
    for (enum settings_section s = SECTION_LISTENER; dot != NULL && s < SECTION_COUNT; s++)
        if (strncmp(settings_section_names[s], setting, (size_t)(dot - setting)) == 0)
            return s;
    return SECTION_PROXY;
}

/* Who says a setting, and where. */
struct saying {
    enum settings_section section;
    int                   row;    /* -1: there is no such setting */
    int                   line;   /* below 0 for --set, 0: nobody says it */
    bool                  is_own; /* the route itself, or the host */
    bool                  is_default;
};

static bool is_inherited(const struct route_settings *route, enum settings_section section)
{
    return route->is_host && (section != SECTION_BACKEND || !route->has_own_backend);
}

static struct saying find_in(const struct route_settings *route, enum settings_section section,
                             const char *name)
{
    const struct section_lines *lines = &route->lines[section];
    struct saying               found = { .section = section };

    found.row = conf_row(settings_section_table(section), name);
    if (found.row < 0)
        return found;
    found.line = lines->rows[found.row];
    found.is_own =
        found.line != 0 && (section == SECTION_HOST || !is_inherited(route, section));
    found.is_default = found.line == 0 && lines->defaults[found.row] != 0;
    if (found.is_default)
        found.line = lines->defaults[found.row];
    return found;
}

static struct saying find_saying(const struct route_settings *route, const char *setting)
{
    const char           *name;
    enum settings_section section = section_of(setting, &name);
    struct saying         found = { .row = -1 };

    if (route->is_host && section == SECTION_LISTENER)
        found = find_in(route, SECTION_HOST, name);
    return found.line != 0 ? found : find_in(route, section, name);
}

bool settings_says(const struct route_settings *route, const char *setting)
{
    return find_saying(route, setting).is_own;
}

bool settings_has(const struct route_settings *route, const char *setting)
{
    return find_saying(route, setting).line != 0;
}

/* Where the section is, of a setting that nobody says. */
static int header_line(const struct route_settings *route, const char *setting)
{
    const char           *name;
    enum settings_section section = section_of(setting, &name);

    if (route->is_host && section == SECTION_LISTENER)
        section = SECTION_HOST;
    return route->lines[section].header;
}

int settings_line(const struct route_settings *route, const char *setting)
{
    int line = find_saying(route, setting).line;

    if (line == 0)
        line = header_line(route, setting);
    if (line < 0)
        return 0;
    return line != 0 ? line : route->line;
}

/* What problems of the setting begin with. */
static const char *place_name(const struct route_settings *route, const char *setting,
                              char set_name[static OVERRIDE_NAME])
{
    struct saying found = find_saying(route, setting);

    if (found.line < 0) {
        settings_override_name(set_name, route->sets[-1 - found.line]);
        return set_name;
    }
    return found.is_default || route->file == NULL ? route->main_file : route->file;
}

const char *settings_place(const struct route_settings *route, const char *setting,
                           const struct route_settings *reader, char out[static SETTINGS_PLACE])
{
    char        set_name[OVERRIDE_NAME], reader_name[OVERRIDE_NAME];
    const char *name = place_name(route, setting, set_name);
    const char *reader_file = place_name(reader, setting, reader_name);

    if (find_saying(route, setting).line < 0)
        snprintf(out, SETTINGS_PLACE, "%s", name);
    else if (strcmp(name, reader_file) == 0)
        snprintf(out, SETTINGS_PLACE, "line %d", settings_line(route, setting));
    else
        snprintf(out, SETTINGS_PLACE, "%.200s:%d", name, settings_line(route, setting));
    return out;
}

/* A default is wrong for many routes, a setting of the listener for many hosts: one of them is
 * enough. */
static bool is_told_already(const struct conf_problems *problems, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < problems->count; i++) {
        const char *told = problems->items[i].text;

        if (strlen(told) > len && strcmp(told + strlen(told) - len, text) == 0)
            return true;
    }
    return false;
}

bool settings_drop_default(struct route_settings *route, const char *setting)
{
    struct saying            found = find_saying(route, setting);
    const struct conf_table *table = settings_section_table(found.section);

    if (found.line == 0 || found.is_own)
        return false;
    conf_reset(conf_option(table, (size_t)found.row),
               settings_section_of(route, found.section));
    route->lines[found.section].defaults[found.row] = 0;
    route->lines[found.section].rows[found.row] = 0;
    return true;
}

/* As the user finds it in the file: "host.sslmode", "defaults.listener.sslmode". */
static void name_setting(char *out, size_t size, const struct route_settings *route,
                         const char *setting, const struct saying *found)
{
    const char *name;
    bool        is_of_listener = section_of(setting, &name) == SECTION_LISTENER;

    if (route->is_host && is_of_listener && (found->is_own || found->line == 0))
        snprintf(out, size, "host.%s", name);
    else if (route->is_host && !is_of_listener && route->has_own_backend && !found->is_default)
        snprintf(out, size, "host.%s", setting);
    else
        snprintf(out, size, "%s%s", found->is_default ? "defaults." : "", setting);
}

void settings_problem(struct conf_problems *problems, bool is_warning,
                      const struct route_settings *route, const char *setting,
                      const char *format, ...)
{
    struct saying found = find_saying(route, setting);
    char          set_name[OVERRIDE_NAME], what[400], name[80], text[500];
    const char   *before;
    va_list       args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    name_setting(name, sizeof name, route, setting, &found);
    snprintf(text, sizeof text, ": %s: %s", name, what);
    if (found.line != 0 && !found.is_own && is_told_already(problems, text))
        return;
    before = conf_problems_in(problems, place_name(route, setting, set_name));
    if (found.line < 0)
        conf_problem_add(problems, is_warning, 0, "%s", what);
    else
        conf_problem_add(problems, is_warning, settings_line(route, setting), "route \"%s\"%s",
                         route->name, text);
    conf_problems_in(problems, before);
}

void settings_top_problem(struct conf_problems *problems, bool is_warning,
                          const struct proxy_settings *settings, const char *setting,
                          const char *format, ...)
{
    int         row = conf_row(settings_top_table(), setting);
    int         line = row >= 0 ? settings->lines[row] : 0;
    char        set_name[OVERRIDE_NAME], text[400];
    const char *before;
    va_list     args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (line < 0)
        settings_override_name(set_name, settings->sets[-1 - line]);
    before = conf_problems_in(problems, line < 0 ? set_name : settings->file);
    if (line < 0)
        conf_problem_add(problems, is_warning, 0, "%s", text);
    else
        conf_problem_add(problems, is_warning, line, "%s: %s", setting, text);
    conf_problems_in(problems, before);
}

bool settings_takes_plaintext(const struct route_settings *route)
{
    return route->listener.sslmode < SSLMODE_REQUIRE;
}

bool settings_has_backend(const struct route_settings *route)
{
    return route->backend.addresses.count > 0 || route->host_count == 0;
}

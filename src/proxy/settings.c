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

void settings_free(struct proxy_settings *settings)
{
    if (settings == NULL || atomic_fetch_sub(&settings->holders, 1) > 1)
        return;
    for (size_t i = 0; i < settings->route_count; i++)
        for (enum settings_section s = SECTION_PROXY; s < SECTION_COUNT; s++)
            conf_unbind(settings_section_table(s),
                        settings_section_of(&settings->routes[i], s));
    for (size_t i = 0; i < settings->route_count; i++)
        free(settings->routes[i].file);
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

/* Where the setting is written: its line, below 0 for --set, 0 for nowhere. */
static int line_in(const struct route_settings *route, const char *setting, bool in_defaults)
{
    const char                 *name;
    enum settings_section       section = section_of(setting, &name);
    const struct section_lines *lines = &route->lines[section];
    int                         row = conf_row(settings_section_table(section), name);

    if (row < 0)
        return 0;
    return in_defaults ? lines->defaults[row] : lines->rows[row];
}

bool settings_says(const struct route_settings *route, const char *setting)
{
    return line_in(route, setting, false) != 0;
}

bool settings_has(const struct route_settings *route, const char *setting)
{
    return settings_says(route, setting) || line_in(route, setting, true) != 0;
}

static bool is_of_defaults(const struct route_settings *route, const char *setting)
{
    return !settings_says(route, setting) && line_in(route, setting, true) != 0;
}

static int found_line(const struct route_settings *route, const char *setting)
{
    return line_in(route, setting, is_of_defaults(route, setting));
}

int settings_line(const struct route_settings *route, const char *setting)
{
    const char *name;
    int         line = found_line(route, setting);

    if (line == 0)
        line = route->lines[section_of(setting, &name)].header;
    if (line < 0)
        return 0;
    return line != 0 ? line : route->line;
}

/* What problems of the setting begin with. */
static const char *place_name(const struct route_settings *route, const char *setting,
                              char set_name[static OVERRIDE_NAME])
{
    int line = found_line(route, setting);

    if (line < 0) {
        settings_override_name(set_name, route->sets[-1 - line]);
        return set_name;
    }
    return is_of_defaults(route, setting) || route->file == NULL ? route->main_file
                                                                 : route->file;
}

const char *settings_place(const struct route_settings *route, const char *setting,
                           const struct route_settings *reader, char out[static SETTINGS_PLACE])
{
    char        set_name[OVERRIDE_NAME], reader_name[OVERRIDE_NAME];
    const char *name = place_name(route, setting, set_name);
    const char *reader_file = place_name(reader, setting, reader_name);

    if (found_line(route, setting) < 0)
        snprintf(out, SETTINGS_PLACE, "%s", name);
    else if (strcmp(name, reader_file) == 0)
        snprintf(out, SETTINGS_PLACE, "line %d", settings_line(route, setting));
    else
        snprintf(out, SETTINGS_PLACE, "%.200s:%d", name, settings_line(route, setting));
    return out;
}

/* A default is wrong for many routes: one of them is enough. */
static bool is_told_already(const struct conf_problems *problems, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < problems->count; i++) {
        const char *told = problems->items[i].text;

        if (strlen(told) > len && strcmp(told + strlen(told) - len, text) == 0 &&
            strstr(told, ": defaults.") != NULL)
            return true;
    }
    return false;
}

bool settings_drop_default(struct route_settings *route, const char *setting)
{
    const char              *name;
    enum settings_section    section = section_of(setting, &name);
    const struct conf_table *table = settings_section_table(section);
    int                      row = conf_row(table, name);

    if (!is_of_defaults(route, setting))
        return false;
    conf_reset(conf_option(table, (size_t)row), settings_section_of(route, section));
    route->lines[section].defaults[row] = 0;
    return true;
}

void settings_problem(struct conf_problems *problems, bool is_warning,
                      const struct route_settings *route, const char *setting,
                      const char *format, ...)
{
    bool        is_default = is_of_defaults(route, setting);
    char        set_name[OVERRIDE_NAME], what[400], text[460];
    const char *before;
    va_list     args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s%s: %s", is_default ? "defaults." : "", setting, what);
    if (is_default && is_told_already(problems, text))
        return;
    before = conf_problems_in(problems, place_name(route, setting, set_name));
    if (found_line(route, setting) < 0)
        conf_problem_add(problems, is_warning, 0, "%s", what);
    else
        conf_problem_add(problems, is_warning, settings_line(route, setting),
                         "route \"%s\": %s", route->name, text);
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

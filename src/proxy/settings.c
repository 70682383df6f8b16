/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings.h"

#include "proxy/settings_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const settings_section_names[SECTION_COUNT] = {
    [SECTION_LISTENER] = "listener",
    [SECTION_BACKEND] = "backend",
    [SECTION_LIMITS] = "limits",
};

void settings_free(struct proxy_settings *settings)
{
    if (settings == NULL)
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

/* Where the setting is written: its line, -1 for --set, 0 for nowhere. */
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

int settings_line(const struct route_settings *route, const char *setting)
{
    const char *name;
    int         line = line_in(route, setting, is_of_defaults(route, setting));

    if (line == 0)
        line = route->lines[section_of(setting, &name)].header;
    if (line < 0)
        return 0;
    return line != 0 ? line : route->line;
}

void settings_problem(struct conf_problems *problems, bool is_warning,
                      const struct route_settings *route, const char *setting,
                      const char *format, ...)
{
    bool        in_main = is_of_defaults(route, setting) || route->file == NULL;
    const char *before = conf_problems_in(problems, in_main ? route->main_file : route->file);
    char        text[400];
    va_list     args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    conf_problem_add(problems, is_warning, settings_line(route, setting),
                     "route \"%s\": %s: %s", route->name, setting, text);
    conf_problems_in(problems, before);
}

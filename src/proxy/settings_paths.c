/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_paths.h"

#include "proxy/settings_table.h"

#include <stdlib.h>

/* Counts where there is no room yet. */
struct collector {
    const char **paths;
    size_t       count;
};

static void collect(void *owner, const char *path)
{
    struct collector *to = owner;

    if (to->paths != NULL)
        to->paths[to->count] = path;
    to->count++;
}

static void collect_route(struct route_settings *route, struct collector *to)
{
    static const enum settings_section sides[] = { SECTION_LISTENER, SECTION_BACKEND };

    for (size_t n = 0; n < 2; n++)
        conf_each_path(settings_section_table(sides[n]), settings_section_of(route, sides[n]),
                       collect, to);
    for (size_t i = 0; i < route->host_count; i++)
        collect_route(&route->hosts[i], to);
}

bool settings_route_names_files(struct route_settings *route)
{
    struct collector counted = { 0 };

    collect_route(route, &counted);
    return counted.count > 0;
}

static void collect_all(struct proxy_settings *settings, struct collector *to)
{
    to->count = 0;
    for (size_t i = 0; i < settings->route_count; i++)
        if (settings->routes[i].listener.cert_refresh_interval_us > 0)
            collect_route(&settings->routes[i], to);
}

bool settings_paths(struct proxy_settings *settings, struct file_list *out)
{
    struct collector to = { 0 };

    collect_all(settings, &to);
    to.paths = calloc(to.count + 1, sizeof *to.paths);
    if (to.paths == NULL)
        return false;
    collect_all(settings, &to);
    *out = (struct file_list){ to.paths, to.count };
    return true;
}

void settings_paths_fini(struct file_list *files)
{
    free((void *)files->paths);
    *files = (struct file_list){ 0 };
}

uint64_t settings_refresh_interval_us(const struct proxy_settings *settings)
{
    uint64_t shortest = 0;

    for (size_t i = 0; i < settings->route_count; i++) {
        uint64_t interval = settings->routes[i].listener.cert_refresh_interval_us;

        if (interval > 0 && (shortest == 0 || interval < shortest))
            shortest = interval;
    }
    return shortest;
}

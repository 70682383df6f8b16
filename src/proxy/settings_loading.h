/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_loading.h - a configuration on its way, for settings_read.c and
 * settings_route.c
 */
#ifndef PGTLS_PROXY_SETTINGS_LOADING_H
#define PGTLS_PROXY_SETTINGS_LOADING_H

#include "proxy/settings_override.h"

struct loading {
    struct proxy_settings        *settings;
    const struct settings_source *source;
    const struct toml_node       *defaults; /* or NULL */
    bool                          has_bad_default;
    struct conf_problems         *problems;
    const char                   *main_file;
    const char                   *main_folder;
    bool                          opens_files; /* those of include */
    struct settings_override     *overrides;   /* as many as the source has */
};

void loading_out_of_memory(struct conf_problems *problems);

/* For a file in `folder`; `where` stands in front of problems. */
struct conf_scope loading_scope(const struct loading *loading, const char *folder,
                                const char *where);

/* Looks at each default once, whether there is a route or not. */
void settings_prove_defaults(struct loading *loading);

/* Reads one [[proxy]], the `at`-th of all: defaults, the route itself, --set. */
void settings_load_route(const struct loading *loading, struct route_settings *route, size_t at,
                         const struct toml_node *node, const char *folder);

#endif

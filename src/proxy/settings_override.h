/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_override.h - --set PATH=VALUE, for settings_read.c
 *
 * PATH is a TOML key: log_level, defaults.limits.max_connections,
 * proxy.orders.listener.sslmode, proxy."a.b".protocol.  VALUE is TOML; where the setting is
 * text, the quotes may be left out. What is wrong is told as "--set PATH: WHAT".
 */
#ifndef PGTLS_PROXY_SETTINGS_OVERRIDE_H
#define PGTLS_PROXY_SETTINGS_OVERRIDE_H

#include "proxy/settings_table.h"

enum override_target { OVERRIDE_NOTHING, OVERRIDE_TOP, OVERRIDE_DEFAULTS, OVERRIDE_ROUTE };

struct settings_override {
    const char           *set;    /* borrowed: as it was given */
    struct toml_tree     *path;   /* `route` and `key` are in it */
    enum override_target  target; /* OVERRIDE_NOTHING after a problem */
    enum settings_section section;
    const char           *route;
    const char           *key;
    int                   line; /* stands for it among the lines of settings: below 0 */
    bool                  is_used;
};

/* "--set PATH", as problems begin. */
#define OVERRIDE_NAME 200
void settings_override_name(char out[static OVERRIDE_NAME], const char *set);

/* Takes the paths of all apart, in the order of `source`; NULL when out of memory. */
struct settings_override *settings_overrides_new(const struct settings_source *source,
                                                 struct conf_problems         *problems);
void settings_overrides_free(struct settings_override *overrides, size_t count);

/* Binds one to its field in `target`; `lines` are those of its table. */
void settings_override_apply(struct settings_override *override, const struct conf_scope *scope,
                             void *target, int *lines);

/* What met no route is a mistake. */
void settings_overrides_check_used(const struct settings_override *overrides, size_t count,
                                   const struct proxy_settings *settings,
                                   struct conf_problems        *problems);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_table.h - the tables of proxy/settings.h, for settings*.c only
 */
#ifndef PGTLS_PROXY_SETTINGS_TABLE_H
#define PGTLS_PROXY_SETTINGS_TABLE_H

#include "proxy/settings.h"

const struct conf_table *settings_top_table(void);
const struct conf_table *settings_section_table(enum settings_section section);

const struct conf_table *settings_host_backend_table(void);

/* The struct that a section of a route fills. */
void *settings_section_of(struct route_settings *route, enum settings_section section);

/* Whether the route or the defaults have the setting, rightly or wrongly written. */
bool settings_has(const struct route_settings *route, const char *setting);

/* Whether the route itself has it: what a default says, or the listener of a host, and has no
 * effect here is no mistake. */
bool settings_says(const struct route_settings *route, const char *setting);

/* Makes the setting as if nobody said it; false, and nothing is done, where the route
 * itself has it or nobody. */
bool settings_drop_default(struct route_settings *route, const char *setting);

/* Where the setting of `route` is, for somebody who reads a problem of `reader`: "line 7",
 * "FILE:7" or "--set PATH". */
#define SETTINGS_PLACE 240
const char *settings_place(const struct route_settings *route, const char *setting,
                           const struct route_settings *reader,
                           char                         out[static SETTINGS_PLACE]);

extern const char *const settings_section_names[SECTION_COUNT]; /* NULL: the route itself */

#endif

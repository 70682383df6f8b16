/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_paths.h - which files to watch, and how often
 *
 * Every setting of a listener or a backend whose row is a path counts: whoever adds one adds
 * it here as well.  Routes whose cert_refresh_interval is 0 have no part in it.
 */
#ifndef PGTLS_PROXY_SETTINGS_PATHS_H
#define PGTLS_PROXY_SETTINGS_PATHS_H

#include "proxy/settings.h"
#include "runtime/file_digest.h"

/* All of them; the texts are borrowed from the settings, the array is to be freed.  False
 * when out of memory. */
bool settings_paths(struct proxy_settings *settings, struct file_list *out);
void settings_paths_fini(struct file_list *files);

/* Whether there is any file to look at. */
bool settings_route_names_files(struct route_settings *route);

/* The shortest one of all routes, since all their files are one set; 0: none. */
uint64_t settings_refresh_interval_us(const struct proxy_settings *settings);

#endif

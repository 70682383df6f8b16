/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_check.h - what one setting says about another
 *
 * Works out the defaults that depend on other settings, and refuses what
 * contradicts itself or could not take effect.
 */
#ifndef PGTLS_PROXY_SETTINGS_CHECK_H
#define PGTLS_PROXY_SETTINGS_CHECK_H

#include "proxy/settings.h"

/* Whether every host of the port, and there is one, leads to a backend of its own. */
bool settings_hosts_have_backends(const struct route_settings *route);

/* One route by itself, with its hosts. */
void settings_check_route(struct route_settings *route, struct conf_problems *problems);

/* Routes beside each other: names and addresses. */
void settings_check_routes(const struct proxy_settings *settings,
                           struct conf_problems        *problems);

#endif

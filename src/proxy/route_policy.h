/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/route_policy.h - the TLS policies that the settings of a route ask for
 */
#ifndef PGTLS_PROXY_ROUTE_POLICY_H
#define PGTLS_PROXY_ROUTE_POLICY_H

#include "proxy/settings_files.h"

/*
 * Each loads every file it needs and proves that a context can be made of it; NULL after a
 * problem, which is told of the setting that is wrong.  `map_text` is the file that the names
 * of clients are looked up in: tickets are good for that one only.  What others trust too is
 * loaded once for all that have the same `pool`.
 */
struct tls_policy *route_policy_of_clients(const struct route_settings *settings,
                                           struct bytes map_text, struct trust_pool *pool,
                                           struct conf_problems *problems);
struct tls_policy *route_policy_of_backend(const struct route_settings *settings,
                                           struct trust_pool           *pool,
                                           struct conf_problems        *problems);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/generation.h - one configuration, loaded: its settings and its routes
 *
 * Immutable and counted.  Built by the control thread, all or nothing; a session
 * holds the generation that it began with.
 */
#ifndef PGTLS_PROXY_GENERATION_H
#define PGTLS_PROXY_GENERATION_H

#include "proxy/route.h"
#include "runtime/file_digest.h"

struct generation {
    atomic_uint            holders;
    unsigned               number; /* 1 is that of the start */
    struct proxy_settings *settings;
    struct route         **routes; /* as many as the settings have */
    struct file_list       files;  /* that are watched; texts are the settings' */
    uint64_t               digest; /* of them, taken before they were read */
};

/*
 * Reads `source` and everything it names.  `before` is the generation that serves
 * until now, or NULL; a certificate of its own that is valid is not replaced by an expired
 * one.  NULL: `problems` says why; every route is tried, so that one
 * run tells all of them.
 */
struct generation *generation_load(const struct settings_source *source,
                                   const struct generation      *before,
                                   struct conf_problems         *problems);

/* The same from settings that were read already; they are taken over, and freed on failure. */
struct generation *generation_new(struct proxy_settings   *settings,
                                  const struct generation *before,
                                  struct conf_problems    *problems);

/* The same settings once more, from files that have changed. */
struct generation *generation_renew(const struct generation *before,
                                    struct conf_problems    *problems);

struct generation *generation_hold(struct generation *generation);
void               generation_release(struct generation *generation); /* NULL is fine */

/* The route of that name, or NULL. */
const struct route *generation_route(const struct generation *generation, const char *name);

#endif

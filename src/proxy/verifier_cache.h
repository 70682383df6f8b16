/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/verifier_cache.h - what auth_query found for whom, for a while
 *
 * Users that are not known are remembered too: strangers cost the server one question each.
 * Bounded: the oldest stranger gives way, and where there is none the oldest entry; so made up
 * names push out nobody.  Each call drops some of those whose time is over.  Clients choose the
 * names, so they are kept in a balanced tree: no choice of them makes it slow.
 * Used by one worker's thread.
 */
#ifndef PGTLS_PROXY_VERIFIER_CACHE_H
#define PGTLS_PROXY_VERIFIER_CACHE_H

#include "scram/verifier.h"

struct verifier_cache;

/* At most `users` entries, each for `lifetime_us`; NULL when out of memory. */
struct verifier_cache *verifier_cache_new(size_t users, uint64_t lifetime_us);
void verifier_cache_free(struct verifier_cache *cache); /* wipes; NULL is fine */

/* Whether there is an entry that is still good; *verifier is NULL for a user who is not known,
 * and otherwise borrowed until the next call. */
bool verifier_cache_find(struct verifier_cache *cache, const char *user, uint64_t now_us,
                         const struct scram_verifier **verifier);

/* NULL: not known.  Without memory, and for a stranger where known users fill it, nothing is
 * remembered. */
void verifier_cache_put(struct verifier_cache *cache, const char *user, uint64_t now_us,
                        const struct scram_verifier *verifier);
void verifier_cache_forget(struct verifier_cache *cache, const char *user);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/rate.h - so many a second: of all, or of each client address
 *
 * Any thread may take; nothing is locked, and nothing grows with the number of clients.
 */
#ifndef PGTLS_RUNTIME_RATE_H
#define PGTLS_RUNTIME_RATE_H

#include "io/address.h"

#include <stdatomic.h>

/* The second in the high half, how many in the low; starts as 0. */
typedef atomic_uint_fast64_t rate;

/* Whether one more is within `limit` of the second that `now_us` is in; it is counted then. */
bool rate_take(rate *counter, uint64_t limit, uint64_t now_us);

#define SOURCE_RATE_SLOTS 256u

/*
 * Of each address, in a fixed number of counters: some share one, and nobody can choose with
 * whom, as `seed` is random.  The addresses of an IPv6 network of 64 bits are one source.
 */
struct source_rate {
    uint64_t seed;
    rate     slots[SOURCE_RATE_SLOTS];
};

void source_rate_init(struct source_rate *sources);

/* As rate_take(); a client of a Unix socket has no limit. */
bool source_rate_take(struct source_rate *sources, const struct address *from, uint64_t limit,
                      uint64_t now_us);

#endif

/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/rate.h"

#include "io/network.h"

#include <string.h>
#include <sys/random.h>

bool rate_take(rate *counter, uint64_t limit, uint64_t now_us)
{
    uint64_t      now = now_us / 1000000;
    uint_fast64_t seen = atomic_load(counter);
    uint_fast64_t next;

    do {
        /* a thread whose turn is long is behind the others: their second counts */
        uint64_t second = seen >> 32 > now ? seen >> 32 : now;
        uint64_t begun = seen >> 32 == second ? (uint32_t)seen : 0;

        if (begun >= limit)
            return false;
        next = second << 32 | (begun + 1);
    } while (!atomic_compare_exchange_weak(counter, &seen, next));
    return true;
}

void source_rate_init(struct source_rate *sources)
{
    memset(sources, 0, sizeof *sources);
    /* without randomness so early after boot: those who share a counter could be foretold */
    (void)!getrandom(&sources->seed, sizeof sources->seed, GRND_NONBLOCK);
}

static bool is_ipv4(const uint8_t key[static 16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 2.5.5.2 */

    return memcmp(key, mapped, sizeof mapped) == 0;
}

bool source_rate_take(struct source_rate *sources, const struct address *from, uint64_t limit,
                      uint64_t now_us)
{
    uint8_t  key[16];
    uint64_t h;

    if (!network_key(from, key))
        return true;
    h = bytes_hash(sources->seed, bytes_of(key, is_ipv4(key) ? sizeof key : sizeof key / 2));
    return rate_take(&sources->slots[(h ^ h >> 32) % SOURCE_RATE_SLOTS], limit, now_us);
}

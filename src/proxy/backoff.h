/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/backoff.h - addresses that failed, to be tried last for a while
 *
 * A second after the first failure, then twice as long each time, at most half a
 * minute; one success forgets it.  One a worker and route; it knows a bounded
 * number of addresses and forgets the one whose time is up first.
 */
#ifndef PGTLS_PROXY_BACKOFF_H
#define PGTLS_PROXY_BACKOFF_H

#include "io/address.h"

#define BACKOFF_MOST 32

struct backoff {
    struct backoff_entry {
        struct address address;
        uint64_t       failed_us; /* the last time; 0: the entry is free */
        uint64_t       until_us;
        unsigned       failures;
    } entries[BACKOFF_MOST];
};

/* Whether it failed before `before_us` and is to be tried last at `now_us`. */
bool backoff_holds(const struct backoff *backoff, const struct address *address,
                   uint64_t before_us, uint64_t now_us);

void backoff_failed(struct backoff *backoff, const struct address *address, uint64_t now_us);
void backoff_worked(struct backoff *backoff, const struct address *address);

#endif

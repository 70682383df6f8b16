/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/walk.h - which address of a backend is tried next?
 *
 * Through the targets in the order of the settings, and through the addresses of each as its
 * name gave them.  The first round leaves out addresses that failed lately (proxy/backoff.h),
 * a second one tries those.  It looks nothing up and connects to nothing: it says what to do.
 *
 *   walk_next: LOOK_UP --walk_found--> walk_next: CONNECT, CONNECT ... LOOK_UP ... OVER
 *
 * where a look-up without an answer is simply not told.
 */
#ifndef PGTLS_PROXY_WALK_H
#define PGTLS_PROXY_WALK_H

#include "io/resolve.h"
#include "proxy/backoff.h"
#include "proxy/route.h"

enum walk_step {
    WALK_LOOK_UP,       /* walk->target: tell what it has with walk_found() */
    WALK_CONNECT,       /* to walk_address() */
    WALK_CONNECT_AGAIN, /* to the same address: walk_repeat() asked for it */
    WALK_OVER,          /* each had its turn */
};

struct walk {
    const struct route_target *target; /* the current one; NULL: not begun */
    const struct route_target *targets;
    size_t                     target_count;
    size_t                     target_next;
    struct address             addresses[RESOLVE_MOST];
    size_t                     address_count;
    size_t                     address_next;
    const struct backoff      *backoff; /* NULL: no address is left out */
    uint64_t                   began_us;
    uint64_t left_out; /* addresses not tried in the first round: a bit each */
    bool     is_second_round;
    bool     repeats;
};

/* The targets are borrowed, and so is `backoff`, which may be NULL. */
void walk_begin(struct walk *walk, const struct route_target *targets, size_t count,
                const struct backoff *backoff, uint64_t now_us);

/* To one address and no other one, whatever is known of it. */
void walk_begin_at(struct walk *walk, const struct route_target *target,
                   const struct address *address);

enum walk_step walk_next(struct walk *walk, uint64_t now_us);

/* What the current target has; beyond RESOLVE_MOST they are not used. */
void walk_found(struct walk *walk, const struct address *addresses, size_t count);

/* The next step is the current address once more, whatever is known of it. */
void walk_repeat(struct walk *walk);

/* The current one: behind WALK_CONNECT, until the next step. */
const struct address *walk_address(const struct walk *walk);

/* Could it have been another address? */
bool walk_has_choice(const struct walk *walk);

#endif

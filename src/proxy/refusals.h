/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/refusals.h - clients that are refused in numbers, and told of in few lines
 *
 * The first one of its kind is logged at once as limit.reached, with count 1; those of the next
 * ten seconds as one line at their end, and so on until nobody comes.  None is left out: what
 * was counted when the owner ends is told then.
 *
 * Belongs to the thread of its loop.
 */
#ifndef PGTLS_PROXY_REFUSALS_H
#define PGTLS_PROXY_REFUSALS_H

#include "io/address.h"
#include "io/loop.h"
#include "runtime/log.h"

enum refusal {
    REFUSAL_ALLOW,           /* listener.allow does not have the client */
    REFUSAL_DENY,            /* listener.deny has it */
    REFUSAL_TRUSTED_PROXIES, /* a PROXY header is not taken from there */
    REFUSAL_CANCEL_UNKNOWN,  /* a cancel request whose key no session has */
    REFUSAL_CANCELS,         /* too many cancel requests from one address */
    REFUSAL_COUNT,
};

#define REFUSALS_EVERY_US 10000000u

struct refusals;

/* One kind: how many were not told of yet, and who came last. */
struct refusals_kind {
    struct loop_timer timer; /* runs while lines are held back */
    struct refusals  *owner;
    uint64_t          count;
    struct address    last;
};

struct refusals {
    struct loop         *loop;
    struct log          *log;
    const char          *route;
    struct refusals_kind kinds[REFUSAL_COUNT];
};

/* `route` is its name, borrowed. */
void refusals_init(struct refusals *refusals, struct loop *loop, struct log *log,
                   const char *route);
void refusals_fini(struct refusals *refusals);
void refusals_note(struct refusals *refusals, enum refusal kind, const struct address *client);

#endif

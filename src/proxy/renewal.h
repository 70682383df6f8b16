/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/renewal.h - files that changed are tried until they fit together
 *
 *              changed                 they fit
 *     RESTING --------> attempt ------------------> RESTING
 *                         | ^
 *             they do not | | each RETRY_US, and behind PATIENCE_US each interval,
 *                         v | or when they change again
 *                       WAITING
 *
 * A certificate and its key are two files and are written one after the other: what does not
 * fit yet is not told at once.  Behind PATIENCE_US it is, and once: as long as the reason is
 * the same nothing more is said.
 *
 * Belongs to the thread of its loop.
 */
#ifndef PGTLS_PROXY_RENEWAL_H
#define PGTLS_PROXY_RENEWAL_H

#include "conf/problems.h"
#include "io/loop.h"

#define RENEWAL_RETRY_US    ((uint64_t)500 * 1000)
#define RENEWAL_PATIENCE_US ((uint64_t)3 * 1000 * 1000)

struct renewal {
    /* Set before renewal_init().  attempt() loads everything and serves it, or leaves all as
     * it was and says why in `problems`; it may call renewal_rest(). */
    bool (*attempt)(struct renewal *renewal, struct conf_problems *problems);
    void (*tell)(struct renewal *renewal, const struct conf_problems *problems);

    /* the renewal's */
    struct loop        *loop;
    struct loop_timer   retry;
    uint64_t            interval_us;
    uint64_t            waiting_since_us; /* 0: resting */
    struct conf_problem told;             /* the first of those that were; empty: none */
};

void renewal_init(struct renewal *renewal, struct loop *loop);
void renewal_fini(struct renewal *renewal);

/* Files changed. */
void renewal_begin(struct renewal *renewal);

/* What is served is all new, and was loaded by whomever; `interval_us` counts from now on. */
void renewal_rest(struct renewal *renewal, uint64_t interval_us);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/collector.h - whole messages out of a stream that comes in pieces
 *
 * For what must see every message before anything is done with it.  One that is longer than
 * the limit is a failure: its length is a peer's to choose, our memory is not.
 */
#ifndef PGTLS_PG_COLLECTOR_H
#define PGTLS_PG_COLLECTOR_H

#include "base/buf.h"

enum collected {
    COLLECTED_NOTHING, /* all of `in` was taken; feed again when bytes arrive */
    COLLECTED_MESSAGE,
    COLLECTED_BROKEN, /* an impossible or too long length, or no memory */
};

struct collector {
    struct buf held;
    bool       lent; /* what is held was handed out, and goes with the next call */
};

/* Messages of at most `limit_bytes`, header included. */
void collector_init(struct collector *collector, size_t limit_bytes);
void collector_fini(struct collector *collector); /* wipes: a message may be a password */

/* The next message, header included; borrowed until the next call, from `in` or from here. */
enum collected collector_next(struct collector *collector, struct bytes *in,
                              struct bytes *message);

#endif

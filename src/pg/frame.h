/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/frame.h - hops over messages: where does one end and the next begin?
 *
 * After login the relay looks at nothing else of what the server sends (WIRE
 * T23): it knows when it stands between messages, how many queries ended, and
 * the transaction status at the last ReadyForQuery.  Cuts fall anywhere.
 */
#ifndef PGTLS_PG_FRAME_H
#define PGTLS_PG_FRAME_H

#include "base/bytes.h"

struct frame_hopper {
    uint8_t  header[5]; /* what is there of a header that was cut */
    uint8_t  have;      /* bytes of it, 0..5; 5 = inside a body */
    uint8_t  status;    /* 'I', 'T', 'E' of the last ReadyForQuery; 0 before the first */
    uint32_t body_left;
    uint64_t ready_count; /* ReadyForQuery messages that ended */
};

/* Starts between two messages. */
void frame_hopper_init(struct frame_hopper *hopper);

/*
 * Passes over all of `data`.  False where a length below 4 shows that this is not the
 * protocol: the position is lost for good, and no message may be put in any more.
 */
bool frame_hop(struct frame_hopper *hopper, struct bytes data);

/* No message is half sent. */
static inline bool frame_is_between(const struct frame_hopper *hopper)
{
    return hopper->have == 0;
}

#endif

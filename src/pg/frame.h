/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/frame.h - hops over messages: where does one end and the next begin?
 *
 * After login the relay looks at nothing else: it knows when it stands
 * between messages, how many queries were asked and how many ended, and the
 * transaction status at the last ReadyForQuery.  Cuts fall anywhere.
 *
 * A client's Query, Sync and FunctionCall end in one ReadyForQuery each
 * (PostgreSQL manual 53.2.2 to 53.2.4), so a server whose count is that of its
 * client has nothing left to do, pipelining included, unless it is within a batch of the
 * extended protocol: answers to that may come before its Sync.  One exception: a Sync that
 * stands between Execute and the data of a COPY is ignored (53.2.6).
 */
#ifndef PGTLS_PG_FRAME_H
#define PGTLS_PG_FRAME_H

#include "base/bytes.h"

enum { FRAME_HEADER_LEN = 5 }; /* type and length; the length counts itself, not the type */

/* Lengths are signed on the wire; nothing below 4 or negative is the protocol. */
static inline bool frame_length_is_legal(uint32_t length)
{
    return length - 4 <= INT32_MAX - 4;
}

/* Whether `message` is exactly one message of this type, header included. */
static inline bool frame_is_whole(struct bytes message, uint8_t type)
{
    return message.len >= FRAME_HEADER_LEN && message.p[0] == type &&
           bytes_u32(message.p + 1) == message.len - 1;
}

enum { FRAME_LOST = 0xff };

struct frame_hopper {
    uint8_t  header[FRAME_HEADER_LEN]; /* what is there of a header that was cut */
    uint8_t  have;                     /* bytes of it, 0..5; 5 = inside a body; FRAME_LOST */
    uint8_t  status;       /* 'I', 'T', 'E' of the last ReadyForQuery; 0 before the first */
    bool     terminated;   /* of a client: it sent Terminate */
    bool     in_batch;     /* of a client: behind Parse, Bind and the like, before their Sync */
    uint8_t  last_counted; /* the type of the last one */
    uint32_t body_left;
    uint64_t counted_types; /* a bit for each type 0x40..0x7f that is counted */
    uint64_t copies;        /* of a server: CopyInResponse and CopyBothResponse messages */
    uint64_t count;         /* of a server: ReadyForQuery messages that ended; of a
                               client: requests that end in one */
};

/* Both start between two messages. */
void frame_hopper_init_server(struct frame_hopper *hopper);
void frame_hopper_init_client(struct frame_hopper *hopper);

/*
 * Passes over all of `data`.  False where a length below 4 shows that this is not the
 * protocol: the position is lost for good (every later call says so too), and no
 * message may be put in any more.
 */
bool frame_hop(struct frame_hopper *hopper, struct bytes data);

/* No message is half sent. */
static inline bool frame_is_between(const struct frame_hopper *hopper)
{
    return hopper->have == 0;
}

#endif

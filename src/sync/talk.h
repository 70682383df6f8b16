/* SPDX-License-Identifier: PostgreSQL */
/*
 * sync/talk.h - one connection to a server, for a program that does one thing at a time
 *
 * A socket that waits (io/blocking.h) and a leg (session/leg.h): in the clear first, inside TLS
 * from talk_start_tls() on.  Everything until talk_close() is bounded by one deadline.
 */
#ifndef PGTLS_SYNC_TALK_H
#define PGTLS_SYNC_TALK_H

#include "base/buf.h"
#include "io/blocking.h"
#include "session/leg.h"

struct talk {
    struct blocking socket;
    struct leg      leg;
    uint64_t        deadline_us;
    struct buf      raw;   /* received, not opened yet */
    struct buf      out;   /* sealed, not sent yet */
    struct buf      plain; /* what the server said: taken off by the owner with buf_skip() */
    bool            lacks_memory; /* one of the calls has failed by that */
};

#define TALK_MOST ((size_t)1 << 20) /* bytes of the server that wait for the owner */

/* Connects.  To be ended with talk_close(), whatever was returned.  A talk that was never
 * opened may be closed too, where its socket is BLOCKING_CLOSED and the rest all-zero. */
enum fail talk_open(struct talk *talk, const struct address *address, uint64_t deadline_us,
                    struct failure *why) WARN_UNUSED;

/* Sends, in the clear or inside TLS. */
enum fail talk_send(struct talk *talk, struct bytes plain, struct failure *why) WARN_UNUSED;

/* The same of a message that was put together; where that failed, nothing is sent. */
enum fail talk_send_message(struct talk *talk, const struct buf *message,
                            struct failure *why) WARN_UNUSED;

/*
 * Waits until the server has said something, and appends it to `plain`.  FAIL_CLOSED: it ended,
 * cleanly or not (talk->leg.end); after an alert FAIL_TLS.
 */
enum fail talk_receive(struct talk *talk, struct failure *why) WARN_UNUSED;

/*
 * In the clear: exactly one byte.  What follows it stays in the socket, for TLS and nobody else
 * (CVE-2021-23222).
 */
enum fail talk_receive_byte(struct talk *talk, uint8_t *byte, struct failure *why) WARN_UNUSED;

/* Something of the server is there already, or comes within `wait_us`; an end counts. */
bool talk_hears(struct talk *talk, uint64_t wait_us);

/* The whole handshake.  What is known of it: talk_engine(). */
enum fail talk_start_tls(struct talk *talk, struct tls_context *context,
                         const struct tls_engine_options *options,
                         struct failure                  *why) WARN_UNUSED;

/* NULL in the clear; valid until talk_close(). */
struct tls_engine *talk_engine(const struct talk *talk);

/* Says goodbye where TLS has a word for it, and closes. */
void talk_close(struct talk *talk);

#endif

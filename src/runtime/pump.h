/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/pump.h - the only place where a socket meets a leg
 *
 * A pump moves bytes between one stream of the loop and one leg: what the
 * socket brings goes through the leg to the owner as plaintext; what the owner
 * writes goes through the leg to the socket.  It holds memory only for bytes
 * that the kernel has not taken yet.
 *
 *   IDLE --pump_accept--> OPEN --pump_close--> CLOSING --> IDLE
 *     \--pump_connect--> CONNECTING --> OPEN
 *
 * Back-pressure is not asking: nothing is received before pump_receive(), and
 * each call brings one turn's worth of bytes.
 */
#ifndef PGTLS_RUNTIME_PUMP_H
#define PGTLS_RUNTIME_PUMP_H

#include "io/loop.h"
#include "runtime/buffers.h"
#include "session/leg.h"

enum pump_state { PUMP_IDLE, PUMP_CONNECTING, PUMP_OPEN, PUMP_CLOSING };

struct pump;

struct pump_events {
    void (*connected)(struct pump *pump, int error);
    /* The leg's handshake is finished. */
    void (*secured)(struct pump *pump);
    /* Plaintext; borrowed during the call. */
    void (*plaintext)(struct pump *pump, struct bytes data);
    /* One pump_receive() was served and its bytes were handed over: ask again for more. */
    void (*received)(struct pump *pump);
    /* All that was written is with the kernel. */
    void (*drained)(struct pump *pump);
    /*
     * The peer's direction ended (leg.end says how), or the leg failed.  Once;
     * after pump_discard() it is told when the transport ends.
     */
    void (*ended)(struct pump *pump);
    /*
     * The peer cannot be written to any more; what is written from here on is
     * dropped.  It can still be read: a server's last error may be waiting.
     */
    void (*broken)(struct pump *pump, int error);
    /* pump_close() is done: the memory is the owner's. */
    void (*closed)(struct pump *pump);
    /*
     * The kernel was asked to protect the leg's records: tls_kernel_receives() and the facts of
     * the engine tell what it does.  `why` is empty, or says why it does not do all.  Told
     * again where it does not take a next key, which ends the connection.
     */
    void (*kernel)(struct pump *pump, const struct failure *why);
};

struct pump {
    const struct pump_events *events;
    struct buffers           *buffers;
    struct stream             stream;
    struct leg                leg;
    struct buf                waiting; /* written, not yet submitted */
    struct lent               sending; /* submitted */
    enum pump_state           state;
    bool                      accepted; /* else it connected */
    bool                      receiving;
    bool                      finishing; /* FIN follows what waits */
    bool                      finished;  /* it is sent, or with what is being sent */
    bool                      eof;       /* the transport ended */
    bool                      reset;     /* by a failure, not by a FIN */
    bool                      broken;    /* cannot be written to any more */
    bool                      ended_told;
    bool                      discarding;     /* what still arrives is thrown away */
    uint64_t                  received_bytes; /* on the wire */
    uint64_t                  sent_bytes;
};

void pump_init(struct pump *pump, const struct pump_events *events, struct buffers *buffers);
void pump_fini(struct pump *pump); /* in PUMP_IDLE; frees the leg */

/* Takes over an accepted connection. */
enum fail pump_accept(struct pump *pump, struct loop *loop, struct loop_accepted accepted,
                      struct failure *why) WARN_UNUSED;

/* Connects; ends in `connected`.  The leg starts anew, in the clear. */
enum fail pump_connect(struct pump *pump, struct loop *loop, const struct address *address,
                       const struct stream_options *options, struct failure *why) WARN_UNUSED;

/* Asks for one turn's worth of bytes, at most `at_most` (0: as the loop sees fit). */
void pump_receive(struct pump *pump, size_t at_most);

/*
 * The leg becomes TLS.  `early` holds bytes of the peer that arrived already
 * and belong to the handshake.  Ends in `secured` or `ended`, which may come
 * from within this call when `early` is not empty.
 */
enum fail pump_start_tls(struct pump *pump, struct tls_context *context,
                         const struct tls_engine_options *options, struct bytes early,
                         struct failure *why) WARN_UNUSED;

/*
 * Writes plaintext; it goes out with the next pump_flush().  Fails, leaving the
 * stream unusable, if more than BUFFER_LIMIT would wait.
 */
enum fail pump_write(struct pump *pump, struct bytes plaintext) WARN_UNUSED;

/* Where raw bytes of the negotiation go, which stand before any leg. */
struct buf *pump_out(struct pump *pump);

/* Submits what was written. */
void pump_flush(struct pump *pump);
bool pump_is_drained(const struct pump *pump);

/* How much of what was written the kernel has taken so far: it grows while the peer reads. */
uint64_t pump_taken(const struct pump *pump);

/*
 * Ends our direction behind what waits: close_notify where the leg is TLS and
 * `clean`, then FIN.  What the leg would still say by itself, such as the answer to a
 * KeyUpdate or an alert, is dropped then: sending it would fail, and end the other
 * direction, too.
 */
void pump_finish(struct pump *pump, bool clean);

/*
 * From here on bytes of the peer are read and thrown away unopened: a socket
 * closed with unread bytes resets the connection, and our last words with it
 * (RFC 1122 4.2.2.13).
 */
void pump_discard(struct pump *pump);

/* Ends in `closed`.  In PUMP_IDLE and PUMP_CLOSING it does nothing. */
void pump_close(struct pump *pump, bool abort);

#endif

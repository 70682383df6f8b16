/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/loop_backend.h - what stands behind loop.h; for the backends only
 *
 * A backend embeds struct loop and fills in the operations.  Timers, tasks and
 * the delivery of completions are shared (loop.c, stream.c).  One turn is
 *
 *     wait (the backend: sleeps, then handles what happened) -> streams that wait in
 *     line, as many as are fair -> timers -> tasks -> completions that were queued meanwhile
 *
 * stream.c has checked the arguments and keeps the flags; a backend starts the
 * operation and calls stream_done() when it is done, which only queues the
 * completion.  From within wait it may call `received` and `connected` itself,
 * as the caller of those is the loop and nobody's stream_*() call.
 */
#ifndef PGTLS_IO_LOOP_BACKEND_H
#define PGTLS_IO_LOOP_BACKEND_H

#include "io/loop.h"
#include "io/timer_queue.h"

#include <stdatomic.h>

/* The answer to running out of descriptors: nothing tells when there are some again. */
#define LOOP_ACCEPT_PAUSE_US 100000u

struct loop_listener_ops {
    enum fail (*start)(struct loop_listener *listener, struct failure *why); /* and resume */
    void (*stop)(struct loop_listener *listener);                            /* and pause */
    void (*discard)(struct loop *loop, int fd);
};

struct loop_stream_ops {
    enum fail (*attach)(struct stream *stream, const struct loop_accepted *accepted,
                        struct failure *why);
    enum fail (*connect)(struct stream *stream, const struct address *address,
                         const struct stream_options *options, struct failure *why);
    void (*receive)(struct stream *stream);
    size_t (*take_turn)(struct stream *stream); /* what waited in line; how many bytes it was */
    void (*send)(struct stream *stream);        /* stream->sending */
    void (*shutdown)(struct stream *stream);
    /* Makes ready for keys; 0 or an errno.  NULL: there is no kernel that could take them. */
    int (*prepare_for_keys)(struct stream *stream);
    void (*close)(struct stream *stream, bool abort); /* ends in STREAM_DONE_CLOSED */
    /* NULL where there are no addresses of our own */
    bool (*local_address)(const struct stream *stream, struct address *out);
};

struct loop_ops {
    const char *name;
    void (*free)(struct loop *loop);
    void (*wait)(struct loop *loop); /* until loop_fall_asleep() says; calls loop_wake_up() */
    void (*wake)(struct loop *loop); /* from any thread: ends a wait */
    /* what = 0 stops it, which cannot fail */
    enum fail (*watch)(struct loop *loop, struct loop_watch *watch, unsigned what,
                       struct failure *why);
    const struct loop_listener_ops *listener;
    const struct loop_stream_ops   *stream;
};

struct loop {
    const struct loop_ops *ops;
    uint64_t               now_us;
    int64_t                wall_s;
    struct failure         refusal; /* why it is not the kind that was asked for */
    bool                   stopped;
    size_t                 crowd;   /* how many were ready in the last turn */
    size_t                 streams; /* attached or connected, `closed` not delivered */
    struct timer_queue     timers;
    struct stream         *line; /* streams whose bytes wait for a fair turn, in order */
    struct stream        **line_end;
    struct stream         *done; /* completions to deliver, in order */
    struct stream        **done_end;

    _Atomic(struct loop_task *) posted; /* newest first */
    atomic_bool                 is_asleep;
};

void loop_init(struct loop *loop, const struct loop_ops *ops);

/* One turn of loop_run(). */
void loop_turn(struct loop *loop);

/*
 * A backend calls this before it waits: the time until which it may sleep, 0
 * for not at all.  From here until loop_wake_up() a loop_post() calls `wake`.
 */
uint64_t loop_fall_asleep(struct loop *loop);
void     loop_wake_up(struct loop *loop, uint64_t now_us, int64_t wall_s);
void     loop_wake_up_now(struct loop *loop); /* by the system's clocks */

/* Whether something is to be done at once: completions or tasks. */
bool loop_is_busy(struct loop *loop);

/* Pauses a listener and tells it; the listener may be gone afterwards. */
void loop_listener_pause(struct loop_listener *listener, int error);

/* ---- streams ---- */

/* So many bytes at once are a part of something larger. */
#define STREAM_BULK_BYTES ((size_t)16 * 1024)

enum stream_flag {
    STREAM_CONNECTING = 1 << 0,
    STREAM_RECEIVING = 1 << 1, /* asked for and not answered */
    STREAM_SENDING = 1 << 2,   /* until `sent` is called */
    STREAM_CLOSING = 1 << 3,
    STREAM_BULK = 1 << 4, /* the last receive brought a lot */
    STREAM_PATIENT = 1 << 5,
    STREAM_IN_LINE = 1 << 6,

    /* completions that wait for delivery */
    STREAM_DONE_CONNECTED = 1 << 8,
    STREAM_DONE_SENT = 1 << 9,
    STREAM_DONE_RECEIVED = 1 << 10, /* with receive_error, without data */
    STREAM_DONE_CLOSED = 1 << 11,
    STREAM_QUEUED = 1 << 12,

    STREAM_BY_EPOLL = 1 << 13,     /* io_uring: epoll moves its bytes, as the kernel has keys */
    STREAM_KERNEL_SENDS = 1 << 14, /* `sending` is frames */
    STREAM_KERNEL_RECEIVES = 1 << 15,
    STREAM_LAST = 1 << 16,         /* what is sent now has the end of file behind it */
    STREAM_SHUTDOWN_DUE = 1 << 17, /* the kernel has to pass on what it took first */
};

#define STREAM_DONE                                                                            \
    (STREAM_DONE_CONNECTED | STREAM_DONE_SENT | STREAM_DONE_RECEIVED | STREAM_DONE_CLOSED)

/* Queues a completion. */
void stream_done(struct stream *stream, enum stream_flag what);

/* Whether bytes wait to be sent. */
bool stream_has_unsent(const struct stream *stream);

/*
 * Fairness.  A stream that moves bytes in bulk, or is patient, does not receive
 * when the backend finds it ready: it is put in line, and the loop calls
 * take_turn for as many of the line as one turn's budget has room for.  All
 * others come first, and the loop looks for them again after each such turn.
 */
bool stream_waits_in_line(struct stream *stream); /* false: it need not */
void stream_line_moves(struct loop *loop);

/* How much a receive may bring now. */
size_t stream_receive_budget(const struct stream *stream);

/* Tells `received` or `connected` at once; only from within a backend's wait or take_turn. */
void stream_received(struct stream *stream, struct bytes data, int error);
void stream_connected(struct stream *stream, int error);

/* Delivers what is queued now, not what is queued meanwhile. */
void stream_deliver_done(struct loop *loop);

#endif

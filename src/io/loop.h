/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/loop.h - the event loop: submit an operation, get its completion
 *
 * One loop belongs to one thread.  An operation (accept, connect, receive,
 * send, timer) is submitted and later completes through a callback, never
 * from within the call that submitted it.  Nothing above io/ can tell which
 * backend runs: the epoll backend does the system call when the socket is
 * ready and then reports it done, io_uring lets the kernel do it, and the
 * simulated one (tests/sim) moves bytes and time by itself.
 *
 * The structs below are embedded in the caller's own and found again with
 * container_of: the loop allocates nothing per operation.  Fields under
 * "the loop's" are not for callers.
 *
 * Only loop_post() may be called from another thread.
 */
#ifndef PGTLS_IO_LOOP_H
#define PGTLS_IO_LOOP_H

#include "base/bytes.h"
#include "base/fail.h"
#include "io/address.h"

#define container_of(pointer, type, member)                                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* The most bytes one on_received() brings: scratch buffers are sized by it. */
#define LOOP_RECEIVE_MAX ((size_t)256 * 1024)

struct loop;

/* ---- the loop itself ---- */

enum loop_kind { LOOP_AUTO, LOOP_EPOLL, LOOP_IO_URING };

/*
 * A loop for the calling thread, and for no other.  NULL with `why` filled where
 * the system says no.  LOOP_AUTO and LOOP_IO_URING mean io_uring where the
 * kernel has all of it that is needed and lets us use it, and else epoll:
 * loop_refusal() tells why then.
 */
struct loop *loop_new(enum loop_kind kind, struct failure *why);
void loop_free(struct loop *loop); /* every stream, listener and watch is closed already */
const char *loop_name(const struct loop *loop);    /* "epoll", "io_uring" */
const char *loop_refusal(const struct loop *loop); /* NULL: none */

void loop_run(struct loop *loop);  /* until loop_stop() */
void loop_stop(struct loop *loop); /* from a callback: loop_run() returns after this turn */

/* Time as of this turn: cheap, and the same for everything in one turn. */
uint64_t loop_now_us(const struct loop *loop); /* monotonic */
int64_t  loop_wall_s(const struct loop *loop); /* seconds since 1970: certificate dates */

/* ---- tasks: a call in the loop's thread ---- */

struct loop_task {
    void (*run)(struct loop_task *task);
    struct loop_task *next; /* the loop's */
};

/*
 * Runs `task` in a later turn of the loop's thread.  Thread-safe, does not
 * block, allocates nothing; `task` must stay until it runs and may then be
 * posted again or freed.  In the loop's own thread it means "after this turn".
 */
void loop_post(struct loop *loop, struct loop_task *task);

/* ---- timers ---- */

struct loop_timer {
    void (*expired)(struct loop_timer *timer);

    /* the loop's: place in its queue; not running where prev is NULL */
    uint64_t           at_us;
    struct loop_timer *child;
    struct loop_timer *next;
    struct loop_timer *prev;
};

/* Runs `expired` once, in a later turn, `delay_us` from now.  A running timer is moved. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_us);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer); /* a stopped one is fine */
bool loop_timer_is_running(const struct loop_timer *timer);

/* ---- watches: descriptors of others (c-ares, inotify, signalfd) ---- */

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };

struct loop_watch {
    void (*ready)(struct loop_watch *watch, unsigned what);
    int      fd;   /* borrowed; the owner closes it after loop_watch_stop() */
    unsigned what; /* the loop's */
};

/* `what` is a set of LOOP_READABLE and LOOP_WRITABLE; calling it again changes the set. */
enum fail loop_watch_start(struct loop *loop, struct loop_watch *watch, unsigned what,
                           struct failure *why) WARN_UNUSED;
void      loop_watch_stop(struct loop *loop, struct loop_watch *watch);

/* ---- listeners ---- */

/* Of a connected socket. */
struct stream_options {
    bool     no_delay;
    unsigned keepalive_s;     /* 0: none */
    unsigned user_timeout_ms; /* 0: the system's */
    /* connecting: where from, with any port; NULL where the system chooses.  One of another
     * family is an error, as one of another machine is. */
    const struct address *source;
};

/* A connection that was accepted; it belongs to whoever is told of it. */
struct loop_accepted {
    int            fd; /* give it to stream_attach() or loop_discard() */
    struct address peer;
};

struct loop_listener {
    void (*accepted)(struct loop_listener *listener, struct loop_accepted accepted);
    /* descriptors or memory ran out; accepting is paused for a while and resumes by itself */
    void (*paused)(struct loop_listener *listener, int error);
    struct stream_options options; /* of what is accepted; `source` means nothing here */

    /* the loop's */
    int               fd;
    bool              shared;
    struct loop_timer resume;
    struct loop      *loop;
};

/*
 * Accepts from `fd`, a listening socket made by io/socket.h, until
 * loop_listener_stop().  `shared`: other loops accept from the same socket too.
 * The descriptor stays the caller's.  `accepted`, `paused` and `options` are set by
 * the caller before.  Connections inherit the options from the listening socket, which
 * has those of the last start: one that waits to be accepted keeps what it got.
 */
enum fail loop_listener_start(struct loop *loop, struct loop_listener *listener, int fd,
                              bool shared, struct failure *why) WARN_UNUSED;
void      loop_listener_stop(struct loop_listener *listener);

/* Closes an accepted connection that nobody wants. */
void loop_discard(struct loop *loop, struct loop_accepted accepted);

/* ---- streams: connected sockets ---- */

struct stream;

/* Completions.  `error` is 0 or an errno. */
struct stream_events {
    /* stream_connect() is done; after an error only stream_close() is left to do. */
    void (*connected)(struct stream *stream, int error);
    /*
     * stream_receive() is done.  `data` is valid during the call only: what is
     * not used must be copied.  No data and no error: the peer sent its end of
     * file, and nothing more will come.
     */
    void (*received)(struct stream *stream, struct bytes data, int error);
    /* stream_send() is done: all of it is with the kernel, or error. */
    void (*sent)(struct stream *stream, int error);
    /* stream_close() is done: the stream's memory is the owner's again. */
    void (*closed)(struct stream *stream);
    /*
     * Asked while sending, not a completion: the frame of a key was reached, and
     * stream_set_key() must be called.  Returns 0 or an errno, which is that of sending.
     */
    int (*key)(struct stream *stream);
};

struct stream {
    const struct stream_events *events;
    struct loop                *loop;

    /* the loop's */
    int            fd;
    unsigned       flags;
    unsigned       registered; /* what the backend waits for */
    uint32_t       receive_limit;
    struct bytes   sending; /* what the kernel has not taken yet */
    int            send_error;
    int            receive_error; /* or that of connecting */
    struct stream *next_done;
    struct stream *next_wanting;
    struct stream *next_in_line;
    void          *backend;    /* what a backend keeps beside, if it needs more */
    uint16_t       frame_left; /* of the frame that `sending` stands in */
    uint8_t        frame_type;
};

/* Takes over an accepted descriptor.  On failure the descriptor is closed. */
enum fail stream_attach(struct stream *stream, struct loop *loop,
                        const struct stream_events *events, struct loop_accepted accepted,
                        struct failure *why) WARN_UNUSED;

/*
 * Makes a socket and connects; ends in `connected`, which also tells most
 * failures.  A failure returned here means there is nothing to close.
 * `address` is copied.
 */
enum fail stream_connect(struct stream *stream, struct loop *loop,
                         const struct stream_events *events, const struct address *address,
                         const struct stream_options *options, struct failure *why) WARN_UNUSED;

/* The address of our end; false where the system does not tell. */
bool stream_local_address(const struct stream *stream, struct address *out);

/*
 * Asks for one `received` of at most `at_most` bytes (0: as many as the loop
 * finds fair, never more than LOOP_RECEIVE_MAX).  At most one is under way;
 * nothing is read from the socket before it is asked for: back-pressure is not
 * asking.
 */
void stream_receive(struct stream *stream, size_t at_most);

/*
 * What this stream receives takes long to work on: a handshake.  A patient one is
 * told of it when the others have been, and few of them in one turn of the loop.
 */
void stream_set_patient(struct stream *stream, bool patient);

/*
 * Sends all of `data`, which must stay as it is until `sent`.  At most one is
 * under way.
 */
void stream_send(struct stream *stream, struct bytes data);
bool stream_is_sending(const struct stream *stream);
/* Of that, what the kernel has not taken yet. */
size_t stream_unsent(const struct stream *stream);

/* The same for the last bytes: stream_shutdown() follows at once when they are sent, and the
 * end of file goes with them where it can. */
void stream_send_last(struct stream *stream, struct bytes data);

/* Sends the end of file (FIN); only while nothing is being sent. */
void stream_shutdown(struct stream *stream);

/*
 * Gives keys of one direction of TLS to the kernel (io/kernel_tls.h), the first or the next.
 * From the first on that direction is frames: io/kernel_tls.h says what they look like.  One
 * frame that is sent is one record; those that are received are whole.  Only while nothing is
 * asked for or being sent, but for the next key of sending, which stream_events.key sets.
 * Sending comes first.  0 or an errno: the stream goes on as it was.
 */
enum stream_way { STREAM_SENDS, STREAM_RECEIVES };
int stream_set_key(struct stream *stream, enum stream_way way, struct bytes keys);

/*
 * Ends everything; no completion but `closed` comes after this call, never
 * from within it.  `abort` discards what the kernel still holds and resets the
 * connection.  A stream that was never attached or connected must not be closed.
 */
void stream_close(struct stream *stream, bool abort);

#endif

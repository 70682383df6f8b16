/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/loop_epoll.h - the epoll backend: level-triggered, system calls made when
 * the socket is ready; private to the backends
 *
 * Its listeners, watches and posts serve the io_uring backend too, which embeds
 * this one and waits for its descriptor: they are not what a query costs.
 *
 * What is registered for a stream follows what is asked for as lazily as is
 * safe: EPOLLIN stays between two receives and is taken off only when the
 * socket turns readable while nobody asks, EPOLLOUT is there only while bytes
 * wait.  A query costs epoll_wait, recv and send, nothing else.
 */
#ifndef PGTLS_IO_LOOP_EPOLL_H
#define PGTLS_IO_LOOP_EPOLL_H

#include "io/loop_backend.h"

struct epoll_event;

struct loop_epoll {
    struct loop           loop;
    int                   epoll_fd;
    int                   wake_fd;
    struct epoll_event   *batch; /* what the last epoll_wait() told */
    size_t                batch_len;
    size_t                batch_at;  /* the one that is handled now */
    struct loop_listener *accepting; /* the listener that is handled now; NULL once it stops */
    int                   accept_flags; /* of accept4() */
    uint8_t              *scratch;      /* LOOP_RECEIVE_MAX, for every receive */
};

/* What an event is about, kept in the low bits of its pointer. */
enum loop_epoll_tag { TAG_STREAM, TAG_LISTENER, TAG_WATCH, TAG_WAKE, TAG_MASK = 7 };

struct loop *loop_epoll_new(struct failure *why);

/* All but the streams, for a backend that has its own: the descriptors, and what they tell.
 * Closing is fine after opening failed. */
enum fail loop_epoll_open(struct loop_epoll *epoll, const struct loop_ops *ops,
                          int accept_flags, struct failure *why) WARN_UNUSED;
void      loop_epoll_close(struct loop_epoll *epoll);
void      loop_epoll_collect(struct loop_epoll *epoll, int timeout_ms); /* waits */
void      loop_epoll_handle(struct loop_epoll *epoll);                  /* what was collected */

/* loop_ops of both */
extern const struct loop_listener_ops loop_epoll_listener_ops;
void                                  loop_epoll_wake(struct loop *loop);
enum fail loop_epoll_watch(struct loop *loop, struct loop_watch *watch, unsigned what,
                           struct failure *why);

static inline struct loop_epoll *loop_epoll_of(struct loop *loop)
{
    return container_of(loop, struct loop_epoll, loop);
}

/* Changes what is registered for `fd` from `was` to `want`; 0 is "not registered".
 * Returns 0 or an errno. */
int loop_epoll_register(struct loop_epoll *epoll, int fd, unsigned was, unsigned want,
                        const void *pointer, enum loop_epoll_tag tag);

extern const struct loop_stream_ops loop_epoll_stream_ops;
void loop_epoll_stream_event(struct stream *stream, unsigned what);

#endif

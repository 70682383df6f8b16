/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/loop_uring_parts.h - what the files of the io_uring backend share
 *
 * Nobody else includes it.
 */
#ifndef PGTLS_IO_LOOP_URING_PARTS_H
#define PGTLS_IO_LOOP_URING_PARTS_H

#include "io/loop_epoll.h"
#include "io/loop_uring.h"
#include "io/uring_buffers.h"

#include <liburing.h>

struct loop_uring {
    struct loop_epoll    epoll; /* first: it holds the loop */
    struct io_uring      ring;
    struct uring_buffers buffers;
    bool                 polls_epoll; /* the ring tells when epoll has something */
    bool                 is_quiet;    /* this turn has one completion, or none */
    struct stream       *wanting;     /* streams with operations to submit, in order */
    struct stream      **wanting_end;
};

/* What a completion is about, in the low bits of the stream's address. */
enum uring_tag { URING_RECEIVED, URING_SENT, URING_CONNECTED, URING_CANCELLED, URING_EPOLL };
#define URING_TAG_MASK 7u

static inline struct loop_uring *loop_uring_of(struct loop *loop)
{
    return container_of(loop, struct loop_uring, epoll.loop);
}

/* Whether a ring with these buffers does what the backend needs, tried on a pair of sockets. */
enum fail uring_check(struct io_uring *ring, struct uring_buffers *buffers,
                      struct failure *why) WARN_UNUSED;

/* Puts what is wanted into the ring; false where some had no room. */
bool uring_streams_submit(struct loop_uring *uring);

/* One completion of a stream. */
void uring_stream_completed(struct loop_uring *uring, enum uring_tag tag, struct stream *stream,
                            const struct io_uring_cqe *cqe);

extern const struct loop_stream_ops uring_stream_ops;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/uring_buffers.h - what the kernel receives into
 *
 * A ring of small buffers serves all armed receives: the kernel takes one when
 * data is there, so a connection that waits holds none.  Beside it a few large
 * ones, made when first needed, are lent to a receive of a stream whose bytes
 * come in bulk, for one submission: it either finds data or gives it back.
 */
#ifndef PGTLS_IO_URING_BUFFERS_H
#define PGTLS_IO_URING_BUFFERS_H

#include "base/fail.h"
#include "io/loop.h"

#include <liburing.h>

#define URING_BUFFER_BYTES  ((size_t)16 * 1024)
#define URING_BUFFER_COUNT  256u /* a power of two */
#define URING_BUFFER_GROUP  0
#define URING_LARGE_BYTES   LOOP_RECEIVE_MAX
#define URING_LARGE_BUFFERS 8u

struct uring_buffers {
    struct io_uring_buf_ring *ring;
    uint8_t                  *memory;
    unsigned                  left; /* of the small ones, for the kernel to take */
    uint8_t                  *large[URING_LARGE_BUFFERS]; /* spare */
    unsigned                  large_spare;
    unsigned                  large_made;
};

enum fail uring_buffers_open(struct uring_buffers *buffers, struct io_uring *ring,
                             struct failure *why) WARN_UNUSED;
void      uring_buffers_close(struct uring_buffers *buffers); /* once the ring is gone */

/* The small buffer that a completion's flags name, or NULL; it is ours until given back. */
uint8_t *uring_buffers_taken(struct uring_buffers *buffers, unsigned cqe_flags);

/* NULL where all are lent or there is no memory. */
uint8_t *uring_buffers_take_large(struct uring_buffers *buffers);

/* Of either size; NULL is fine. */
void uring_buffers_give(struct uring_buffers *buffers, uint8_t *buffer);

#endif

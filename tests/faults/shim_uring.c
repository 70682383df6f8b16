/* SPDX-License-Identifier: PostgreSQL */
/*
 * Operations that go through a ring are no system calls: they are spoilt before they are
 * submitted.  A short one moves a few bytes, one on no descriptor fails; the call that submits
 * is interrupted, refused or late.
 */
#include "shim.h"

#include <errno.h>
#include <liburing.h>

static void spoil(struct io_uring_sqe *sqe)
{
    uint64_t number;

    if (sqe->opcode != IORING_OP_RECV && sqe->opcode != IORING_OP_SEND &&
        sqe->opcode != IORING_OP_POLL_ADD)
        return;
    if ((number = fate(CALL_RING_OPERATION)) == 0)
        return;
    if ((number >> 4) % 4 == 0)
        sqe->fd = -1;
    else if (sqe->opcode != IORING_OP_POLL_ADD && sqe->len > 8)
        sqe->len = 1 + (uint32_t)(number >> 8) % 7;
}

/* 0, or the error of a call that submits nothing. */
static int before(struct io_uring *ring)
{
    uint64_t number = fate(CALL_RING_ENTER);

    for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; at++)
        spoil(&ring->sq.sqes[at & *ring->sq.kring_mask]);
    if (number == 0)
        return 0;
    if ((number >> 4) % 2 == 0)
        return CHOOSE(number >> 8, EINTR, EAGAIN, EBUSY);
    be_late(number >> 8);
    return 0;
}

EXPORT int io_uring_submit(struct io_uring *ring)
{
    int error = before(ring);

    return error != 0 ? -error : REAL(io_uring_submit)(ring);
}

EXPORT int io_uring_submit_and_get_events(struct io_uring *ring)
{
    int error = before(ring);

    return error != 0 ? -error : REAL(io_uring_submit_and_get_events)(ring);
}

EXPORT int io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
    int error = before(ring);

    return error != 0 ? -error : REAL(io_uring_submit_and_wait)(ring, count);
}

EXPORT int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned count, struct __kernel_timespec *time,
                                            sigset_t *mask)
{
    int error = before(ring);

    return error != 0 ? -error
                      : REAL(io_uring_submit_and_wait_timeout)(ring, cqe, count, time, mask);
}

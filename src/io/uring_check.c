/* SPDX-License-Identifier: PostgreSQL */
/*
 * A filter may allow the set-up of a ring and forbid its use, and a kernel may
 * know an operation and not the flag that is needed: only doing it tells.
 */
#include "io/loop_uring_parts.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHECK_RECEIVED, CHECK_SENT, CHECK_CANCELLED, CHECKS };

struct result {
    int      res;
    unsigned flags;
};

struct check {
    struct io_uring *ring;
    int              ends[2];
    struct result    results[CHECKS]; /* of each operation */
};

static enum fail cannot(int error, struct failure *why)
{
    return fail_errno(why, error, "io_uring: it does not work here");
}

/* Submits, and waits for the completions in `wanted`, a second at the most. */
static int run(struct check *check, unsigned wanted)
{
    struct __kernel_timespec second = { .tv_sec = 1 };

    while (wanted > 0) {
        struct io_uring_cqe *cqe = NULL;
        int rc = io_uring_submit_and_wait_timeout(check->ring, &cqe, 1, &second, NULL);

        if (cqe == NULL && rc != -EINTR)
            return rc < 0 ? -rc : EIO;
        if (cqe == NULL)
            continue;
        check->results[cqe->user_data % CHECKS] = (struct result){ cqe->res, cqe->flags };
        io_uring_cqe_seen(check->ring, cqe);
        wanted--;
    }
    return 0;
}

static void receive(struct check *check)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(check->ring);

    io_uring_prep_recv(sqe, check->ends[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, CHECK_RECEIVED);
}

static int error_of(const struct result *result)
{
    return result->res < 0 ? -result->res : EIO;
}

/* A receive that waits is answered by a send, in a buffer of the ring. */
static enum fail check_transfer(struct check *check, struct uring_buffers *buffers,
                                struct failure *why)
{
    struct io_uring_sqe *sqe;
    uint8_t             *buffer;
    bool                 good;
    int                  error;

    receive(check);
    sqe = io_uring_get_sqe(check->ring);
    io_uring_prep_send(sqe, check->ends[1], "pgtls", 5, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, CHECK_SENT);
    if ((error = run(check, 2)) != 0)
        return cannot(error, why);
    if (check->results[CHECK_SENT].res != 5)
        return cannot(error_of(&check->results[CHECK_SENT]), why);
    buffer = uring_buffers_taken(buffers, check->results[CHECK_RECEIVED].flags);
    good = buffer != NULL && check->results[CHECK_RECEIVED].res == 5 &&
           memcmp(buffer, "pgtls", 5) == 0;
    uring_buffers_give(buffers, buffer);
    return good ? FAIL_NONE : cannot(error_of(&check->results[CHECK_RECEIVED]), why);
}

/* A receive that waits can be cancelled by its descriptor. */
static enum fail check_cancel(struct check *check, struct failure *why)
{
    struct io_uring_sqe *sqe;
    int                  error;

    receive(check);
    sqe = io_uring_get_sqe(check->ring);
    io_uring_prep_cancel_fd(sqe, check->ends[0], IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, CHECK_CANCELLED);
    if ((error = run(check, 2)) != 0)
        return cannot(error, why);
    if (check->results[CHECK_CANCELLED].res < 0)
        return cannot(error_of(&check->results[CHECK_CANCELLED]), why);
    if (check->results[CHECK_RECEIVED].res != -ECANCELED)
        return cannot(EIO, why);
    return FAIL_NONE;
}

enum fail uring_check(struct io_uring *ring, struct uring_buffers *buffers, struct failure *why)
{
    struct check check = { .ring = ring };
    enum fail    rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, check.ends) != 0)
        return cannot(errno, why);
    rc = check_transfer(&check, buffers, why);
    if (rc == FAIL_NONE)
        rc = check_cancel(&check, why);
    close(check.ends[0]);
    close(check.ends[1]);
    return rc;
}

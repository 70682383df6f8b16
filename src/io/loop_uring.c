/* SPDX-License-Identifier: PostgreSQL */
#include "io/loop_uring_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What could not be submitted is tried again after this time at the latest. */
#define RETRY_US 1000u

/* A ring's memory counts against RLIMIT_MEMLOCK of the user, all processes together: where the
 * first does not fit, the second may.  A turn that has more to submit does it in parts, and
 * completions that do not fit are kept by the kernel. */
static const struct {
    unsigned submissions;
    unsigned completions;
} sizes[] = { { 1024, 8192 }, { 256, 1024 } };

/* ---- the turn ---- */

static void poll_epoll(struct loop_uring *uring)
{
    struct io_uring_sqe *sqe;

    if (uring->polls_epoll || (sqe = io_uring_get_sqe(&uring->ring)) == NULL)
        return;
    io_uring_prep_poll_add(sqe, uring->epoll.epoll_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, URING_EPOLL);
    uring->polls_epoll = true;
}

/* Submits and waits until `until_us`.  Whatever it says, what was not submitted stays in the
 * ring for the next turn, and completions are looked at. */
static void enter(struct loop_uring *uring, uint64_t until_us)
{
    uint64_t                 now_us = uring->epoll.loop.now_us;
    uint64_t                 wait_us = until_us > now_us ? until_us - now_us : 0;
    struct __kernel_timespec wait = { .tv_sec = (int64_t)(wait_us / 1000000),
                                      .tv_nsec = (long long)(wait_us % 1000000 * 1000) };
    struct io_uring_cqe     *first;

    if (wait_us <= 1) /* a timer without delay is for the next turn: do not sleep */
        io_uring_submit_and_get_events(&uring->ring);
    else if (until_us == TIMER_NEVER)
        io_uring_submit_and_wait(&uring->ring, 1);
    else
        io_uring_submit_and_wait_timeout(&uring->ring, &first, 1, &wait, NULL);
}

static void completed(struct loop_uring *uring, const struct io_uring_cqe *cqe)
{
    enum uring_tag tag = cqe->user_data & URING_TAG_MASK;
    void          *stream = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)URING_TAG_MASK);

    if (tag != URING_EPOLL) {
        uring_stream_completed(uring, tag, stream, cqe);
        return;
    }
    uring->polls_epoll = false;
    loop_epoll_collect(&uring->epoll, 0);
    uring->epoll.loop.crowd += uring->epoll.batch_len;
    loop_epoll_handle(&uring->epoll);
}

/* Callbacks want operations and submit none, so nothing comes up behind the end meanwhile. */
static void take_completions(struct loop_uring *uring)
{
    struct io_uring_cqe *cqe;
    unsigned             head, count = 0;

    uring->epoll.loop.crowd = 0;
    uring->is_quiet = io_uring_cq_ready(&uring->ring) <= 1;
    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        completed(uring, cqe);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
}

static void on_wait(struct loop *loop)
{
    struct loop_uring *uring = loop_uring_of(loop);
    bool               all;
    uint64_t           until_us;

    poll_epoll(uring);
    all = uring_streams_submit(uring) && uring->polls_epoll;
    until_us = loop_fall_asleep(loop); /* behind the submissions: a stream may have closed */
    if (!all && until_us > loop->now_us + RETRY_US)
        until_us = loop->now_us + RETRY_US;
    enter(uring, until_us);
    loop_wake_up_now(loop);
    take_completions(uring);
}

/* ---- making and freeing ---- */

static int make_ring(struct io_uring *ring)
{
    int error = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        /* DEFER_TASKRUN: completions are worked out when we wait, not whenever the kernel
         * interrupts us.  SUBMIT_ALL: one operation that is refused does not stop the rest. */
        struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
            .cq_entries = sizes[i].completions,
        };

        error = -io_uring_queue_init_params(sizes[i].submissions, ring, &params);
        if (error != ENOMEM)
            break;
    }
    return error;
}

static enum fail explain(int error, struct failure *why)
{
    static const struct {
        int         error;
        const char *reason;
    } reasons[] = {
        { ENOSYS, "the kernel, or a filter of system calls, has none" },
        { EPERM, "kernel.io_uring_disabled, or a filter of system calls, forbids it" },
        { EINVAL, "the kernel is older than 6.1" },
        { ENOMEM, "RLIMIT_MEMLOCK is too low" },
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].error == error)
            return fail_errno(why, error, "io_uring: %s", reasons[i].reason);
    }
    return fail_errno(why, error, "io_uring: cannot make a ring");
}

static void on_free(struct loop *loop)
{
    struct loop_uring *uring = loop_uring_of(loop);

    io_uring_queue_exit(&uring->ring);
    uring_buffers_close(&uring->buffers);
    loop_epoll_close(&uring->epoll);
    free(uring->epoll.scratch);
    free(uring);
}

static const struct loop_ops uring_ops = {
    .name = "io_uring",
    .free = on_free,
    .wait = on_wait,
    .wake = loop_epoll_wake,
    .watch = loop_epoll_watch,
    .listener = &loop_epoll_listener_ops,
    .stream = &uring_stream_ops,
};

static enum fail fill(struct loop_uring *uring, struct failure *why)
{
    enum fail rc = uring_buffers_open(&uring->buffers, &uring->ring, why);

    if (rc == FAIL_NONE)
        rc = uring_check(&uring->ring, &uring->buffers, why);
    /* no SOCK_NONBLOCK: the ring would then not wait for a socket either */
    if (rc == FAIL_NONE)
        rc = loop_epoll_open(&uring->epoll, &uring_ops, SOCK_CLOEXEC, why);
    return rc;
}

struct loop *loop_uring_new(struct failure *why)
{
    struct loop_uring *uring = calloc(1, sizeof *uring);
    int                error;

    if (uring == NULL) {
        fail(why, FAIL_MEMORY, "io_uring: no memory for an event loop");
        return NULL;
    }
    uring->epoll.epoll_fd = -1;
    uring->epoll.wake_fd = -1;
    uring->wanting_end = &uring->wanting;
    if ((error = make_ring(&uring->ring)) != 0) {
        explain(error, why);
        free(uring);
        return NULL;
    }
    if (fill(uring, why) != FAIL_NONE) {
        on_free(&uring->epoll.loop);
        return NULL;
    }
    loop_wake_up_now(&uring->epoll.loop);
    return &uring->epoll.loop;
}

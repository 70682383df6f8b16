/* SPDX-License-Identifier: PostgreSQL */
#include "io/loop_epoll.h"
#include "io/stream_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH_MOST        256
#define ACCEPTS_PER_EVENT 64

int loop_epoll_register(struct loop_epoll *epoll, int fd, unsigned was, unsigned want,
                        const void *pointer, enum loop_epoll_tag tag)
{
    struct epoll_event event = { .events = want, .data.u64 = (uintptr_t)pointer | tag };
    int                what = was == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (was == want)
        return 0;
    if (want == 0)
        what = EPOLL_CTL_DEL;
    return epoll_ctl(epoll->epoll_fd, what, fd, &event) == 0 ? 0 : errno;
}

/* Listeners and watches may be freed as soon as they are stopped: what this turn still holds
 * for them must not reach them.  (A stream's memory outlives the turn.) */
static void forget_events(struct loop_epoll *epoll, const void *pointer,
                          enum loop_epoll_tag tag)
{
    for (size_t i = epoll->batch_at + 1; i < epoll->batch_len; i++) {
        if (epoll->batch[i].data.u64 == ((uintptr_t)pointer | tag))
            epoll->batch[i].data.u64 = TAG_WAKE;
    }
}

/* ---- watches ---- */

static unsigned events_of(unsigned what)
{
    return (what & LOOP_READABLE ? EPOLLIN : 0u) | (what & LOOP_WRITABLE ? EPOLLOUT : 0u);
}

enum fail loop_epoll_watch(struct loop *loop, struct loop_watch *watch, unsigned what,
                           struct failure *why)
{
    struct loop_epoll *epoll = loop_epoll_of(loop);
    int error = loop_epoll_register(epoll, watch->fd, events_of(watch->what), events_of(what),
                                    watch, TAG_WATCH);

    if (what == 0)
        forget_events(epoll, watch, TAG_WATCH);
    else if (error != 0)
        return fail_errno(why, error, "cannot watch descriptor %d", watch->fd);
    return FAIL_NONE;
}

static void handle_watch(struct loop_watch *watch, unsigned events)
{
    unsigned what = 0;

    /* an error is found by whoever reads or writes */
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        what |= LOOP_READABLE;
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        what |= LOOP_WRITABLE;
    watch->ready(watch, what & watch->what);
}

/* ---- listeners ---- */

static unsigned listener_events(const struct loop_listener *listener)
{
    /* several loops on one socket: a connection wakes one of them, not all */
    return listener->shared ? EPOLLIN | EPOLLEXCLUSIVE : (unsigned)EPOLLIN;
}

static enum fail on_listener_start(struct loop_listener *listener, struct failure *why)
{
    int error;

    stream_socket_listens(listener->fd, &listener->options);
    error = loop_epoll_register(loop_epoll_of(listener->loop), listener->fd, 0,
                                listener_events(listener), listener, TAG_LISTENER);

    return error == 0 ? FAIL_NONE : fail_errno(why, error, "cannot wait for connections");
}

static void on_listener_stop(struct loop_listener *listener)
{
    struct loop_epoll *epoll = loop_epoll_of(listener->loop);

    loop_epoll_register(epoll, listener->fd, listener_events(listener), 0, listener,
                        TAG_LISTENER);
    forget_events(epoll, listener, TAG_LISTENER);
    if (epoll->accepting == listener)
        epoll->accepting = NULL;
}

static void on_discard(struct loop *loop, int fd)
{
    close(fd);
}

/* Failures of the connection that was about to be accepted; accept(2) names them. */
static bool is_about_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
    case EPERM:
    case ETIMEDOUT: return true;
    default: return false;
    }
}

/* Accepts one connection; false when there is none, or the listener is paused. */
static bool accept_one(struct loop_listener *listener)
{
    struct loop_accepted accepted = { .fd = -1 };
    socklen_t            length = sizeof accepted.peer.storage;

    accepted.fd = accept4(listener->fd, (struct sockaddr *)accepted.peer.storage, &length,
                          loop_epoll_of(listener->loop)->accept_flags);
    if (accepted.fd >= 0) {
        accepted.peer.length = length;
        listener->accepted(listener, accepted);
        return true;
    }
    if (errno == EAGAIN)
        return false;
    if (is_about_one_connection(errno))
        return true;
    loop_listener_pause(listener, errno);
    return false;
}

static void handle_listener(struct loop_epoll *epoll, struct loop_listener *listener)
{
    epoll->accepting = listener;
    for (int i = 0; i < ACCEPTS_PER_EVENT && epoll->accepting != NULL; i++) {
        if (!accept_one(listener))
            break;
    }
    epoll->accepting = NULL;
}

/* ---- the turn ---- */

static int milliseconds_until(const struct loop *loop, uint64_t wake_us)
{
    uint64_t ms;

    if (wake_us == TIMER_NEVER)
        return -1;
    if (wake_us <=
        loop->now_us + 1) /* a timer without delay is for the next turn: do not sleep */
        return 0;
    ms = (wake_us - loop->now_us + 999) / 1000; /* rounded up: waking early is a wasted turn */
    return ms < 3600000 ? (int)ms : 3600000;
}

static void handle(struct loop_epoll *epoll, const struct epoll_event *event)
{
    void *pointer = (void *)(uintptr_t)(event->data.u64 & ~(uint64_t)TAG_MASK);

    switch (event->data.u64 & TAG_MASK) {
    case TAG_STREAM: loop_epoll_stream_event(pointer, event->events); break;
    case TAG_LISTENER: handle_listener(epoll, pointer); break;
    case TAG_WATCH: handle_watch(pointer, event->events); break;
    default: break; /* awake now, which was all */
    }
}

void loop_epoll_collect(struct loop_epoll *epoll, int timeout_ms)
{
    int n = epoll_wait(epoll->epoll_fd, epoll->batch, BATCH_MOST, timeout_ms);

    epoll->batch_len = n > 0 ? (size_t)n : 0;
}

void loop_epoll_handle(struct loop_epoll *epoll)
{
    for (epoll->batch_at = 0; epoll->batch_at < epoll->batch_len; epoll->batch_at++)
        handle(epoll, &epoll->batch[epoll->batch_at]);
    epoll->batch_len = 0;
}

static void on_wait(struct loop *loop)
{
    struct loop_epoll *epoll = loop_epoll_of(loop);

    loop_epoll_collect(epoll, milliseconds_until(loop, loop_fall_asleep(loop)));
    loop_wake_up_now(loop);
    loop->crowd = epoll->batch_len;
    loop_epoll_handle(epoll);
}

void loop_epoll_wake(struct loop *loop)
{
    uint64_t one = 1;

    /* cannot fail: the counter has room for centuries of wake-ups */
    if (write(loop_epoll_of(loop)->wake_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

const struct loop_listener_ops loop_epoll_listener_ops = {
    .start = on_listener_start,
    .stop = on_listener_stop,
    .discard = on_discard,
};

/* ---- making and freeing ---- */

enum fail loop_epoll_open(struct loop_epoll *epoll, const struct loop_ops *ops,
                          int accept_flags, struct failure *why)
{
    int error;

    loop_init(&epoll->loop, ops);
    epoll->accept_flags = accept_flags;
    epoll->epoll_fd = -1;
    epoll->wake_fd = -1;
    if ((epoll->batch = calloc(BATCH_MOST, sizeof *epoll->batch)) == NULL)
        return fail(why, FAIL_MEMORY, "no memory for an event loop");
    if ((epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return fail_errno(why, errno, "cannot make an epoll descriptor");
    if ((epoll->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        return fail_errno(why, errno, "cannot make an event descriptor");
    /* edge-triggered: each write wakes, and nobody has to read it */
    error = loop_epoll_register(epoll, epoll->wake_fd, 0, EPOLLIN | EPOLLET, NULL, TAG_WAKE);
    return error == 0 ? FAIL_NONE : fail_errno(why, error, "cannot watch an event descriptor");
}

void loop_epoll_close(struct loop_epoll *epoll)
{
    if (epoll->epoll_fd >= 0)
        close(epoll->epoll_fd);
    if (epoll->wake_fd >= 0)
        close(epoll->wake_fd);
    free(epoll->batch);
}

static void on_free(struct loop *loop)
{
    struct loop_epoll *epoll = loop_epoll_of(loop);

    loop_epoll_close(epoll);
    free(epoll->scratch);
    free(epoll);
}

static const struct loop_ops epoll_ops = {
    .name = "epoll",
    .free = on_free,
    .wait = on_wait,
    .wake = loop_epoll_wake,
    .watch = loop_epoll_watch,
    .listener = &loop_epoll_listener_ops,
    .stream = &loop_epoll_stream_ops,
};

struct loop *loop_epoll_new(struct failure *why)
{
    struct loop_epoll *epoll = calloc(1, sizeof *epoll);

    if (epoll == NULL) {
        fail(why, FAIL_MEMORY, "no memory for an event loop");
        return NULL;
    }
    if (loop_epoll_open(epoll, &epoll_ops, SOCK_NONBLOCK | SOCK_CLOEXEC, why) == FAIL_NONE) {
        if ((epoll->scratch = malloc(LOOP_RECEIVE_MAX)) != NULL) {
            loop_wake_up_now(&epoll->loop);
            return &epoll->loop;
        }
        fail(why, FAIL_MEMORY, "no memory for an event loop");
    }
    on_free(&epoll->loop);
    return NULL;
}

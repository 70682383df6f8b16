/* SPDX-License-Identifier: PostgreSQL */
#include "io/kernel_tls.h"
#include "io/loop_epoll.h"
#include "io/stream_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_registered(struct stream *stream, unsigned want)
{
    int error = loop_epoll_register(loop_epoll_of(stream->loop), stream->fd, stream->registered,
                                    want, stream, TAG_STREAM);

    if (error == 0)
        stream->registered = want;
    return error;
}

/* Registers no more than is asked for: an event that nobody wants must not come again.  That
 * is nothing at all where nothing is asked for, as EPOLLHUP and EPOLLERR cannot be masked. */
static void unregister_unwanted(struct stream *stream)
{
    unsigned want = 0;

    if (stream->flags & STREAM_RECEIVING)
        want |= EPOLLIN;
    if (stream_has_unsent(stream) || stream->flags & STREAM_SHUTDOWN_DUE)
        want |= EPOLLOUT;
    set_registered(stream, stream->registered & want);
}

/* ---- sending ---- */

/* Sends once; 0 or an errno. */
static int send_bytes(struct stream *stream)
{
    ssize_t n = send(stream->fd, stream->sending.p, stream->sending.len,
                     stream_socket_send_flags(stream));

    if (n < 0)
        return errno;
    bytes_skip(&stream->sending, (size_t)n);
    return 0;
}

static int send_part_of_frame(struct stream *stream)
{
    struct bytes part = bytes_first(stream->sending, stream->frame_left);
    ssize_t      n = kernel_tls_send(stream->fd, stream->frame_type, part);

    if (n < 0)
        return errno;
    bytes_skip(&stream->sending, (size_t)n);
    stream->frame_left = (uint16_t)(stream->frame_left - n);
    return 0;
}

/* Goes on until all frames are sent, or one cannot be; 0 or an errno. */
static int send_frames(struct stream *stream)
{
    int error = 0;

    while (error == 0 && stream->sending.len > 0) {
        if (stream->frame_left > 0) {
            error = send_part_of_frame(stream);
            continue;
        }
        stream->frame_type = stream->sending.p[0];
        stream->frame_left = bytes_u16(stream->sending.p + 3);
        bytes_skip(&stream->sending, KERNEL_TLS_HEADER);
        if (stream->frame_type == KERNEL_TLS_KEY)
            error = stream->events->key(stream);
    }
    return error;
}

/* Sends what the kernel takes; false when some is left. */
static bool send_some(struct stream *stream)
{
    int error;

    do
        error = stream->flags & STREAM_KERNEL_SENDS ? send_frames(stream) : send_bytes(stream);
    while (error == EINTR);
    if (error == EAGAIN)
        return false;
    if (error != 0) {
        stream_socket_send_failed(stream, error);
        return true;
    }
    if (stream->sending.len > 0)
        return false;
    stream_done(stream, STREAM_DONE_SENT);
    return true;
}

static void on_send(struct stream *stream)
{
    int error;

    if (send_some(stream))
        return;
    if ((error = set_registered(stream, stream->registered | EPOLLOUT)) != 0)
        stream_socket_send_failed(stream, error);
}

static void shut_down(struct stream *stream)
{
    stream->flags &= ~(unsigned)STREAM_SHUTDOWN_DUE;
    set_registered(stream, stream->registered & ~(unsigned)EPOLLOUT);
    stream_socket_shutdown(stream);
}

static void handle_writable(struct stream *stream)
{
    if (stream->flags & STREAM_SHUTDOWN_DUE)
        shut_down(stream);
    if (stream_has_unsent(stream) && send_some(stream))
        set_registered(stream, stream->registered & ~(unsigned)EPOLLOUT);
}

/* ---- receiving ---- */

static void on_receive(struct stream *stream)
{
    int error = set_registered(stream, stream->registered | EPOLLIN);

    if (error != 0) {
        stream->receive_error = error;
        stream_done(stream, STREAM_DONE_RECEIVED);
    }
}

/* A record is received whole, whatever was asked for.  What the kernel cannot read is told in a
 * frame, once: it would be read again and again. */
static ssize_t receive_frames(struct stream *stream, uint8_t *to)
{
    size_t  least = KERNEL_TLS_HEADER + KERNEL_TLS_CONTENT_MOST;
    size_t  most = stream_receive_budget(stream);
    ssize_t n;

    if (stream->receive_error != 0) {
        errno = stream->receive_error;
        return -1;
    }
    n = kernel_tls_receive(stream->fd, to, most > least ? most : least);
    if (n > 0 && to[0] == KERNEL_TLS_ERROR)
        stream->receive_error = bytes_u16(to + KERNEL_TLS_HEADER);
    return n;
}

static size_t receive_some(struct stream *stream)
{
    uint8_t *to = loop_epoll_of(stream->loop)->scratch;
    ssize_t  n = stream->flags & STREAM_KERNEL_RECEIVES
                     ? receive_frames(stream, to)
                     : recv(stream->fd, to, stream_receive_budget(stream), 0);
    int      error = n < 0 ? errno : 0;

    if (error == EAGAIN || error == EINTR)
        return 0;
    if (n > 0) {
        stream_received(stream, bytes_of(to, (size_t)n), 0);
        return (size_t)n;
    }
    /* the end stays readable for ever */
    set_registered(stream, stream->registered & ~(unsigned)EPOLLIN);
    if (n == 0)
        error = stream_socket_error_at_end(stream);
    stream_received(stream, bytes_of(NULL, 0), error);
    return 0;
}

static void handle_readable(struct stream *stream)
{
    if (!(stream->flags & STREAM_RECEIVING) || stream_waits_in_line(stream))
        return;
    receive_some(stream);
}

/* ---- connecting ---- */

static void finish_connecting(struct stream *stream)
{
    int error = stream_socket_connect_error(stream->fd);

    /* on success a receive is next: it finds its registration made */
    set_registered(stream, error == 0 ? EPOLLIN : 0u);
    stream_connected(stream, error);
}

void loop_epoll_stream_event(struct stream *stream, unsigned what)
{
    if (stream->flags & STREAM_CLOSING)
        return;
    if (stream->flags & STREAM_CONNECTING) {
        finish_connecting(stream);
        return;
    }
    if (!(stream->flags & STREAM_RECEIVING) && (what & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        unregister_unwanted(stream);
    if (what & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        handle_writable(stream); /* queues its answer only, so the stream stays open */
    if (what & (EPOLLIN | EPOLLERR | EPOLLHUP))
        handle_readable(stream);
}

static enum fail on_attach(struct stream *stream, const struct loop_accepted *accepted,
                           struct failure *why)
{
    int error;

    stream->fd = accepted->fd;
    if ((error = set_registered(stream, EPOLLIN)) != 0) {
        close(stream->fd);
        return fail_errno(why, error, "cannot watch a connection");
    }
    return FAIL_NONE;
}

static enum fail on_connect(struct stream *stream, const struct address *address,
                            const struct stream_options *options, struct failure *why)
{
    int       error;
    enum fail rc = stream_socket_connect(&stream->fd, &error, address, options, why);

    if (rc != FAIL_NONE)
        return rc;
    if (error == EINPROGRESS && (error = set_registered(stream, EPOLLOUT)) == 0)
        return FAIL_NONE;
    stream->receive_error = error;
    stream_done(stream, STREAM_DONE_CONNECTED);
    return FAIL_NONE;
}

/* ---- ending ---- */

/*
 * Records that the kernel has taken may still wait in front of TCP, where there was no room,
 * and would never get past an end of file: it waits for room then.
 */
static void on_shutdown(struct stream *stream)
{
    struct pollfd room = { .fd = stream->fd, .events = POLLOUT };

    if (!(stream->flags & STREAM_KERNEL_SENDS) || poll(&room, 1, 0) > 0 ||
        set_registered(stream, stream->registered | EPOLLOUT) != 0)
        stream_socket_shutdown(stream);
    else
        stream->flags |= STREAM_SHUTDOWN_DUE;
}

static int on_prepare_for_keys(struct stream *stream)
{
    return 0;
}

static void on_close(struct stream *stream, bool abort)
{
    if (abort)
        stream_socket_will_reset(stream->fd);
    /* close() alone leaves it registered while a child that is about to exec holds a copy */
    set_registered(stream, 0);
    close(stream->fd);
    stream->fd = -1;
    stream_done(stream, STREAM_DONE_CLOSED);
}

const struct loop_stream_ops loop_epoll_stream_ops = {
    .attach = on_attach,
    .connect = on_connect,
    .local_address = stream_socket_local_address,
    .receive = on_receive,
    .take_turn = receive_some,
    .send = on_send,
    .shutdown = on_shutdown,
    .prepare_for_keys = on_prepare_for_keys,
    .close = on_close,
};

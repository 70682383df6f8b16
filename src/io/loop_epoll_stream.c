/* SPDX-License-Identifier: PostgreSQL */
#include "io/loop_epoll.h"
#include "io/socket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One receive brings at most this while other events wait: a small query beside bulk streams
 * took 4 ms behind turns of 256 KiB each, 0.6 ms behind these. */
#define RECEIVE_SHARED ((size_t)64 * 1024)

#define KEEPALIVE_INTERVAL_S 10u
#define KEEPALIVE_PROBES     3u

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
    if (stream_has_unsent(stream))
        want |= EPOLLOUT;
    set_registered(stream, stream->registered & want);
}

/* ---- sending ---- */

/* Memory may have run out, of all reasons, and the connection be alive: whoever reads on, for
 * the last words of a peer, must find an end. */
static void sending_failed(struct stream *stream, int error)
{
    shutdown(stream->fd, SHUT_RDWR);
    stream->send_error = error;
    stream_done(stream, STREAM_DONE_SENT);
}

/* Sends what the kernel takes; false when some is left. */
static bool send_some(struct stream *stream)
{
    ssize_t n;

    do
        n = send(stream->fd, stream->sending.p, stream->sending.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n < 0) {
        sending_failed(stream, errno);
        return true;
    }
    bytes_skip(&stream->sending, (size_t)n);
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
        sending_failed(stream, error);
}

static void handle_writable(struct stream *stream)
{
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

static void on_receive_stop(struct stream *stream)
{
    stream->flags &= ~(unsigned)STREAM_RECEIVING;
}

/* A send that found the connection reset has taken the error away, and the next receive
 * reads like an orderly end.  EPIPE says that the peer's end of file came first. */
static int error_at_end(const struct stream *stream)
{
    return stream->send_error == EPIPE ? 0 : stream->send_error;
}

static size_t receive_budget(const struct loop_epoll *epoll, const struct stream *stream)
{
    size_t fair = epoll->batch_len > 1 ? RECEIVE_SHARED : LOOP_RECEIVE_MAX;

    return stream->receive_limit < fair ? stream->receive_limit : fair;
}

static void receive_some(struct loop_epoll *epoll, struct stream *stream)
{
    ssize_t n = recv(stream->fd, epoll->scratch, receive_budget(epoll, stream), 0);
    int     error = n < 0 ? errno : 0;

    if (error == EAGAIN || error == EINTR)
        return;
    if (n > 0) {
        stream_received(stream, bytes_of(epoll->scratch, (size_t)n), 0);
        return;
    }
    /* the end stays readable for ever */
    set_registered(stream, stream->registered & ~(unsigned)EPOLLIN);
    stream_received(stream, bytes_of(NULL, 0), n == 0 ? error_at_end(stream) : error);
}

/* ---- connecting ---- */

static void finish_connecting(struct stream *stream)
{
    int       error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    /* on success a receive is next: it finds its registration made */
    set_registered(stream, error == 0 ? EPOLLIN : 0u);
    stream_connected(stream, error);
}

void loop_epoll_stream_event(struct loop_epoll *epoll, struct stream *stream, unsigned what)
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
    if ((what & (EPOLLIN | EPOLLERR | EPOLLHUP)) && (stream->flags & STREAM_RECEIVING))
        receive_some(epoll, stream);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static void set_option(int fd, int level, int name, unsigned value)
{
    /* refused only where the connection is gone already, which the next operation tells */
    (void)!setsockopt(fd, level, name, &value, sizeof value);
}

static void set_options(int fd, const struct stream_options *options)
{
    if (options->no_delay)
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->keepalive_s > 0) {
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keepalive_s);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL,
                   smaller(options->keepalive_s, KEEPALIVE_INTERVAL_S));
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    }
    if (options->user_timeout_ms > 0)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout_ms);
}

static enum fail on_attach(struct stream *stream, const struct loop_accepted *accepted,
                           const struct stream_options *options, struct failure *why)
{
    int error;

    stream->fd = accepted->fd;
    if (!address_is_unix(&accepted->peer))
        set_options(stream->fd, options);
    if ((error = set_registered(stream, EPOLLIN)) != 0) {
        close(stream->fd);
        return fail_errno(why, error, "cannot watch a connection");
    }
    return FAIL_NONE;
}

/* The port is chosen when connecting, so that it need only be unique for that destination:
 * more than 60,000 connections from one address (ip(7), IP_BIND_ADDRESS_NO_PORT). */
static int bind_source(int fd, const struct address *source, const struct address *to)
{
    const struct sockaddr *from =
        source != NULL ? (const struct sockaddr *)source->storage : NULL;

    if (from == NULL || from->sa_family != ((const struct sockaddr *)to->storage)->sa_family)
        return 0;
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, from, source->length) == 0 ? 0 : errno;
}

static enum fail on_connect(struct stream *stream, const struct address *address,
                            const struct stream_options *options, struct failure *why)
{
    const struct sockaddr *to = (const struct sockaddr *)address->storage;
    int                    error = 0;

    stream->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0)
        return fail_errno(why, errno, "cannot make a socket");
    if (!address_is_unix(address))
        set_options(stream->fd, options);
    error = bind_source(stream->fd, options->source, address);
    if (error == 0 && connect(stream->fd, to, address->length) != 0)
        error = errno;
    if (error == EINPROGRESS || error == EINTR) {
        if ((error = set_registered(stream, EPOLLOUT)) == 0)
            return FAIL_NONE;
    }
    stream->receive_error = error;
    stream_done(stream, STREAM_DONE_CONNECTED);
    return FAIL_NONE;
}

static bool local_address(const struct stream *stream, struct address *out)
{
    struct failure ignored = { 0 };

    return socket_local_address(stream->fd, out, &ignored) == FAIL_NONE;
}

/* ---- ending ---- */

static void on_shutdown(struct stream *stream)
{
    shutdown(stream->fd, SHUT_WR); /* fails only where the connection is gone */
}

static void on_close(struct stream *stream, bool abort)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    if (abort)
        (void)!setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    /* close() alone leaves it registered while a child that is about to exec holds a copy */
    set_registered(stream, 0);
    close(stream->fd);
    stream->fd = -1;
    stream_done(stream, STREAM_DONE_CLOSED);
}

const struct loop_stream_ops loop_epoll_stream_ops = {
    .attach = on_attach,
    .connect = on_connect,
    .local_address = local_address,
    .receive = on_receive,
    .receive_stop = on_receive_stop,
    .send = on_send,
    .shutdown = on_shutdown,
    .close = on_close,
};

/* SPDX-License-Identifier: PostgreSQL */
#include "io/stream_socket.h"

#include "io/loop_backend.h"
#include "io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_INTERVAL_S 10u
#define KEEPALIVE_PROBES     3u

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

void stream_socket_listens(int fd, const struct stream_options *options)
{
    /* those of before; a Unix socket has none of them, and refuses them */
    if (!options->no_delay)
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 0);
    if (options->keepalive_s == 0)
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    if (options->user_timeout_ms == 0)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
    set_options(fd, options);
}

/* ---- connecting ---- */

/* The port is chosen when connecting, so that it need only be unique for that destination:
 * more than 60,000 connections from one address (ip(7), IP_BIND_ADDRESS_NO_PORT). */
static int bind_source(int fd, const struct address *source, const struct address *to)
{
    const struct sockaddr *from =
        source != NULL ? (const struct sockaddr *)source->storage : NULL;

    if (from == NULL)
        return 0;
    if (from->sa_family != ((const struct sockaddr *)to->storage)->sa_family)
        return EAFNOSUPPORT;
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, from, source->length) == 0 ? 0 : errno;
}

enum fail stream_socket_connect(int *fd, int *error, const struct address *address,
                                const struct stream_options *options, struct failure *why)
{
    const struct sockaddr *to = (const struct sockaddr *)address->storage;

    *fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return fail_errno(why, errno, "cannot make a socket");
    if (!address_is_unix(address))
        set_options(*fd, options);
    *error = bind_source(*fd, options->source, address);
    if (*error == 0 && connect(*fd, to, address->length) != 0)
        *error = errno == EINTR ? EINPROGRESS : errno;
    return FAIL_NONE;
}

int stream_socket_connect_error(int fd)
{
    int       error = 0;
    socklen_t size = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

bool stream_socket_local_address(const struct stream *stream, struct address *out)
{
    struct failure ignored = { 0 };

    return socket_local_address(stream->fd, out, &ignored) == FAIL_NONE;
}

/* ---- ending ---- */

void stream_socket_will_reset(int fd)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    (void)!setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

int stream_socket_send_flags(const struct stream *stream)
{
    return MSG_NOSIGNAL | (stream->flags & STREAM_LAST ? MSG_MORE : 0);
}

void stream_socket_shutdown(struct stream *stream)
{
    shutdown(stream->fd, SHUT_WR); /* fails only where the connection is gone */
}

/* Memory may have run out, of all reasons, and the connection be alive: whoever reads on, for
 * the last words of a peer, must find an end. */
void stream_socket_send_failed(struct stream *stream, int error)
{
    shutdown(stream->fd, SHUT_RDWR);
    stream->send_error = error;
    stream_done(stream, STREAM_DONE_SENT);
}

/* A send that found the connection reset has taken the error away, and the next receive
 * reads like an orderly end.  EPIPE says that the peer's end of file came first. */
int stream_socket_error_at_end(const struct stream *stream)
{
    return stream->send_error == EPIPE ? 0 : stream->send_error;
}

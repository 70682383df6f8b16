/* SPDX-License-Identifier: PostgreSQL */
#include "io/blocking.h"

#include "io/loop.h"
#include "io/stream_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- waiting ---- */

static int left_ms(uint64_t deadline_us)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;

    /* rounded up: a wait that ends early would spin */
    return left_us / 1000 < INT32_MAX - 1 ? (int)((left_us + 999) / 1000) : INT32_MAX;
}

/* True where `what` (or an error) is there; false at the deadline. */
static bool wait_for(const struct blocking *socket, short what, uint64_t deadline_us)
{
    struct pollfd one = { .fd = socket->fd, .events = what };
    int           n;

    do
        n = poll(&one, 1, left_ms(deadline_us));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

bool blocking_is_readable(const struct blocking *socket, uint64_t deadline_us)
{
    return wait_for(socket, POLLIN, deadline_us);
}

/* ---- connecting ---- */

static enum fail finish_connect(const struct blocking *socket, const char *where,
                                uint64_t deadline_us, struct failure *why)
{
    int error;

    if (!wait_for(socket, POLLOUT, deadline_us))
        return fail(why, FAIL_TIMEOUT, "cannot connect to %s: no answer in time", where);
    error = stream_socket_connect_error(socket->fd);
    return error == 0 ? FAIL_NONE : fail_errno(why, error, "cannot connect to %s", where);
}

enum fail blocking_connect(struct blocking *out, const struct address *address,
                           uint64_t deadline_us, struct failure *why)
{
    const struct sockaddr *name = (const struct sockaddr *)address->storage;
    struct blocking made = { socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                    0) };
    char            where[ADDRESS_TEXT];
    int             on = 1;
    enum fail       rc = FAIL_NONE;

    address_format(address, where);
    if (made.fd < 0)
        return fail_errno(why, errno, "cannot make a socket for %s", where);
    if (!address_is_unix(address))
        setsockopt(made.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(made.fd, name, address->length) != 0)
        rc = errno == EINPROGRESS ? finish_connect(&made, where, deadline_us, why)
                                  : fail_errno(why, errno, "cannot connect to %s", where);
    if (rc != FAIL_NONE)
        blocking_close(&made);
    *out = made;
    return rc;
}

void blocking_close(struct blocking *socket)
{
    if (socket->fd >= 0)
        close(socket->fd);
    socket->fd = -1;
}

/* ---- bytes ---- */

static enum fail lost(int error, struct failure *why)
{
    fail_errno(why, error, "the connection was lost");
    why->kind = FAIL_CLOSED;
    return FAIL_CLOSED;
}

enum fail blocking_send(const struct blocking *socket, struct bytes data, uint64_t deadline_us,
                        struct failure *why)
{
    while (data.len > 0) {
        ssize_t n = send(socket->fd, data.p, data.len, MSG_NOSIGNAL);

        if (n >= 0)
            bytes_skip(&data, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            return lost(errno, why);
        else if (!wait_for(socket, POLLOUT, deadline_us))
            return fail(why, FAIL_TIMEOUT, "the peer took no more bytes in time");
    }
    return FAIL_NONE;
}

enum fail blocking_receive(const struct blocking *socket, struct buf *into, size_t at_most,
                           uint64_t deadline_us, struct failure *why)
{
    size_t   room = buf_room(into) < at_most ? buf_room(into) : at_most;
    uint8_t *to = room > 0 ? buf_reserve(into, room) : NULL;
    ssize_t  n;

    if (to == NULL)
        return buf_failure(into, FAIL_LIMIT, "the peer sends more than can be kept", why);
    do {
        /* a peer that never stops talking is never waited for: the deadline holds for it too */
        if (clock_monotonic_us() >= deadline_us || !wait_for(socket, POLLIN, deadline_us))
            return fail(why, FAIL_TIMEOUT, "no answer in time");
        n = recv(socket->fd, to, room, 0);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    if (n < 0)
        return lost(errno, why);
    if (n == 0)
        return fail(why, FAIL_CLOSED, "the peer closed the connection");
    buf_wrote(into, (size_t)n);
    return FAIL_NONE;
}

/* ---- names ---- */

struct look_up {
    struct resolve_request     request;
    struct loop_timer          deadline;
    struct loop               *loop;
    struct blocking_addresses *out;
    struct failure            *why;
};

static void on_resolved(struct resolve_request *request, const struct address *addresses,
                        size_t count, const struct failure *why)
{
    struct look_up *look_up = container_of(request, struct look_up, request);

    for (size_t i = 0; i < count; i++)
        look_up->out->items[i] = addresses[i];
    look_up->out->count = count;
    if (count == 0)
        *look_up->why = *why;
    loop_stop(look_up->loop);
}

static void on_deadline(struct loop_timer *timer)
{
    struct look_up *look_up = container_of(timer, struct look_up, deadline);

    fail_hint(look_up->why, "no name server answers; which ones: see /etc/resolv.conf");
    fail(look_up->why, FAIL_TIMEOUT, "the name was not looked up in time");
    loop_stop(look_up->loop);
}

static enum fail run(struct look_up *look_up, struct resolver *resolver, const char *host,
                     uint16_t port, uint64_t deadline_us)
{
    loop_timer_start(look_up->loop, &look_up->deadline, (uint64_t)left_ms(deadline_us) * 1000);
    resolver_start(resolver, &look_up->request, host, port);
    loop_run(look_up->loop);
    resolver_cancel(&look_up->request);
    loop_timer_stop(look_up->loop, &look_up->deadline);
    return look_up->why->kind;
}

enum fail blocking_resolve(struct blocking_addresses *out, const char *host, uint16_t port,
                           const char *servers, uint64_t deadline_us, struct failure *why)
{
    struct look_up look_up = {
        .request.resolved = on_resolved, .deadline.expired = on_deadline, .out = out, .why = why
    };
    struct resolver *resolver = NULL;
    enum fail        rc = FAIL_NONE;

    *out = (struct blocking_addresses){ 0 };
    if ((look_up.loop = loop_new(LOOP_EPOLL, why)) == NULL)
        return why->kind;
    if ((resolver = resolver_new(look_up.loop, why)) == NULL)
        rc = why->kind;
    if (rc == FAIL_NONE && servers != NULL)
        rc = resolver_use_servers(resolver, servers, why);
    if (rc == FAIL_NONE)
        rc = run(&look_up, resolver, host, port, deadline_us);
    resolver_free(resolver);
    loop_free(look_up.loop);
    return rc;
}

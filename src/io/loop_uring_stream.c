/* SPDX-License-Identifier: PostgreSQL */
#include "io/loop_uring_parts.h"
#include "io/stream_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * stream->registered: the low byte has the operations that are in the ring, the next one those
 * that are wanted; QUEUED: the stream stands in the queue of those that want something; HELD: a
 * receive is done and waits in line, its buffer in `backend`, its result in `receive_error`.
 */
enum operation {
    CONNECT = 1 << 0,
    SEND = 1 << 1,
    RECEIVE = 1 << 2,
    CANCEL = 1 << 3, /* all of them: it closes */
    ALL = CONNECT | SEND | RECEIVE | CANCEL,
};
#define WANTED(operation) ((unsigned)(operation) << 8)
#define QUEUED            (1u << 16)
#define HELD              (1u << 17)

#define OPERATIONS_MOST 3u /* that a stream puts into the ring at once */

/* ---- wanting ---- */

static void queue(struct loop_uring *uring, struct stream *stream)
{
    stream->registered |= QUEUED;
    stream->next_wanting = NULL;
    *uring->wanting_end = stream;
    uring->wanting_end = &stream->next_wanting;
}

static void want(struct stream *stream, enum operation operation)
{
    stream->registered |= WANTED(operation);
    if (!(stream->registered & QUEUED))
        queue(loop_uring_of(stream->loop), stream);
}

/* The one place where a stream's memory is given back: nothing of it is in the ring, or in the
 * queue before it. */
static void finish_closing(struct stream *stream)
{
    if (!(stream->flags & STREAM_CLOSING) || (stream->registered & (ALL | QUEUED)) ||
        stream->fd < 0)
        return;
    close(stream->fd);
    stream->fd = -1;
    stream_done(stream, STREAM_DONE_CLOSED);
}

/* ---- submitting ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A submission of this operation; there is room for it. */
static struct io_uring_sqe *prepare(struct loop_uring *uring, struct stream *stream,
                                    enum operation operation)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    stream->registered &= ~WANTED(operation);
    stream->registered |= operation;
    return sqe;
}

static void submit_connect(struct loop_uring *uring, struct stream *stream)
{
    struct io_uring_sqe *sqe = prepare(uring, stream, CONNECT);

    io_uring_prep_poll_add(sqe, stream->fd, POLLOUT);
    io_uring_sqe_set_data64(sqe, (uintptr_t)stream | URING_CONNECTED);
}

/* So that stream_unsent() sees what a slow peer takes: the ring tells of whole operations. */
#define SEND_AT_ONCE ((size_t)128 * 1024)

static void submit_send(struct loop_uring *uring, struct stream *stream)
{
    struct io_uring_sqe *sqe = prepare(uring, stream, SEND);

    struct bytes part = bytes_first(stream->sending, SEND_AT_ONCE);

    /* MSG_WAITALL: the kernel goes on by itself after a part, as soon as there is room */
    io_uring_prep_send(sqe, stream->fd, part.p, part.len,
                       MSG_WAITALL | stream_socket_send_flags(stream));
    io_uring_sqe_set_data64(sqe, (uintptr_t)stream | URING_SENT);
}

/* Into a large buffer where bytes come in bulk, and only what is there already: it is not lent
 * to a receive that waits. */
static void submit_receive(struct loop_uring *uring, struct stream *stream)
{
    struct io_uring_sqe *sqe = prepare(uring, stream, RECEIVE);
    size_t               most = stream_receive_budget(stream);

    stream->backend =
        stream->flags & STREAM_BULK ? uring_buffers_take_large(&uring->buffers) : NULL;
    if (stream->backend != NULL) {
        io_uring_prep_recv(sqe, stream->fd, stream->backend, smaller(most, URING_LARGE_BYTES),
                           MSG_DONTWAIT);
    } else {
        io_uring_prep_recv(sqe, stream->fd, NULL, smaller(most, URING_BUFFER_BYTES), 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_BUFFER_GROUP;
    }
    io_uring_sqe_set_data64(sqe, (uintptr_t)stream | URING_RECEIVED);
}

static void submit_cancel(struct loop_uring *uring, struct stream *stream)
{
    struct io_uring_sqe *sqe = prepare(uring, stream, CANCEL);

    io_uring_prep_cancel_fd(sqe, stream->fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, (uintptr_t)stream | URING_CANCELLED);
}

/* A receive would fail at once where all small buffers hold what waits to be told: it stays
 * wanted until one is given back. */
static bool is_starved(const struct loop_uring *uring, const struct stream *stream)
{
    return (stream->registered & WANTED(RECEIVE)) && uring->buffers.left == 0 &&
           !(stream->flags & STREAM_CLOSING);
}

/* In an order that matters: what is still to be sent goes before the end of it all. */
static void submit(struct loop_uring *uring, struct stream *stream)
{
    bool closing = (stream->flags & STREAM_CLOSING) != 0;

    if (stream->registered & WANTED(CONNECT) && !closing)
        submit_connect(uring, stream);
    if (stream->registered & WANTED(SEND))
        submit_send(uring, stream);
    if (stream->registered & WANTED(RECEIVE) && !closing && uring->buffers.left > 0)
        submit_receive(uring, stream);
    if (closing && (stream->registered & WANTED(CANCEL)) && (stream->registered & ALL))
        submit_cancel(uring, stream);
    if (closing)
        stream->registered &= ~WANTED(ALL);
    finish_closing(stream);
}

static bool has_room(struct loop_uring *uring)
{
    if (io_uring_sq_space_left(&uring->ring) >= OPERATIONS_MOST)
        return true;
    io_uring_submit(&uring->ring);
    return io_uring_sq_space_left(&uring->ring) >= OPERATIONS_MOST;
}

bool uring_streams_submit(struct loop_uring *uring)
{
    struct stream *stream = uring->wanting;
    struct stream *next;

    uring->wanting = NULL;
    uring->wanting_end = &uring->wanting;
    for (; stream != NULL && has_room(uring); stream = next) {
        next = stream->next_wanting;
        stream->registered &= ~QUEUED;
        submit(uring, stream);
        if (is_starved(uring, stream))
            queue(uring, stream);
    }
    if (stream == NULL)
        return true;
    /* the rest keeps its place behind those that are starved */
    *uring->wanting_end = stream;
    while (stream->next_wanting != NULL)
        stream = stream->next_wanting;
    uring->wanting_end = &stream->next_wanting;
    return false;
}

/* ---- completions ---- */

static bool is_to_be_repeated(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOBUFS;
}

/* Tells what a receive brought: bytes, the end, or a negative error. */
static void tell(struct stream *stream, uint8_t *buffer, int result)
{
    struct uring_buffers *buffers = &loop_uring_of(stream->loop)->buffers;

    if (result > 0)
        stream_received(stream, bytes_of(buffer, (size_t)result), 0);
    else
        stream_received(stream, bytes_of(NULL, 0),
                        result < 0 ? -result : stream_socket_error_at_end(stream));
    uring_buffers_give(buffers, buffer);
}

static size_t on_take_turn(struct stream *stream)
{
    uint8_t *buffer = stream->backend;
    size_t   length = stream->receive_error > 0 ? (size_t)stream->receive_error : 0;

    if (!(stream->registered & HELD))
        return 0;
    stream->registered &= ~HELD;
    stream->backend = NULL;
    tell(stream, buffer, stream->receive_error);
    return length;
}

/* Nothing was received: it is tried again. */
static void not_received(struct stream *stream)
{
    stream->flags &= ~(unsigned)STREAM_BULK; /* a large buffer found nothing */
    if (!(stream->flags & STREAM_CLOSING))
        want(stream, RECEIVE);
}

static void received(struct loop_uring *uring, struct stream *stream,
                     const struct io_uring_cqe *cqe)
{
    uint8_t *buffer = stream->backend;

    stream->backend = NULL;
    if (buffer == NULL)
        buffer = uring_buffers_taken(&uring->buffers, cqe->flags);
    if ((stream->flags & STREAM_CLOSING) || cqe->res == -ECANCELED ||
        is_to_be_repeated(-cqe->res)) {
        uring_buffers_give(&uring->buffers, buffer);
        not_received(stream);
        return;
    }
    uring->epoll.loop.crowd++;
    if (!stream_waits_in_line(stream)) {
        tell(stream, buffer, cqe->res);
        return;
    }
    stream->registered |= HELD;
    stream->backend = buffer;
    stream->receive_error = cqe->res;
}

static void sent(struct stream *stream, int result)
{
    if (stream->flags & STREAM_CLOSING)
        return;
    if (result < 0 && !is_to_be_repeated(-result)) {
        stream_socket_send_failed(stream, -result);
        return;
    }
    if (result > 0)
        bytes_skip(&stream->sending, (size_t)result);
    if (stream->sending.len > 0)
        want(stream, SEND);
    else
        stream_done(stream, STREAM_DONE_SENT);
}

/* From here on it waits: the ring gives up on a socket that must not. */
static void connected(struct stream *stream, int result)
{
    int error = result < 0 ? -result : 0;

    if (stream->flags & STREAM_CLOSING)
        return;
    if (result > 0 && (result & (POLLERR | POLLHUP)))
        error = stream_socket_connect_error(stream->fd);
    if (error == 0 && fcntl(stream->fd, F_SETFL, 0) != 0)
        error = errno;
    stream_connected(stream, error);
}

void uring_stream_completed(struct loop_uring *uring, enum uring_tag tag, struct stream *stream,
                            const struct io_uring_cqe *cqe)
{
    static const enum operation ended[] = {
        [URING_RECEIVED] = RECEIVE,
        [URING_SENT] = SEND,
        [URING_CONNECTED] = CONNECT,
        [URING_CANCELLED] = CANCEL,
    };

    stream->registered &= ~(unsigned)ended[tag];
    switch (tag) {
    case URING_RECEIVED: received(uring, stream, cqe); break;
    case URING_SENT: sent(stream, cqe->res); break;
    case URING_CONNECTED: connected(stream, cqe->res); break;
    default: break; /* cancelled: what was in the ring tells that it ended */
    }
    finish_closing(stream);
}

/* ---- what stream.c asks for ---- */

static enum fail on_attach(struct stream *stream, const struct loop_accepted *accepted,
                           struct failure *why)
{
    stream->fd = accepted->fd;
    return FAIL_NONE;
}

static enum fail on_connect(struct stream *stream, const struct address *address,
                            const struct stream_options *options, struct failure *why)
{
    int       error;
    enum fail rc = stream_socket_connect(&stream->fd, &error, address, options, why);

    if (rc != FAIL_NONE)
        return rc;
    if (error == EINPROGRESS) {
        want(stream, CONNECT);
        return FAIL_NONE;
    }
    if (error == 0 && fcntl(stream->fd, F_SETFL, 0) != 0)
        error = errno;
    stream->receive_error = error;
    stream_done(stream, STREAM_DONE_CONNECTED);
    return FAIL_NONE;
}

static void on_receive(struct stream *stream)
{
    want(stream, RECEIVE);
}

/* Sends what there is room for; false where the ring is to go on. */
static bool send_at_once(struct stream *stream)
{
    ssize_t n = send(stream->fd, stream->sending.p, stream->sending.len,
                     MSG_DONTWAIT | stream_socket_send_flags(stream));

    if (n < 0 && is_to_be_repeated(errno))
        return false;
    if (n < 0) {
        stream_socket_send_failed(stream, errno);
        return true;
    }
    bytes_skip(&stream->sending, (size_t)n);
    if (stream->sending.len > 0)
        return false;
    stream_done(stream, STREAM_DONE_SENT);
    return true;
}

/*
 * Submitting pays where several sends go together, before any of the peers that they wake runs.
 * Bytes in bulk that are alone cost an operation and a turn more than the call; small ones are
 * left to the ring all the same: others join them while it is entered.
 */
static void on_send(struct stream *stream)
{
    bool is_alone =
        loop_uring_of(stream->loop)->is_quiet && stream->sending.len >= STREAM_BULK_BYTES;

    if (!is_alone || !send_at_once(stream))
        want(stream, SEND);
}

/*
 * Records with a type need sendmsg() and recvmsg(), and a socket whose keys the kernel has is
 * read a record at a time: epoll does that for both loops, and the ring has nothing of the
 * stream any more.  EBUSY: something of it is still in the ring.
 */
static int on_prepare_for_keys(struct stream *stream)
{
    struct loop_epoll *epoll = &loop_uring_of(stream->loop)->epoll;

    if (stream->registered != 0)
        return EBUSY;
    if (epoll->scratch == NULL && (epoll->scratch = malloc(LOOP_RECEIVE_MAX)) == NULL)
        return ENOMEM;
    if (fcntl(stream->fd, F_SETFL, O_NONBLOCK) != 0)
        return errno;
    stream->flags |= STREAM_BY_EPOLL;
    stream->receive_error = 0; /* what a receive that was held has left there */
    return 0;
}

static void on_close(struct stream *stream, bool abort)
{
    if (stream->registered & HELD)
        uring_buffers_give(&loop_uring_of(stream->loop)->buffers, stream->backend);
    stream->registered &= ~HELD;
    if (abort)
        stream_socket_will_reset(stream->fd);
    if (stream->registered & (ALL | QUEUED))
        want(stream, CANCEL);
    finish_closing(stream);
}

const struct loop_stream_ops uring_stream_ops = {
    .attach = on_attach,
    .connect = on_connect,
    .local_address = stream_socket_local_address,
    .receive = on_receive,
    .take_turn = on_take_turn,
    .send = on_send,
    .shutdown = stream_socket_shutdown,
    .prepare_for_keys = on_prepare_for_keys,
    .close = on_close,
};

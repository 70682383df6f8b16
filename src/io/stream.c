/* SPDX-License-Identifier: PostgreSQL */
#include "io/kernel_tls.h"
#include "io/loop_backend.h"
#include "io/loop_epoll.h"

#include <assert.h>
#include <errno.h>

/* One receive brings at most this while others wait: a small query beside bulk streams took
 * 4 ms behind turns of 256 KiB each, 0.6 ms behind these. */
#define RECEIVE_SHARED ((size_t)64 * 1024)

/* What one turn of the loop does for streams in line: some 100 microseconds of work. */
#define LINE_BUDGET ((size_t)128 * 1024)

/* Who is patient has used up the budget by more bytes than these: a turn works on one
 * handshake.  Fewer begin none. */
#define PATIENT_FREE ((size_t)16)

/* ---- what callers ask for ---- */

static const struct loop_stream_ops *ops_of(const struct stream *stream)
{
    return stream->flags & STREAM_BY_EPOLL ? &loop_epoll_stream_ops : stream->loop->ops->stream;
}

static void stream_init(struct stream *stream, struct loop *loop,
                        const struct stream_events *events)
{
    *stream = (struct stream){ .events = events, .loop = loop, .fd = -1 };
}

enum fail stream_attach(struct stream *stream, struct loop *loop,
                        const struct stream_events *events, struct loop_accepted accepted,
                        struct failure *why)
{
    enum fail rc;

    stream_init(stream, loop, events);
    rc = loop->ops->stream->attach(stream, &accepted, why);
    if (rc == FAIL_NONE)
        loop->streams++;
    return rc;
}

enum fail stream_connect(struct stream *stream, struct loop *loop,
                         const struct stream_events *events, const struct address *address,
                         const struct stream_options *options, struct failure *why)
{
    enum fail rc;

    stream_init(stream, loop, events);
    stream->flags = STREAM_CONNECTING;
    rc = loop->ops->stream->connect(stream, address, options, why);
    if (rc == FAIL_NONE)
        loop->streams++;
    return rc;
}

bool stream_local_address(const struct stream *stream, struct address *out)
{
    return ops_of(stream)->local_address != NULL && ops_of(stream)->local_address(stream, out);
}

void stream_receive(struct stream *stream, size_t at_most)
{
    assert(!(stream->flags & (STREAM_CONNECTING | STREAM_CLOSING | STREAM_RECEIVING)));
    stream->receive_limit =
        (uint32_t)(at_most == 0 || at_most > LOOP_RECEIVE_MAX ? LOOP_RECEIVE_MAX : at_most);
    stream->flags |= STREAM_RECEIVING;
    ops_of(stream)->receive(stream);
}

void stream_set_patient(struct stream *stream, bool patient)
{
    if (patient)
        stream->flags |= STREAM_PATIENT;
    else
        stream->flags &= ~(unsigned)STREAM_PATIENT;
}

void stream_send(struct stream *stream, struct bytes data)
{
    assert(!(stream->flags & (STREAM_CONNECTING | STREAM_CLOSING | STREAM_SENDING)));
    stream->flags |= STREAM_SENDING;
    stream->sending = data;
    if (data.len == 0)
        stream_done(stream, STREAM_DONE_SENT);
    else
        ops_of(stream)->send(stream);
}

void stream_send_last(struct stream *stream, struct bytes data)
{
    stream->flags |= STREAM_LAST;
    stream_send(stream, data);
}

bool stream_is_sending(const struct stream *stream)
{
    return (stream->flags & STREAM_SENDING) != 0;
}

size_t stream_unsent(const struct stream *stream)
{
    return stream_is_sending(stream) ? stream->sending.len : 0;
}

void stream_shutdown(struct stream *stream)
{
    assert(!(stream->flags & (STREAM_CONNECTING | STREAM_CLOSING | STREAM_SENDING)));
    ops_of(stream)->shutdown(stream);
}

int stream_set_key(struct stream *stream, enum stream_way way, struct bytes keys)
{
    unsigned flag = way == STREAM_SENDS ? STREAM_KERNEL_SENDS : STREAM_KERNEL_RECEIVES;
    int      error = 0;

    if (!(stream->flags & STREAM_KERNEL_SENDS)) {
        assert(!(stream->flags & (STREAM_CONNECTING | STREAM_CLOSING | STREAM_SENDING)));
        if (ops_of(stream)->prepare_for_keys == NULL)
            return EOPNOTSUPP;
        if ((error = kernel_tls_attach(stream->fd)) != 0 ||
            (error = ops_of(stream)->prepare_for_keys(stream)) != 0)
            return error;
    }
    error = kernel_tls_set_key(stream->fd, way == STREAM_SENDS, keys);
    if (error == 0)
        stream->flags |= flag;
    return error;
}

void stream_close(struct stream *stream, bool abort)
{
    assert(!(stream->flags & STREAM_CLOSING));
    stream->flags |= STREAM_CLOSING;
    ops_of(stream)->close(stream, abort);
}

/* ---- what backends tell ---- */

bool stream_has_unsent(const struct stream *stream)
{
    return (stream->flags & (STREAM_SENDING | STREAM_DONE_SENT)) == STREAM_SENDING;
}

void stream_done(struct stream *stream, enum stream_flag what)
{
    struct loop *loop = stream->loop;

    stream->flags |= what;
    if (stream->flags & STREAM_QUEUED)
        return;
    stream->flags |= STREAM_QUEUED;
    stream->next_done = NULL;
    *loop->done_end = stream;
    loop->done_end = &stream->next_done;
}

/* ---- fairness ---- */

bool stream_waits_in_line(struct stream *stream)
{
    struct loop *loop = stream->loop;

    if (!(stream->flags & (STREAM_PATIENT | STREAM_BULK)))
        return false;
    if (stream->flags & STREAM_IN_LINE)
        return true;
    stream->flags |= STREAM_IN_LINE;
    stream->next_in_line = NULL;
    *loop->line_end = stream;
    loop->line_end = &stream->next_in_line;
    return true;
}

static struct stream *next_of_line(struct loop *loop)
{
    struct stream *stream = loop->line;

    loop->line = stream->next_in_line;
    if (loop->line == NULL)
        loop->line_end = &loop->line;
    stream->flags &= ~(unsigned)STREAM_IN_LINE;
    return stream;
}

/* What a turn takes off the budget. */
static size_t cost_of_turn(struct stream *stream)
{
    bool   patient = (stream->flags & STREAM_PATIENT) != 0;
    size_t bytes;

    if ((stream->flags & (STREAM_RECEIVING | STREAM_CLOSING)) != STREAM_RECEIVING)
        return 0;
    bytes = ops_of(stream)->take_turn(stream);
    return patient && bytes > PATIENT_FREE ? LINE_BUDGET : bytes;
}

void stream_line_moves(struct loop *loop)
{
    size_t left = LINE_BUDGET;

    while (loop->line != NULL && left > 0) {
        size_t cost = cost_of_turn(next_of_line(loop));

        left = cost < left ? left - cost : 0;
    }
}

size_t stream_receive_budget(const struct stream *stream)
{
    const struct loop *loop = stream->loop;
    size_t fair = loop->crowd > 1 || loop->line != NULL ? RECEIVE_SHARED : LOOP_RECEIVE_MAX;

    return stream->receive_limit < fair ? stream->receive_limit : fair;
}

void stream_received(struct stream *stream, struct bytes data, int error)
{
    stream->flags &= ~(unsigned)(STREAM_RECEIVING | STREAM_BULK);
    if (data.len >= STREAM_BULK_BYTES)
        stream->flags |= STREAM_BULK;
    stream->events->received(stream, data, error);
}

void stream_connected(struct stream *stream, int error)
{
    stream->flags &= ~(unsigned)STREAM_CONNECTING;
    stream->events->connected(stream, error);
}

static bool is_open(const struct stream *stream)
{
    return !(stream->flags & STREAM_CLOSING);
}

/* A callback may close the stream, and then the rest is not told; its memory stays until
 * `closed`, which comes in another delivery. */
static void deliver(struct stream *stream)
{
    unsigned what = stream->flags & STREAM_DONE;

    stream->flags &= ~(unsigned)(STREAM_DONE | STREAM_QUEUED);
    if ((what & STREAM_DONE_CLOSED) && (stream->flags & STREAM_IN_LINE)) {
        stream_done(stream, STREAM_DONE_CLOSED); /* the line still has it */
        return;
    }
    if (what & STREAM_DONE_CLOSED) {
        stream->loop->streams--;
        stream->events->closed(stream);
        return;
    }
    if ((what & STREAM_DONE_CONNECTED) && is_open(stream))
        stream_connected(stream, stream->receive_error);
    if ((what & STREAM_DONE_RECEIVED) && is_open(stream))
        stream_received(stream, bytes_of(NULL, 0), stream->receive_error);
    if ((what & STREAM_DONE_SENT) && is_open(stream)) {
        stream->flags &= ~(unsigned)STREAM_SENDING;
        stream->events->sent(stream, stream->send_error);
    }
}

void stream_deliver_done(struct loop *loop)
{
    struct stream *stream = loop->done;

    loop->done = NULL;
    loop->done_end = &loop->done;
    while (stream != NULL) {
        struct stream *next = stream->next_done;

        deliver(stream);
        stream = next;
    }
}

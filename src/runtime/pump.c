/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/pump.h"

#include "io/kernel_tls.h"
#include "tls/kernel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* One frame, described on both sides of this file. */
_Static_assert(KERNEL_TLS_HEADER == TLS_FRAME_HEADER, "header");
_Static_assert((int)KERNEL_TLS_KEY == (int)TLS_FRAME_KEY, "where a key is due");
_Static_assert((int)KERNEL_TLS_ERROR == (int)TLS_FRAME_ERROR, "errno of reading");

static const struct stream_events stream_events;

void pump_init(struct pump *pump, const struct pump_events *events, struct buffers *buffers)
{
    *pump = (struct pump){
        .events = events,
        .buffers = buffers,
        .waiting = BUF_LIMIT(BUFFER_LIMIT),
    };
    leg_init(&pump->leg);
}

void pump_fini(struct pump *pump)
{
    assert(pump->state == PUMP_IDLE);
    buffers_give(pump->buffers, &pump->waiting);
    buffers_give_lent(pump->buffers, &pump->sending);
    leg_fini(&pump->leg);
}

enum fail pump_accept(struct pump *pump, struct loop *loop, struct loop_accepted accepted,
                      struct failure *why)
{
    enum fail rc = stream_attach(&pump->stream, loop, &stream_events, accepted, why);

    if (rc == FAIL_NONE) {
        pump->state = PUMP_OPEN;
        pump->accepted = true;
    }
    return rc;
}

enum fail pump_connect(struct pump *pump, struct loop *loop, const struct address *address,
                       const struct stream_options *options, struct failure *why)
{
    enum fail rc;

    assert(pump->state == PUMP_IDLE);
    pump_fini(pump);
    pump_init(pump, pump->events, pump->buffers);
    rc = stream_connect(&pump->stream, loop, &stream_events, address, options, why);
    if (rc == FAIL_NONE)
        pump->state = PUMP_CONNECTING;
    return rc;
}

/* What comes next may begin or go on with a handshake: half a millisecond of computing.  Direct
 * TLS begins with the first byte of a client. */
static bool is_costly(const struct pump *pump)
{
    return pump->leg.state == LEG_HANDSHAKE ||
           (pump->leg.state == LEG_CLEAR && pump->received_bytes == 0 && pump->accepted);
}

void pump_receive(struct pump *pump, size_t at_most)
{
    bool wants = pump->discarding || !pump->ended_told;

    if (pump->state != PUMP_OPEN || pump->receiving || pump->eof || !wants)
        return;
    pump->receiving = true;
    stream_set_patient(&pump->stream, is_costly(pump));
    stream_receive(&pump->stream, at_most);
}

static void tell_ended(struct pump *pump)
{
    if (pump->ended_told)
        return;
    pump->ended_told = true;
    pump->events->ended(pump);
}

/* Takes all of `in` through the leg, telling the owner what comes out. */
static void open_all(struct pump *pump, struct bytes in)
{
    while (pump->state == PUMP_OPEN) {
        struct bytes plain = { NULL, 0 };

        switch (leg_open(&pump->leg, &in, pump->buffers->scratch, SCRATCH_SIZE, &plain,
                         pump_out(pump))) {
        case LEG_WANT_MORE: return;
        case LEG_SECURED: pump->events->secured(pump); break;
        case LEG_PLAINTEXT: pump->events->plaintext(pump, plain); break;
        case LEG_PEER_ENDED: tell_ended(pump); return;
        case LEG_FAILED:
            pump_flush(pump); /* an alert, before the owner lets go */
            tell_ended(pump);
            return;
        }
    }
}

/* ---- records that the kernel protects ---- */

static int give_keys(struct pump *pump, enum tls_kernel_way way)
{
    uint8_t keys[TLS_KERNEL_KEYS_MOST];
    size_t  size = tls_kernel_keys(pump->leg.tls, way, keys);
    int     error = ENOKEY;

    if (size > 0)
        error = stream_set_key(&pump->stream,
                               way == TLS_KERNEL_SENDS ? STREAM_SENDS : STREAM_RECEIVES,
                               bytes_of(keys, size));
    explicit_bzero(keys, sizeof keys);
    if (error == 0)
        tls_kernel_took(pump->leg.tls, way);
    return error;
}

static enum fail give_both(struct pump *pump, struct failure *why)
{
    int error;

    if (tls_kernel_check(pump->leg.tls, why) != FAIL_NONE)
        return FAIL_REFUSED;
    if ((error = give_keys(pump, TLS_KERNEL_SENDS)) != 0)
        return fail_errno(why, error, "the kernel takes no key for sending");
    if (tls_kernel_check_receiving(pump->leg.tls, why) != FAIL_NONE)
        return FAIL_REFUSED;
    if ((error = give_keys(pump, TLS_KERNEL_RECEIVES)) != 0)
        return fail_errno(why, error, "the kernel takes no key for receiving");
    return FAIL_NONE;
}

/* Between two receives, with nothing of a record in between, and nothing on its way out: then
 * no byte is on the wrong side. */
static void ask_kernel(struct pump *pump)
{
    struct failure why = { 0 };

    if (pump->leg.state != LEG_SECURE || !tls_kernel_is_wanted(pump->leg.tls) ||
        !pump_is_drained(pump) || !tls_kernel_is_at_boundary(pump->leg.tls))
        return;
    if (give_both(pump, &why) != FAIL_NONE && why.errnum == EBUSY)
        return; /* the ring has something of the stream; later */
    tls_kernel_declined(pump->leg.tls);
    pump->events->kernel(pump, &why);
}

/* The peer changed its key: the kernel stands still until it has the next one. */
static void renew_key(struct pump *pump)
{
    struct failure why = { 0 };
    int            error;

    if (pump->leg.state != LEG_SECURE || !tls_kernel_needs_key(pump->leg.tls) ||
        (error = give_keys(pump, TLS_KERNEL_RECEIVES)) == 0)
        return;
    fail_errno(&why, error, "the kernel takes no next key for receiving");
    pump->events->kernel(pump, &why);
    leg_lost_kernel(&pump->leg, error, pump_out(pump));
    pump_flush(pump);
    tell_ended(pump);
}

static int on_key(struct stream *stream)
{
    struct pump   *pump = container_of(stream, struct pump, stream);
    struct failure why = { 0 };
    int            error = give_keys(pump, TLS_KERNEL_SENDS);

    if (error != 0) {
        fail_errno(&why, error, "the kernel takes no next key for sending");
        pump->events->kernel(pump, &why);
    }
    return error;
}

static void on_eof(struct pump *pump, bool reset)
{
    pump->eof = true;
    pump->reset = reset;
    leg_transport_ended(&pump->leg, reset);
    if (pump->discarding)
        pump->events->ended(pump);
    else
        tell_ended(pump);
}

static bool is_open(const struct pump *pump)
{
    return pump->state == PUMP_OPEN && !pump->ended_told;
}

static void on_received(struct stream *stream, struct bytes data, int error)
{
    struct pump *pump = container_of(stream, struct pump, stream);

    pump->receiving = false;
    pump->received_bytes += data.len;
    if (data.len == 0) {
        on_eof(pump, error != 0);
        return;
    }
    if (pump->discarding) {
        pump_receive(pump, 0);
        return;
    }
    open_all(pump, data);
    pump_flush(pump);
    if (is_open(pump))
        renew_key(pump);
    if (is_open(pump))
        ask_kernel(pump);
    if (is_open(pump))
        pump->events->received(pump);
}

enum fail pump_start_tls(struct pump *pump, struct tls_context *context,
                         const struct tls_engine_options *options, struct bytes early,
                         struct failure *why)
{
    enum fail rc = leg_start_tls(&pump->leg, context, options, pump_out(pump), why);

    if (rc == FAIL_NONE)
        open_all(pump, early);
    pump_flush(pump);
    return rc;
}

enum fail pump_write(struct pump *pump, struct bytes plaintext)
{
    return leg_seal(&pump->leg, plaintext, pump_out(pump));
}

struct buf *pump_out(struct pump *pump)
{
    if (pump->waiting.memory == NULL)
        pump->waiting = buffers_take(pump->buffers);
    return &pump->waiting;
}

bool pump_is_drained(const struct pump *pump)
{
    return pump->waiting.len == 0 && !stream_is_sending(&pump->stream);
}

uint64_t pump_taken(const struct pump *pump)
{
    return pump->sent_bytes - stream_unsent(&pump->stream);
}

void pump_flush(struct pump *pump)
{
    struct bytes bytes;

    if (pump->state != PUMP_OPEN || stream_is_sending(&pump->stream))
        return;
    if (pump->waiting.len == 0 || pump->broken || pump->finished) {
        buffers_give(pump->buffers, &pump->waiting);
        return;
    }
    bytes = buf_bytes(&pump->waiting);
    pump->sent_bytes += bytes.len;
    pump->sending = buffers_lend(&pump->waiting);
    pump->finished = pump->finishing;
    if (pump->finishing)
        stream_send_last(&pump->stream, bytes);
    else
        stream_send(&pump->stream, bytes);
}

static void finish(struct pump *pump)
{
    pump->finishing = false;
    pump->finished = true;
    stream_shutdown(&pump->stream);
}

static void on_sent(struct stream *stream, int error)
{
    struct pump *pump = container_of(stream, struct pump, stream);

    buffers_give_lent(pump->buffers, &pump->sending);
    if (error != 0) {
        pump->broken = true;
        buffers_give(pump->buffers, &pump->waiting);
        pump->events->broken(pump, error);
        return;
    }
    pump_flush(pump);
    if (!pump_is_drained(pump))
        return;
    if (pump->finishing)
        finish(pump);
    pump->events->drained(pump);
}

void pump_finish(struct pump *pump, bool clean)
{
    if (pump->state != PUMP_OPEN)
        return;
    if (clean)
        leg_finish(&pump->leg, pump_out(pump));
    pump->leg.said_end = true;
    pump->finishing = true; /* before the flush: the last bytes take the FIN along */
    pump_flush(pump);
    if (pump_is_drained(pump) && !pump->broken)
        finish(pump);
}

void pump_discard(struct pump *pump)
{
    pump->discarding = true;
    pump_receive(pump, 0);
}

void pump_close(struct pump *pump, bool abort)
{
    if (pump->state == PUMP_IDLE || pump->state == PUMP_CLOSING)
        return;
    pump->state = PUMP_CLOSING;
    stream_close(&pump->stream, abort);
}

static void on_connected(struct stream *stream, int error)
{
    struct pump *pump = container_of(stream, struct pump, stream);

    if (error == 0)
        pump->state = PUMP_OPEN;
    pump->events->connected(pump, error);
}

static void on_closed(struct stream *stream)
{
    struct pump *pump = container_of(stream, struct pump, stream);

    pump->state = PUMP_IDLE;
    pump->receiving = false;
    buffers_give_lent(pump->buffers, &pump->sending);
    buffers_give(pump->buffers, &pump->waiting);
    pump->events->closed(pump);
}

static const struct stream_events stream_events = {
    .connected = on_connected,
    .received = on_received,
    .sent = on_sent,
    .closed = on_closed,
    .key = on_key,
};

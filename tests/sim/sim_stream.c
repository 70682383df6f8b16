/* SPDX-License-Identifier: PostgreSQL */
/*
 * The stream operations of the simulated loop.
 */
#include "sim/sim_network.h"

#include <errno.h>
#include <stdlib.h>

/* For connections of which the program has both ends: somebody has to wait at times. */
#define BOTH_ENDS_WINDOW ((size_t)64 * 1024)

static struct sim_peer *peer_of(const struct stream *stream)
{
    return stream->backend;
}

static void belong(struct sim_peer *peer, struct stream *stream)
{
    peer->stream = stream;
    stream->backend = peer;
    stream->fd = peer->fd;
}

static enum fail on_attach(struct stream *stream, const struct loop_accepted *accepted,
                           struct failure *why)
{
    struct sim_peer *peer = sim_peer_of(sim_of(stream->loop), accepted->fd);

    if (peer == NULL)
        return fail_errno(why, EBADF, "no such connection in the simulation");
    belong(peer, stream);
    if (peer->other->stream != NULL) {
        peer->window = BOTH_ENDS_WINDOW;
        peer->other->window = BOTH_ENDS_WINDOW;
    }
    return FAIL_NONE;
}

/* Of the same family only, and with any port: io/loop.h. */
static void bind_source(struct sim_peer *peer, const struct address *source,
                        const struct address *target)
{
    if (source == NULL || source->length != target->length)
        return;
    peer->name = *source;
    address_set_port(&peer->name, (uint16_t)(peer->fd + 20000));
}

static enum fail on_connect(struct stream *stream, const struct address *address,
                            const struct stream_options *options, struct failure *why)
{
    struct sim_loop *sim = sim_of(stream->loop);
    char             name[ADDRESS_TEXT];
    struct sim_door *door = sim_door_make(sim, address_format(address, name));
    struct sim_peer *peer = sim_pair(sim);
    struct bytes     nothing = bytes_of(NULL, 0);

    belong(peer, stream);
    bind_source(peer, options->source, address);
    if (door->fd >= 0 || door->answer == SIM_ACCEPTS) {
        sim_happen(peer->other, SIM_KNOCK, door, nothing, sim->delay_us);
        sim_happen(peer, SIM_CONNECTED, NULL, nothing, 2 * sim->delay_us);
    } else if (door->answer == SIM_REFUSES) {
        sim_happen(peer, SIM_REFUSED, NULL, nothing, 2 * sim->delay_us);
    }
    return FAIL_NONE;
}

/* ---- sending ---- */

static bool is_reset(const struct sim_peer *peer)
{
    return peer->saw_reset;
}

/* As stream_socket_send_failed(): what came already is the last. */
static void send_fails(struct stream *stream, struct sim_peer *peer)
{
    peer->saw_end = true;
    stream->send_error = stream->send_error == 0 && peer->reset_error != 0 ? ECONNRESET : EPIPE;
    stream_done(stream, STREAM_DONE_SENT);
}

static void on_send(struct stream *stream)
{
    struct sim_peer *peer = peer_of(stream);
    struct bytes     now = bytes_first(stream->sending, sim_peer_room(peer->other));

    if (is_reset(peer) || peer->has_finished) {
        send_fails(stream, peer);
        return;
    }
    sim_peer_push(peer, now);
    bytes_skip(&stream->sending, now.len);
    if (stream->sending.len == 0)
        stream_done(stream, STREAM_DONE_SENT);
}

static bool can_send(const struct sim_peer *peer)
{
    return stream_has_unsent(peer->stream) &&
           (is_reset(peer) || sim_peer_room(peer->other) > 0);
}

/* ---- receiving ---- */

static bool can_receive(const struct sim_peer *peer)
{
    return (peer->stream->flags & STREAM_RECEIVING) &&
           (peer->in.len > 0 || peer->saw_end || peer->saw_reset);
}

static void on_receive(struct stream *stream)
{
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t piece_length(struct sim_peer *peer)
{
    size_t n = smaller(peer->in.len, peer->stream->receive_limit);

    if (peer->sim->piece_most > 0)
        n = smaller(n, peer->sim->piece_most);
    if (peer->piece_most > 0)
        n = smaller(n, peer->piece_most);
    if (peer->delivered < peer->cut_at)
        n = smaller(n, peer->cut_at - peer->delivered);
    if (peer->sim->has_random_cuts)
        n = 1 + (size_t)sim_random(peer->sim, n);
    return n;
}

/* The data is copied to memory of its own, so that a use after the call is found. */
static size_t deliver_piece(struct sim_peer *peer)
{
    size_t   n = piece_length(peer);
    uint8_t *piece = sim_allocate(NULL, n);

    memcpy(piece, peer->in.memory, n);
    sim_queue_skip(&peer->in, n);
    peer->delivered += n;
    stream_received(peer->stream, bytes_of(piece, n), 0);
    free(piece);
    return n;
}

static size_t receive(struct sim_peer *peer)
{
    int error = peer->reset_error;

    if (peer->in.len > 0)
        return deliver_piece(peer);
    peer->reset_error = 0;
    stream_received(peer->stream, bytes_of(NULL, 0), error);
    return 0;
}

static size_t on_take_turn(struct stream *stream)
{
    return can_receive(peer_of(stream)) ? receive(peer_of(stream)) : 0;
}

/* ---- a turn ---- */

static bool is_open(const struct sim_peer *peer)
{
    return peer->stream != NULL && !(peer->stream->flags & STREAM_CONNECTING);
}

bool sim_stream_is_ready(const struct sim_peer *peer)
{
    return is_open(peer) && (can_send(peer) || can_receive(peer));
}

void sim_stream_serve(struct sim_peer *peer)
{
    if (!is_open(peer))
        return;
    if (can_send(peer))
        on_send(peer->stream);
    if (can_receive(peer) && !stream_waits_in_line(peer->stream))
        receive(peer);
}

/* ---- ending ---- */

static void on_shutdown(struct stream *stream)
{
    sim_peer_end(peer_of(stream));
}

static void on_close(struct stream *stream, bool abort)
{
    sim_peer_close(peer_of(stream), abort);
    stream_done(stream, STREAM_DONE_CLOSED);
}

const struct loop_stream_ops sim_stream_ops = {
    .attach = on_attach,
    .connect = on_connect,
    .receive = on_receive,
    .take_turn = on_take_turn,
    .send = on_send,
    .shutdown = on_shutdown,
    .close = on_close,
};

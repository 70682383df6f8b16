/* SPDX-License-Identifier: PostgreSQL */
#include "session/relay.h"

#include <assert.h>

void relay_init(struct relay *relay)
{
    *relay = (struct relay){ .in_step = true };
    frame_hopper_init_client(&relay->client);
    frame_hopper_init_server(&relay->server);
}

void relay_logged_in(struct relay *relay, uint8_t status)
{
    relay->server.status = status;
}

void relay_from_client(struct relay *relay, struct bytes data)
{
    relay->to_server.bytes += data.len;
    if (relay->in_step)
        relay->in_step = frame_hop(&relay->client, data);
}

/* The server takes data of a COPY now, and ignores the Sync that libpq sent along with Execute:
 * no ReadyForQuery will answer it (PostgreSQL manual 53.2.6). */
static void void_sync(struct relay *relay)
{
    if (relay->client.last_counted != 'S' || relay->client.count != relay->server.count + 1)
        return;
    relay->client.count--;
    relay->client.in_batch = true;
}

void relay_from_server(struct relay *relay, struct bytes data)
{
    uint64_t copies = relay->server.copies;

    relay->to_client.bytes += data.len;
    if (relay->in_step)
        relay->in_step = frame_hop(&relay->server, data);
    if (relay->server.copies != copies)
        void_sync(relay);
}

void pipe_move(struct pipe *pipe, enum pipe_state next)
{
    static const enum pipe_state follows[] = {
        [PIPE_FLOWING] = PIPE_FLUSHING,
        [PIPE_FLUSHING] = PIPE_FINISHED,
        [PIPE_FINISHED] = PIPE_FINISHED,
    };

    assert(follows[pipe->state] == next && pipe->state != PIPE_FINISHED);
    pipe->state = next;
}

bool relay_is_finished(const struct relay *relay)
{
    return relay->to_server.state == PIPE_FINISHED && relay->to_client.state == PIPE_FINISHED;
}

uint64_t relay_queries(const struct relay *relay)
{
    return relay->server.count;
}

bool relay_client_is_done(const struct relay *relay)
{
    return relay->client.terminated;
}

bool relay_is_between(const struct relay *relay)
{
    return relay->in_step && frame_is_between(&relay->server);
}

bool relay_is_asked(const struct relay *relay)
{
    return !relay_is_between(relay) || relay->client.in_batch ||
           relay->client.count != relay->server.count;
}

bool relay_is_busy(const struct relay *relay)
{
    return relay_is_asked(relay) || !frame_is_between(&relay->client);
}

bool relay_is_idle(const struct relay *relay)
{
    return !relay_is_busy(relay) && relay->server.status == 'I';
}

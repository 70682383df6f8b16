/* SPDX-License-Identifier: PostgreSQL */
#include "session/relay.h"

#include <assert.h>

void relay_init(struct relay *relay, uint8_t status)
{
    *relay = (struct relay){ .in_step = true };
    frame_hopper_init(&relay->hopper);
    relay->hopper.status = status;
}

void relay_from_client(struct relay *relay, size_t bytes)
{
    relay->to_server.bytes += bytes;
    relay->waiting = true;
    relay->ready_before = relay->hopper.ready_count;
}

void relay_from_server(struct relay *relay, struct bytes data)
{
    relay->to_client.bytes += data.len;
    if (relay->in_step)
        relay->in_step = frame_hop(&relay->hopper, data);
    if (relay->hopper.ready_count != relay->ready_before)
        relay->waiting = false;
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
    return relay->hopper.ready_count;
}

bool relay_is_between(const struct relay *relay)
{
    return relay->in_step && frame_is_between(&relay->hopper);
}

bool relay_is_idle(const struct relay *relay)
{
    return relay_is_between(relay) && relay->hopper.status == 'I' && !relay->waiting;
}

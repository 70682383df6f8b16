/* SPDX-License-Identifier: PostgreSQL */
#include "sim/sim_network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_FD 1000

/* reallocarray(), as harness/alloc.h counts the others: only the program's shall fail. */
void *sim_allocate(void *old, size_t size)
{
    void *memory = reallocarray(old, 1, size);

    if (memory == NULL)
        abort();
    if (old == NULL)
        memset(memory, 0, size);
    return memory;
}

/* xorshift64: the same on every machine */
uint64_t sim_random(struct sim_loop *sim, uint64_t below)
{
    uint64_t x = sim->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    sim->random = x;
    return below > 0 ? x % below : 0;
}

/* ---- doors ---- */

struct sim_door *sim_door_at(struct sim_loop *sim, const char *name)
{
    struct sim_door *door = sim->doors;

    while (door != NULL && strcmp(door->name, name) != 0)
        door = door->next;
    return door;
}

struct sim_door *sim_door_make(struct sim_loop *sim, const char *name)
{
    struct sim_door *door = sim_door_at(sim, name);

    if (door != NULL)
        return door;
    door = sim_allocate(NULL, sizeof *door);
    snprintf(door->name, sizeof door->name, "%s", name);
    door->fd = -1;
    door->answer = SIM_REFUSES;
    door->waiting_end = &door->waiting;
    door->next = sim->doors;
    sim->doors = door;
    return door;
}

static void knock(struct sim_door *door, struct sim_peer *peer)
{
    peer->next_at_door = NULL;
    *door->waiting_end = peer;
    door->waiting_end = &peer->next_at_door;
}

struct sim_peer *sim_door_take(struct sim_door *door)
{
    struct sim_peer *peer = door->waiting;

    if (peer == NULL)
        return NULL;
    door->waiting = peer->next_at_door;
    if (door->waiting == NULL)
        door->waiting_end = &door->waiting;
    return peer;
}

/* ---- pairs ---- */

static struct sim_peer *new_peer(struct sim_loop *sim)
{
    struct sim_peer *peer = sim_allocate(NULL, sizeof *peer);

    peer->sim = sim;
    peer->fd = FIRST_FD + (int)sim->peer_count;
    peer->window = SIZE_MAX;
    peer->cut_at = SIZE_MAX;
    sim->peers = sim_allocate(sim->peers, (sim->peer_count + 1) * sizeof *sim->peers);
    sim->peers[sim->peer_count++] = peer;
    return peer;
}

struct sim_peer *sim_pair(struct sim_loop *sim)
{
    struct sim_peer *near = new_peer(sim);
    struct sim_peer *far = new_peer(sim);

    near->other = far;
    far->other = near;
    address_from_numeric(&near->name, "10.255.0.1", (uint16_t)(near->fd + 20000));
    return near;
}

struct sim_peer *sim_peer_of(struct sim_loop *sim, int fd)
{
    size_t at = (size_t)fd - FIRST_FD;

    return fd >= FIRST_FD && at < sim->peer_count ? sim->peers[at] : NULL;
}

/* ---- what is under way ---- */

void sim_happen(struct sim_peer *peer, enum sim_happening what, struct sim_door *door,
                struct bytes data, uint64_t delay_us)
{
    struct sim_loop   *sim = peer->sim;
    struct sim_event  *event = sim_allocate(NULL, sizeof *event + data.len);
    struct sim_event **at = &sim->events;

    event->at_us = sim->loop.now_us + delay_us;
    if (event->at_us < peer->last_us)
        event->at_us = peer->last_us;
    peer->last_us = event->at_us;
    event->what = what;
    event->peer = peer;
    event->door = door;
    event->len = data.len;
    if (data.len > 0)
        memcpy(event->data, data.p, data.len);
    while (*at != NULL && (*at)->at_us <= event->at_us)
        at = &(*at)->next;
    event->next = *at;
    *at = event;
}

static void append(struct sim_queue *queue, struct bytes data)
{
    if (queue->len + data.len > queue->capacity) {
        queue->capacity = 2 * (queue->len + data.len);
        queue->memory = sim_allocate(queue->memory, queue->capacity);
    }
    memcpy(queue->memory + queue->len, data.p, data.len);
    queue->len += data.len;
}

void sim_queue_skip(struct sim_queue *queue, size_t n)
{
    if (n == 0)
        return;
    memmove(queue->memory, queue->memory + n, queue->len - n);
    queue->len -= n;
}

static void send_reset(struct sim_peer *to)
{
    sim_happen(to, SIM_RESET, NULL, bytes_of(NULL, 0), to->sim->delay_us);
}

static void data_arrives(struct sim_peer *peer, const struct sim_event *event)
{
    peer->in_flight -= event->len;
    if (peer->is_closed)
        send_reset(peer->other);
    else
        append(&peer->in, bytes_of(event->data, event->len));
}

static void reset_arrives(struct sim_peer *peer)
{
    if (peer->is_closed || peer->saw_reset)
        return;
    peer->saw_reset = true;
    peer->reset_error = peer->saw_end ? 0 : ECONNRESET;
}

static void connect_ends(struct sim_peer *peer, int error)
{
    if (peer->stream != NULL && !(peer->stream->flags & STREAM_CLOSING))
        stream_connected(peer->stream, error);
}

static void happens(struct sim_event *event)
{
    struct sim_peer *peer = event->peer;

    switch (event->what) {
    case SIM_DATA: data_arrives(peer, event); break;
    case SIM_END: peer->saw_end = true; break;
    case SIM_RESET: reset_arrives(peer); break;
    case SIM_KNOCK: knock(event->door, peer); break;
    case SIM_CONNECTED: connect_ends(peer, 0); break;
    case SIM_REFUSED: connect_ends(peer, ECONNREFUSED); break;
    }
}

void sim_network_arrive(struct sim_loop *sim)
{
    while (sim->events != NULL && sim->events->at_us <= sim->loop.now_us) {
        struct sim_event *event = sim->events;

        sim->events = event->next;
        happens(event);
        free(event);
    }
}

/* ---- what a peer does, be it the program's or the test's ---- */

size_t sim_peer_room(const struct sim_peer *peer)
{
    size_t used = peer->in.len + peer->in_flight;

    return used < peer->window ? peer->window - used : 0;
}

void sim_peer_push(struct sim_peer *peer, struct bytes data)
{
    if (data.len == 0)
        return;
    peer->other->in_flight += data.len;
    sim_happen(peer->other, SIM_DATA, NULL, data, peer->sim->delay_us);
}

void sim_peer_end(struct sim_peer *peer)
{
    if (peer->has_finished || peer->saw_reset)
        return;
    peer->has_finished = true;
    sim_happen(peer->other, SIM_END, NULL, bytes_of(NULL, 0), peer->sim->delay_us);
}

void sim_peer_close(struct sim_peer *peer, bool abort)
{
    if (peer->is_closed)
        return;
    /* as TCP: bytes that nobody read are an abort too */
    if ((abort || peer->in.len > 0) && peer->other != NULL)
        send_reset(peer->other);
    else if (peer->other != NULL)
        sim_peer_end(peer);
    peer->is_closed = true;
    peer->in.len = 0;
    peer->stream = NULL;
}

void sim_network_free(struct sim_loop *sim)
{
    while (sim->events != NULL) {
        struct sim_event *event = sim->events;

        sim->events = event->next;
        free(event);
    }
    while (sim->doors != NULL) {
        struct sim_door *door = sim->doors;

        sim->doors = door->next;
        free(door);
    }
    for (size_t i = 0; i < sim->peer_count; i++) {
        free(sim->peers[i]->in.memory);
        free(sim->peers[i]);
    }
    free(sim->peers);
}

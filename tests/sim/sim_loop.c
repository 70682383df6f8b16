/* SPDX-License-Identifier: PostgreSQL */
#include "sim/sim_loop.h"

#include "sim/sim_network.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define WALL_AT_START 1767225600 /* 2026-01-01 */
#define SETTLED_US    1000u
#define TURNS_MOST    1000000u

/* ---- what the clock waits for ---- */

static bool door_is_ready(const struct sim_door *door)
{
    return door->listener != NULL && door->waiting != NULL;
}

static bool watch_is_ready(const struct sim_watch *watch)
{
    return watch->watch != NULL && (watch->ready & watch->watch->what);
}

static bool is_ready(const struct sim_loop *sim)
{
    for (const struct sim_door *door = sim->doors; door != NULL; door = door->next)
        if (door_is_ready(door))
            return true;
    for (size_t i = 0; i < SIM_WATCHES; i++)
        if (watch_is_ready(&sim->watches[i]))
            return true;
    for (size_t i = 0; i < sim->peer_count; i++)
        if (sim_stream_is_ready(sim->peers[i]))
            return true;
    return false;
}

/* When the next thing happens, or SIM_NEVER. */
static uint64_t next_us(struct sim_loop *sim)
{
    uint64_t next = timer_queue_next_us(&sim->loop.timers);

    if (loop_is_busy(&sim->loop) || is_ready(sim))
        return sim->loop.now_us;
    if (sim->events != NULL && sim->events->at_us < next)
        next = sim->events->at_us;
    return next;
}

static void set_clock(struct sim_loop *sim, uint64_t now_us)
{
    if (now_us < sim->loop.now_us)
        now_us = sim->loop.now_us;
    loop_wake_up(&sim->loop, now_us, sim->wall_at_start_s + (int64_t)(now_us / 1000000));
}

/* ---- a turn ---- */

static void accept_one(struct sim_loop *sim, struct sim_door *door)
{
    struct sim_peer     *peer;
    struct loop_accepted accepted;

    if (sim->accept_failures > 0) {
        sim->accept_failures--;
        loop_listener_pause(door->listener, sim->accept_error);
        return;
    }
    peer = sim_door_take(door);
    accepted = (struct loop_accepted){ .fd = peer->fd, .peer = peer->other->name };
    door->listener->accepted(door->listener, accepted);
}

static void serve_peers(struct sim_loop *sim)
{
    size_t count = sim->peer_count; /* those made meanwhile have their turn next time */
    size_t first = sim->is_shuffled ? (size_t)sim_random(sim, count) : 0;

    for (size_t i = 0; i < count; i++)
        sim_stream_serve(sim->peers[(first + i) % count]);
}

static void serve_watches(struct sim_loop *sim)
{
    for (size_t i = 0; i < SIM_WATCHES; i++) {
        struct loop_watch *watch = sim->watches[i].watch;

        if (watch_is_ready(&sim->watches[i]))
            watch->ready(watch, sim->watches[i].ready & watch->what);
    }
}

static void on_wait(struct loop *loop)
{
    struct sim_loop *sim = sim_of(loop);
    uint64_t         next = next_us(sim);

    sim->turns++;
    loop_fall_asleep(loop);
    set_clock(sim, next == SIM_NEVER ? loop->now_us : next);
    if (next == SIM_NEVER)
        loop_stop(loop);
    sim_network_arrive(sim);
    for (struct sim_door *door = sim->doors; door != NULL; door = door->next)
        while (door_is_ready(door))
            accept_one(sim, door);
    serve_peers(sim);
    serve_watches(sim);
}

static void on_wake(struct loop *loop)
{
}

static void on_free(struct loop *loop)
{
    struct sim_loop *sim = sim_of(loop);

    sim_network_free(sim);
    free(sim);
}

/* ---- watches ---- */

static struct sim_watch *watch_of(struct sim_loop *sim, int fd)
{
    struct sim_watch *unused = NULL;

    for (size_t i = 0; i < SIM_WATCHES; i++) {
        struct sim_watch *at = &sim->watches[i];

        if (at->fd == fd)
            return at;
        if (unused == NULL && at->watch == NULL && at->ready == 0)
            unused = at;
    }
    assert(unused != NULL);
    *unused = (struct sim_watch){ .fd = fd };
    return unused;
}

static enum fail on_watch(struct loop *loop, struct loop_watch *watch, unsigned what,
                          struct failure *why)
{
    watch_of(sim_of(loop), watch->fd)->watch = what != 0 ? watch : NULL;
    return FAIL_NONE;
}

void sim_set_ready(struct loop *loop, int fd, unsigned what)
{
    watch_of(sim_of(loop), fd)->ready = what;
}

/* ---- listeners ---- */

static struct sim_door *door_of(struct sim_loop *sim, int fd)
{
    struct sim_door *door = sim->doors;

    while (door != NULL && door->fd != fd)
        door = door->next;
    return door;
}

static enum fail on_listener_start(struct loop_listener *listener, struct failure *why)
{
    struct sim_door *door = door_of(sim_of(listener->loop), listener->fd);

    if (door == NULL)
        return fail_errno(why, EBADF, "no such listening socket in the simulation");
    door->listener = listener;
    return FAIL_NONE;
}

static void on_listener_stop(struct loop_listener *listener)
{
    struct sim_door *door = door_of(sim_of(listener->loop), listener->fd);

    if (door != NULL)
        door->listener = NULL;
}

static void on_discard(struct loop *loop, int fd)
{
    struct sim_peer *peer = sim_peer_of(sim_of(loop), fd);

    if (peer != NULL)
        sim_peer_close(peer, false);
}

static const struct loop_listener_ops sim_listener_ops = {
    .start = on_listener_start,
    .stop = on_listener_stop,
    .discard = on_discard,
};

static const struct loop_ops sim_ops = {
    .name = "sim",
    .free = on_free,
    .wait = on_wait,
    .wake = on_wake,
    .watch = on_watch,
    .listener = &sim_listener_ops,
    .stream = &sim_stream_ops,
};

/* ---- for the test: the loop ---- */

struct loop *sim_loop_new(uint64_t seed)
{
    struct sim_loop *sim = sim_allocate(NULL, sizeof *sim);

    loop_init(&sim->loop, &sim_ops);
    sim->is_shuffled = seed != 0;
    sim->random = 88172645463325252u ^ (seed * 2654435761u);
    sim->wall_at_start_s = WALL_AT_START;
    for (size_t i = 0; i < SIM_WATCHES; i++)
        sim->watches[i].fd = -1;
    set_clock(sim, 1);
    return &sim->loop;
}

void sim_settle(struct loop *loop)
{
    struct sim_loop *sim = sim_of(loop);

    for (unsigned n = 0; !loop->stopped && next_us(sim) <= loop->now_us + SETTLED_US; n++) {
        assert(n < TURNS_MOST);
        loop_turn(loop);
    }
    loop->stopped = false;
}

void sim_run_for(struct loop *loop, uint64_t us)
{
    struct sim_loop *sim = sim_of(loop);
    uint64_t         until_us = loop->now_us + us;

    for (unsigned n = 0; !loop->stopped && next_us(sim) <= until_us; n++) {
        assert(n < TURNS_MOST);
        loop_turn(loop);
    }
    loop->stopped = false;
    set_clock(sim, until_us);
}

bool sim_turn(struct loop *loop)
{
    if (next_us(sim_of(loop)) == SIM_NEVER)
        return false;
    loop_turn(loop);
    return true;
}

uint64_t sim_turns(const struct loop *loop)
{
    return sim_of((struct loop *)(uintptr_t)loop)->turns;
}

void sim_set_wall(struct loop *loop, int64_t seconds)
{
    struct sim_loop *sim = sim_of(loop);

    sim->wall_at_start_s = seconds - (int64_t)(loop->now_us / 1000000);
    loop->wall_s = seconds;
}

/* ---- for the test: the network ---- */

void sim_set_delay(struct loop *loop, uint64_t us)
{
    sim_of(loop)->delay_us = us;
}

void sim_set_random_cuts(struct loop *loop, bool random)
{
    sim_of(loop)->has_random_cuts = random;
}

void sim_set_piece(struct loop *loop, size_t n)
{
    sim_of(loop)->piece_most = n;
}

int sim_listen(struct loop *loop, const char *address)
{
    static const int first_fd = 100;
    struct sim_loop *sim = sim_of(loop);
    struct sim_door *door = sim_door_make(sim, address);

    if (door->fd < 0) {
        int fd = first_fd;

        while (door_of(sim, fd) != NULL)
            fd++;
        door->fd = fd;
    }
    return door->fd;
}

void sim_fail_accepts(struct loop *loop, int error, unsigned times)
{
    sim_of(loop)->accept_error = error;
    sim_of(loop)->accept_failures = times;
}

void sim_serve(struct loop *loop, const char *address, enum sim_answer answer)
{
    sim_door_make(sim_of(loop), address)->answer = answer;
}

/* ---- for the test: peers ---- */

struct sim_peer *sim_connect(struct loop *loop, const char *address)
{
    struct sim_loop *sim = sim_of(loop);
    struct sim_door *door = sim_door_at(sim, address);
    struct sim_peer *peer;

    if (door == NULL || door->fd < 0)
        return NULL;
    peer = sim_pair(sim);
    sim_happen(peer->other, SIM_KNOCK, door, bytes_of(NULL, 0), sim->delay_us);
    return peer;
}

struct sim_peer *sim_connect_from(struct loop *loop, const char *address, const char *from)
{
    struct sim_peer *peer = sim_connect(loop, address);

    if (peer != NULL && !address_from_numeric(&peer->name, from, (uint16_t)(peer->fd + 20000)))
        abort();
    return peer;
}

struct sim_peer *sim_accept(struct loop *loop, const char *address)
{
    struct sim_door *door = sim_door_at(sim_of(loop), address);

    return door != NULL && door->fd < 0 ? sim_door_take(door) : NULL;
}

void sim_write(struct sim_peer *peer, struct bytes data)
{
    assert(!peer->is_closed && !peer->has_finished);
    if (!peer->saw_reset)
        sim_peer_push(peer, data);
}

void sim_finish(struct sim_peer *peer)
{
    sim_peer_end(peer);
}

void sim_close(struct sim_peer *peer)
{
    sim_peer_close(peer, false);
}

void sim_reset(struct sim_peer *peer)
{
    sim_peer_close(peer, true);
}

struct bytes sim_received(const struct sim_peer *peer)
{
    return bytes_of(peer->in.memory, peer->in.len);
}

void sim_take(struct sim_peer *peer, size_t n)
{
    assert(n <= peer->in.len);
    sim_queue_skip(&peer->in, n);
}

bool sim_saw_end(const struct sim_peer *peer)
{
    return peer->saw_end;
}

bool sim_saw_reset(const struct sim_peer *peer)
{
    return peer->saw_reset;
}

const struct address *sim_far_name(const struct sim_peer *peer)
{
    return &peer->other->name;
}

size_t sim_untaken(const struct sim_peer *peer)
{
    return peer->other->in.len + peer->other->in_flight;
}

void sim_set_window(struct sim_peer *peer, size_t bytes)
{
    peer->window = bytes;
}

void sim_cut(struct sim_peer *peer, size_t n)
{
    peer->other->piece_most = n;
}

void sim_cut_at(struct sim_peer *peer, size_t offset)
{
    peer->other->cut_at = offset;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/walk.h"

#include <assert.h>
#include <string.h>

void walk_begin(struct walk *walk, const struct route_target *targets, size_t count,
                const struct backoff *backoff, uint64_t now_us)
{
    memset(walk, 0, sizeof *walk);
    walk->targets = targets;
    walk->target_count = count;
    walk->backoff = backoff;
    walk->began_us = now_us;
}

void walk_begin_at(struct walk *walk, const struct route_target *target,
                   const struct address *address)
{
    memset(walk, 0, sizeof *walk);
    walk->target = target;
    walk_found(walk, address, 1);
}

void walk_found(struct walk *walk, const struct address *addresses, size_t count)
{
    walk->address_count = count < RESOLVE_MOST ? count : RESOLVE_MOST;
    if (count > 0)
        memcpy(walk->addresses, addresses, walk->address_count * sizeof *addresses);
}

void walk_repeat(struct walk *walk)
{
    assert(walk->address_next > 0);
    walk->repeats = true;
}

const struct address *walk_address(const struct walk *walk)
{
    return &walk->addresses[walk->address_next - 1];
}

bool walk_has_choice(const struct walk *walk)
{
    return walk->target_count > 1 || walk->address_count > 1;
}

/* The place of the current address in walk->left_out; 0: it has none. */
static uint64_t place_of_address(const struct walk *walk)
{
    size_t place = (walk->target_next - 1) * RESOLVE_MOST + walk->address_next - 1;

    return place < 64 ? UINT64_C(1) << place : 0;
}

static bool is_due(struct walk *walk, uint64_t now_us)
{
    uint64_t place;

    if (walk->backoff == NULL)
        return true;
    place = place_of_address(walk);
    if (walk->is_second_round)
        return (walk->left_out & place) != 0;
    if (!backoff_holds(walk->backoff, walk_address(walk), walk->began_us, now_us))
        return true;
    walk->left_out |= place;
    return place == 0;
}

static enum walk_step next_target(struct walk *walk)
{
    if (walk->target_next == walk->target_count && walk->left_out != 0 &&
        !walk->is_second_round) {
        walk->is_second_round = true;
        walk->target_next = 0;
    }
    if (walk->target_next == walk->target_count)
        return WALK_OVER;
    walk->target = &walk->targets[walk->target_next++];
    walk->address_count = walk->address_next = 0;
    return WALK_LOOK_UP;
}

enum walk_step walk_next(struct walk *walk, uint64_t now_us)
{
    if (walk->repeats) {
        walk->repeats = false;
        return WALK_CONNECT_AGAIN;
    }
    while (walk->address_next < walk->address_count) {
        walk->address_next++;
        if (is_due(walk, now_us))
            return WALK_CONNECT;
    }
    return next_target(walk);
}

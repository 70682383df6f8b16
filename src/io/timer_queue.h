/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/timer_queue.h - running timers, the earliest first
 *
 * A pairing heap threaded through the timers themselves: nothing is allocated,
 * so starting a timer cannot fail.
 */
#ifndef PGTLS_IO_TIMER_QUEUE_H
#define PGTLS_IO_TIMER_QUEUE_H

#include "io/loop.h"

#define TIMER_NEVER UINT64_MAX

struct timer_queue {
    struct loop_timer *first;
};

/* `timer` is not in the queue; its at_us is set. */
void timer_queue_add(struct timer_queue *queue, struct loop_timer *timer);
void timer_queue_remove(struct timer_queue *queue, struct loop_timer *timer);

/* When the earliest expires, or TIMER_NEVER. */
uint64_t timer_queue_next_us(const struct timer_queue *queue);

/* Takes off the earliest one that has expired at `now_us`, or NULL. */
struct loop_timer *timer_queue_expired(struct timer_queue *queue, uint64_t now_us);

#endif

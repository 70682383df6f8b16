/* SPDX-License-Identifier: PostgreSQL */
#include "io/timer_queue.h"

#include "harness/check.h"

#include <stdlib.h>

#define TIMERS 500

static void an_empty_queue_never_expires(void **state)
{
    struct timer_queue queue = { 0 };

    assert_true(timer_queue_next_us(&queue) == TIMER_NEVER);
    assert_null(timer_queue_expired(&queue, TIMER_NEVER));
}

/* Adds, moves and removes at random; what is left must come out in order. */
static void timers_come_out_in_order_whatever_happened_before(void **state)
{
    struct timer_queue queue = { 0 };
    struct loop_timer  timers[TIMERS] = { 0 };
    struct loop_timer *timer;
    size_t             running = 0;
    uint64_t           last = 0;

    srand(42);
    for (int n = 0; n < 20000; n++) {
        timer = &timers[rand() % TIMERS];
        if (timer->prev != NULL) {
            timer_queue_remove(&queue, timer);
            running--;
        }
        if (rand() % 3 != 0) {
            timer->at_us = (uint64_t)(rand() % 1000);
            timer_queue_add(&queue, timer);
            running++;
        }
    }
    assert_null(timer_queue_expired(&queue, timer_queue_next_us(&queue) - 1));
    while ((timer = timer_queue_expired(&queue, TIMER_NEVER)) != NULL) {
        assert_true(timer->at_us >= last);
        assert_null(timer->prev);
        last = timer->at_us;
        running--;
    }
    assert_int_equal(running, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_never_expires),
        cmocka_unit_test(timers_come_out_in_order_whatever_happened_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "io/loop_backend.h"

#include "io/loop_epoll.h"
#include "io/loop_uring.h"

#include <assert.h>
#include <time.h>

/* A completion often submits the next operation, which is done at once; a few rounds
 * in the same turn save a poll, more would starve the other streams. */
#define DELIVERY_ROUNDS 4

struct loop *loop_new(enum loop_kind kind, struct failure *why)
{
    struct failure refusal = { 0 };
    struct loop   *loop = NULL;

    if (kind != LOOP_EPOLL)
        loop = loop_uring_new(&refusal);
    if (loop == NULL && (loop = loop_epoll_new(why)) != NULL)
        loop->refusal = refusal;
    return loop;
}

void loop_init(struct loop *loop, const struct loop_ops *ops)
{
    *loop = (struct loop){ .ops = ops };
    loop->line_end = &loop->line;
    loop->done_end = &loop->done;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(loop->streams == 0);
    loop->ops->free(loop);
}

const char *loop_name(const struct loop *loop)
{
    return loop->ops->name;
}

const char *loop_refusal(const struct loop *loop)
{
    return failed(&loop->refusal) ? loop->refusal.text : NULL;
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

int64_t loop_wall_s(const struct loop *loop)
{
    return loop->wall_s;
}

/* ---- the turn ---- */

bool loop_is_busy(struct loop *loop)
{
    return loop->done != NULL || loop->line != NULL || loop->stopped ||
           atomic_load(&loop->posted) != NULL;
}

uint64_t loop_fall_asleep(struct loop *loop)
{
    /* the order matters: a task posted after the look at `posted` sees is_asleep */
    atomic_store(&loop->is_asleep, true);
    return loop_is_busy(loop) ? 0 : timer_queue_next_us(&loop->timers);
}

void loop_wake_up(struct loop *loop, uint64_t now_us, int64_t wall_s)
{
    atomic_store(&loop->is_asleep, false);
    loop->now_us = now_us;
    loop->wall_s = wall_s;
}

void loop_wake_up_now(struct loop *loop)
{
    struct timespec now, wall;

    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    loop_wake_up(loop, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
                 wall.tv_sec);
}

static void run_timers(struct loop *loop)
{
    struct loop_timer *timer;

    while ((timer = timer_queue_expired(&loop->timers, loop->now_us)) != NULL)
        timer->expired(timer);
}

static struct loop_task *in_order(struct loop_task *newest)
{
    struct loop_task *first = NULL;

    while (newest != NULL) {
        struct loop_task *older = newest->next;

        newest->next = first;
        first = newest;
        newest = older;
    }
    return first;
}

static void run_tasks(struct loop *loop)
{
    struct loop_task *task;

    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL)
        return;
    task = in_order(atomic_exchange(&loop->posted, NULL));
    while (task != NULL) {
        struct loop_task *next = task->next;

        task->run(task);
        task = next;
    }
}

void loop_turn(struct loop *loop)
{
    loop->ops->wait(loop);
    stream_line_moves(loop);
    run_timers(loop);
    run_tasks(loop);
    for (int round = 0; round < DELIVERY_ROUNDS && loop->done != NULL; round++)
        stream_deliver_done(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped)
        loop_turn(loop);
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* ---- tasks ---- */

void loop_post(struct loop *loop, struct loop_task *task)
{
    struct loop_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);

    do
        task->next = head;
    while (!atomic_compare_exchange_weak(&loop->posted, &head, task));
    /* the first one wakes it; a loop that posts to itself is awake */
    if (atomic_exchange(&loop->is_asleep, false))
        loop->ops->wake(loop);
}

/* ---- timers ---- */

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_us)
{
    uint64_t left = TIMER_NEVER - 1 - loop->now_us;

    if (timer->prev != NULL)
        timer_queue_remove(&loop->timers, timer);
    /* never in this turn: a timer that restarts itself must not hold the loop */
    if (delay_us == 0)
        delay_us = 1;
    timer->at_us = loop->now_us + (delay_us < left ? delay_us : left);
    timer_queue_add(&loop->timers, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->prev != NULL)
        timer_queue_remove(&loop->timers, timer);
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->prev != NULL;
}

/* ---- watches ---- */

enum fail loop_watch_start(struct loop *loop, struct loop_watch *watch, unsigned what,
                           struct failure *why)
{
    enum fail rc;

    assert(what != 0 && watch->ready != NULL);
    if (watch->what == what)
        return FAIL_NONE;
    if ((rc = loop->ops->watch(loop, watch, what, why)) == FAIL_NONE)
        watch->what = what;
    return rc;
}

void loop_watch_stop(struct loop *loop, struct loop_watch *watch)
{
    struct failure ignored = { 0 };

    if (watch->what == 0)
        return;
    (void)!loop->ops->watch(loop, watch, 0, &ignored);
    watch->what = 0;
}

/* ---- listeners ---- */

enum fail loop_listener_start(struct loop *loop, struct loop_listener *listener, int fd,
                              bool shared, struct failure *why)
{
    assert(listener->accepted != NULL && listener->paused != NULL);
    listener->loop = loop;
    listener->fd = fd;
    listener->shared = shared;
    listener->resume = (struct loop_timer){ 0 };
    return loop->ops->listener->start(listener, why);
}

void loop_listener_stop(struct loop_listener *listener)
{
    if (loop_timer_is_running(&listener->resume))
        loop_timer_stop(listener->loop, &listener->resume);
    listener->loop->ops->listener->stop(listener);
}

static void on_resume(struct loop_timer *timer)
{
    struct loop_listener *listener = container_of(timer, struct loop_listener, resume);
    struct failure        ignored = { 0 };

    if (listener->loop->ops->listener->start(listener, &ignored) != FAIL_NONE)
        loop_timer_start(listener->loop, timer, LOOP_ACCEPT_PAUSE_US);
}

void loop_listener_pause(struct loop_listener *listener, int error)
{
    listener->loop->ops->listener->stop(listener);
    listener->resume.expired = on_resume;
    loop_timer_start(listener->loop, &listener->resume, LOOP_ACCEPT_PAUSE_US);
    listener->paused(listener, error);
}

void loop_discard(struct loop *loop, struct loop_accepted accepted)
{
    loop->ops->listener->discard(loop, accepted.fd);
}

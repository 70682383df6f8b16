/* SPDX-License-Identifier: PostgreSQL */
/*
 * What every backend does besides streams: timers, tasks, watches, listeners.
 */
#include "harness/loop_rig.h"
#include "sim/sim_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- timers ---- */

struct ringing {
    struct loop_timer timer;
    struct rig       *rig;
    struct ringing   *other;
    unsigned          rang;
    unsigned          place; /* which one it was, from 1 */
    unsigned         *order;
};

static void on_ring(struct loop_timer *timer)
{
    struct ringing *ringing = container_of(timer, struct ringing, timer);

    ringing->rang++;
    ringing->place = ++*ringing->order;
    if (ringing->other != NULL)
        loop_timer_stop(ringing->rig->loop, &ringing->other->timer);
}

static void timers_expire_in_their_order_and_not_early(struct rig *rig)
{
    static const uint64_t delays_us[] = { 9000, 3000, 30000, 1, 6000 };
    static const unsigned places[] = { 4, 2, 5, 1, 3 };
    struct ringing        timers[5] = { 0 };
    unsigned              order = 0;
    uint64_t              start = loop_now_us(rig->loop);

    for (int i = 0; i < 5; i++) {
        timers[i] = (struct ringing){ .timer.expired = on_ring, .order = &order };
        assert_false(loop_timer_is_running(&timers[i].timer));
        loop_timer_start(rig->loop, &timers[i].timer, delays_us[i]);
        assert_true(loop_timer_is_running(&timers[i].timer));
    }
    until(rig, order == 5);
    assert_true(loop_now_us(rig->loop) - start >= 30000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(timers[i].rang, 1);
        assert_int_equal(timers[i].place, places[i]);
        assert_false(loop_timer_is_running(&timers[i].timer));
    }
}

static void a_running_timer_is_moved(struct rig *rig)
{
    unsigned       order = 0;
    struct ringing early = { .timer.expired = on_ring, .order = &order };
    struct ringing late = { .timer.expired = on_ring, .order = &order };

    loop_timer_start(rig->loop, &early.timer, 1000);
    loop_timer_start(rig->loop, &late.timer, 60000000);
    loop_timer_start(rig->loop, &early.timer, 20000);
    loop_timer_start(rig->loop, &late.timer, 5000);
    until(rig, order == 2);
    assert_int_equal(late.place, 1);
    assert_int_equal(early.rang, 1);
}

static void a_timer_may_stop_another_that_is_due_as_well(struct rig *rig)
{
    unsigned       order = 0;
    struct ringing a = { .timer.expired = on_ring, .order = &order, .rig = rig };
    struct ringing b = { .timer.expired = on_ring, .order = &order, .rig = rig };

    a.other = &b;
    b.other = &a;
    loop_timer_start(rig->loop, &a.timer, 2000);
    loop_timer_start(rig->loop, &b.timer, 2000);
    rig_pass(rig, 10000);
    assert_int_equal(a.rang + b.rang, 1);
    loop_timer_stop(rig->loop, &a.timer); /* a stopped one is fine */
}

static void on_ring_again(struct loop_timer *timer)
{
    struct ringing *ringing = container_of(timer, struct ringing, timer);

    ringing->rang++;
    loop_timer_start(ringing->rig->loop, timer, 0);
}

static void a_timer_that_restarts_itself_rings_once_a_turn(struct rig *rig)
{
    struct ringing a = { .timer.expired = on_ring_again, .rig = rig };
    unsigned       turns = rig->turns;

    loop_timer_start(rig->loop, &a.timer, 0);
    until(rig, a.rang >= 5);
    assert_true(rig->turns - turns >= 5);
    loop_timer_stop(rig->loop, &a.timer);
}

/* How often this thread has waited for something. */
static long sleeps(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

/* epoll counts milliseconds: it would sleep a thousand times here. */
static void a_timer_without_delay_does_not_let_the_loop_sleep(struct rig *rig)
{
    struct ringing a = { .timer.expired = on_ring_again, .rig = rig };
    long           before = sleeps();

    loop_timer_start(rig->loop, &a.timer, 0);
    until(rig, a.rang == 1000);
    assert_true(sleeps() - before < 500);
    loop_timer_stop(rig->loop, &a.timer);
}

static void time_stands_still_within_a_turn(struct rig *rig)
{
    uint64_t before = loop_now_us(rig->loop);

    usleep(2000);
    assert_int_equal(loop_now_us(rig->loop), before);
    assert_true(loop_wall_s(rig->loop) > 1700000000);
}

/* ---- tasks ---- */

struct counted {
    struct loop_task task;
    struct rig      *rig;
    unsigned         ran;
    unsigned         again; /* how often it posts itself */
    unsigned         place;
    unsigned        *order;
};

static void run_counted(struct loop_task *task)
{
    struct counted *counted = container_of(task, struct counted, task);

    counted->ran++;
    if (counted->order != NULL)
        counted->place = ++*counted->order;
    if (counted->again > 0) {
        counted->again--;
        loop_post(counted->rig->loop, task);
    }
}

static void tasks_run_in_the_order_in_which_they_were_posted(struct rig *rig)
{
    struct counted tasks[4] = { 0 };
    unsigned       order = 0;

    for (unsigned i = 0; i < 4; i++) {
        tasks[i] = (struct counted){ .task.run = run_counted, .order = &order };
        loop_post(rig->loop, &tasks[i].task);
        assert_int_equal(tasks[i].ran, 0);
    }
    until(rig, order == 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(tasks[i].place, i + 1);
}

static void a_task_that_posts_itself_runs_once_a_turn(struct rig *rig)
{
    struct counted task = { .task.run = run_counted, .rig = rig, .again = 4 };
    unsigned       turns = rig->turns;

    loop_post(rig->loop, &task.task);
    until(rig, task.ran == 5);
    assert_true(rig->turns - turns >= 5);
}

#define POSTS 2000u

struct poster {
    struct rig     *rig;
    struct counted *tasks;
};

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (unsigned i = 0; i < POSTS; i++) {
        loop_post(poster->rig->loop, &poster->tasks[i].task);
        if (i % 100 == 0)
            usleep(500);
    }
    return NULL;
}

static void tasks_come_from_other_threads(struct rig *rig)
{
    static struct counted tasks[2][POSTS];
    struct poster         posters[2];
    pthread_t             threads[2];
    unsigned              ran = 0;

    for (unsigned t = 0; t < 2; t++) {
        for (unsigned i = 0; i < POSTS; i++)
            tasks[t][i] = (struct counted){ .task.run = run_counted, .order = &ran };
        posters[t] = (struct poster){ .rig = rig, .tasks = tasks[t] };
        pthread_create(&threads[t], NULL, post_all, &posters[t]);
        if (!rig->backend->is_real) /* a virtual clock does not wait for anybody */
            pthread_join(threads[t], NULL);
        else
            usleep(100);
    }
    until(rig, ran == 2 * POSTS);
    for (unsigned t = 0; rig->backend->is_real && t < 2; t++)
        pthread_join(threads[t], NULL);
    for (unsigned i = 1; i < POSTS; i++)
        assert_true(tasks[0][i].place > tasks[0][i - 1].place);
}

static void stop_loop(struct loop_task *task)
{
    struct counted *counted = container_of(task, struct counted, task);

    counted->ran++;
    loop_stop(counted->rig->loop);
}

static void a_loop_runs_until_it_is_stopped_and_may_run_again(struct rig *rig)
{
    struct counted task = { .task.run = stop_loop, .rig = rig };

    for (unsigned i = 1; i < 3; i++) {
        loop_post(rig->loop, &task.task);
        loop_run(rig->loop);
        assert_int_equal(task.ran, i);
    }
}

/* ---- watches ---- */

struct watcher {
    struct loop_watch watch;
    struct rig       *rig;
    int               write_fd;
    unsigned          told;
    unsigned          what;
    struct watcher   *stops; /* when it is told */
};

static void on_ready(struct loop_watch *watch, unsigned what)
{
    struct watcher *watcher = container_of(watch, struct watcher, watch);

    watcher->told++;
    watcher->what |= what;
    if (watcher->stops != NULL) {
        loop_watch_stop(watcher->rig->loop, &watcher->stops->watch);
        memset(&watcher->stops->watch, 0xa5, sizeof watcher->stops->watch);
    }
}

/* A descriptor that can be made readable; the simulation has its own. */
static void watcher_init(struct watcher *watcher, struct rig *rig)
{
    static int sim_fd = 50;
    int        ends[2] = { sim_fd++, -1 };

    if (rig->backend->is_real)
        assert_int_equal(pipe(ends), 0);
    *watcher = (struct watcher){ .watch = { .ready = on_ready, .fd = ends[0] },
                                 .rig = rig,
                                 .write_fd = ends[1] };
}

static void make_readable(struct watcher *watcher)
{
    if (watcher->rig->backend->is_real)
        assert_int_equal(write(watcher->write_fd, "x", 1), 1);
    else
        sim_set_ready(watcher->rig->loop, watcher->watch.fd, LOOP_READABLE);
}

static void watcher_fini(struct watcher *watcher, int fd)
{
    if (!watcher->rig->backend->is_real) {
        sim_set_ready(watcher->rig->loop, fd, 0);
        return;
    }
    close(fd);
    close(watcher->write_fd);
}

static void a_watch_tells_that_a_descriptor_is_ready(struct rig *rig)
{
    struct watcher watcher;
    struct failure why = { 0 };
    unsigned       told;

    watcher_init(&watcher, rig);
    assert_int_equal(loop_watch_start(rig->loop, &watcher.watch, LOOP_READABLE, &why),
                     FAIL_NONE);
    rig_pass(rig, 10000);
    assert_int_equal(watcher.told, 0);
    make_readable(&watcher);
    until(rig, watcher.told == 2); /* as long as it is */
    assert_int_equal(watcher.what, LOOP_READABLE);
    assert_int_equal(loop_watch_start(rig->loop, &watcher.watch, LOOP_WRITABLE, &why),
                     FAIL_NONE);
    told = watcher.told;
    rig_pass(rig, 10000);
    assert_int_equal(watcher.told, told); /* a pipe's reading end is never writable */
    loop_watch_stop(rig->loop, &watcher.watch);
    loop_watch_stop(rig->loop, &watcher.watch);
    watcher_fini(&watcher, watcher.watch.fd);
}

/* Whichever is told first stops the other, whose memory is then its owner's. */
static void a_watch_that_is_stopped_is_told_nothing_more(struct rig *rig)
{
    struct watcher a, b;
    struct failure why = { 0 };
    int            fds[2];

    watcher_init(&a, rig);
    watcher_init(&b, rig);
    fds[0] = a.watch.fd;
    fds[1] = b.watch.fd;
    a.stops = &b;
    b.stops = &a;
    make_readable(&a);
    make_readable(&b);
    assert_int_equal(loop_watch_start(rig->loop, &a.watch, LOOP_READABLE, &why), FAIL_NONE);
    assert_int_equal(loop_watch_start(rig->loop, &b.watch, LOOP_READABLE, &why), FAIL_NONE);
    rig_turn(rig);
    assert_int_equal(a.told + b.told, 1);
    loop_watch_stop(rig->loop, a.told ? &a.watch : &b.watch);
    watcher_fini(&a, fds[0]);
    watcher_fini(&b, fds[1]);
}

/* ---- listeners ---- */

struct listening_once {
    struct loop_listener listener;
    unsigned             accepted;
};

static void stop_listening(struct loop_listener *listener, struct loop_accepted accepted)
{
    struct listening_once *once = container_of(listener, struct listening_once, listener);
    struct loop           *loop = listener->loop;

    once->accepted++;
    loop_listener_stop(listener);
    memset(listener, 0xa5, sizeof *listener); /* ours again */
    loop_discard(loop, accepted);
}

static void never_paused(struct loop_listener *listener, int error)
{
    assert_false(true);
}

static void a_listener_may_be_stopped_while_others_wait_to_be_accepted(struct rig *rig)
{
    struct listening_once once = { .listener.accepted = stop_listening,
                                   .listener.paused = never_paused };
    struct end            a, b;
    struct failure        why = { 0 };

    loop_listener_stop(&rig->listener);
    end_connect(&a, rig);
    end_connect(&b, rig);
    until(rig, a.connected == 1 && b.connected == 1); /* the backlog takes them */
    assert_int_equal(
        loop_listener_start(rig->loop, &once.listener, rig->listening_fd, true, &why),
        FAIL_NONE);
    until(rig, once.accepted == 1);
    rig_pass(rig, 10000);
    assert_int_equal(once.accepted, 1);
    rig_close(rig, &a, &b);
    assert_int_equal(
        loop_listener_start(rig->loop, &rig->listener, rig->listening_fd, false, &why),
        FAIL_NONE);
    rig_pass(rig, 10000);
    if (rig->accepted == 1) /* the second one: it was closed meanwhile */
        loop_discard(rig->loop, rig->last);
}

static int option(int fd, int level, int name)
{
    int       value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void what_is_accepted_has_the_options_of_the_listener(struct rig *rig)
{
    struct end     a, b;
    struct failure why = { 0 };

    if (!rig->backend->is_real || rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    assert_int_not_equal(option(b.stream.fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option(b.stream.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
    rig_close(rig, &a, &b);
    loop_listener_stop(&rig->listener);
    rig->listener.options = (struct stream_options){ 0 };
    assert_int_equal(
        loop_listener_start(rig->loop, &rig->listener, rig->listening_fd, false, &why),
        FAIL_NONE);
    rig_pair(rig, &a, &b);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option(b.stream.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option(b.stream.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    rig_close(rig, &a, &b);
}

static void a_discarded_connection_ends_for_the_peer(struct rig *rig)
{
    struct end a;

    end_connect(&a, rig);
    until(rig, a.connected == 1 && rig->accepted == 1);
    loop_discard(rig->loop, rig->last);
    end_ask(&a, 0);
    until(rig, a.got_end);
    stream_close(&a.stream, false);
    until(rig, a.closed == 1);
}

static const struct rig_test tests[] = {
    RIG_TEST(timers_expire_in_their_order_and_not_early),
    RIG_TEST(a_running_timer_is_moved),
    RIG_TEST(a_timer_may_stop_another_that_is_due_as_well),
    RIG_TEST(a_timer_that_restarts_itself_rings_once_a_turn),
    RIG_TEST(a_timer_without_delay_does_not_let_the_loop_sleep),
    RIG_TEST(time_stands_still_within_a_turn),
    RIG_TEST(tasks_run_in_the_order_in_which_they_were_posted),
    RIG_TEST(a_task_that_posts_itself_runs_once_a_turn),
    RIG_TEST(tasks_come_from_other_threads),
    RIG_TEST(a_loop_runs_until_it_is_stopped_and_may_run_again),
    RIG_TEST(a_watch_tells_that_a_descriptor_is_ready),
    RIG_TEST(a_watch_that_is_stopped_is_told_nothing_more),
    RIG_TEST(a_listener_may_be_stopped_while_others_wait_to_be_accepted),
    RIG_TEST(what_is_accepted_has_the_options_of_the_listener),
    RIG_TEST(a_discarded_connection_ends_for_the_peer),
};

int main(void)
{
    return rig_run(tests, sizeof tests / sizeof tests[0], NULL);
}

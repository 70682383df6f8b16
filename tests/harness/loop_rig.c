/* SPDX-License-Identifier: PostgreSQL */
#include "harness/loop_rig.h"

#include "io/socket.h"
#include "sim/sim_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GIVE_UP_US 30000000u

static const struct rig_backend backends[] = {
    { .name = "epoll", .is_real = true, .kind = LOOP_EPOLL },
    { .name = "epoll, unix sockets", .is_real = true, .kind = LOOP_EPOLL, .is_unix = true },
    { .name = "io_uring", .is_real = true, .kind = LOOP_IO_URING },
    { .name = "io_uring, unix sockets",
      .is_real = true,
      .kind = LOOP_IO_URING,
      .is_unix = true },
    { .name = "sim" },
    { .name = "sim, shuffled and cut", .is_cut = true, .seed = 7 },
};

/* One test on one backend. */
struct rig_case {
    const struct rig_backend *backend;
    const struct rig_test    *test;
    char                      name[160];
};

#define BACKENDS (sizeof backends / sizeof backends[0])

bool rig_is_real(const struct rig_backend *backend)
{
    return backend->is_real;
}

bool rig_is_epoll(const struct rig_backend *backend)
{
    return backend->is_real && backend->kind == LOOP_EPOLL;
}

bool rig_is_io_uring(const struct rig_backend *backend)
{
    return backend->is_real && backend->kind == LOOP_IO_URING;
}

bool rig_is_sim(const struct rig_backend *backend)
{
    return !backend->is_real;
}

/* ---- ends ---- */

static struct end *end_of(struct stream *stream)
{
    struct end *end = container_of(stream, struct end, stream);

    assert_int_equal(end->closed, 0);
    end->calls++;
    return end;
}

static void on_connected(struct stream *stream, int error)
{
    struct end *end = end_of(stream);

    end->connected++;
    end->connect_error = error;
}

static void on_received(struct stream *stream, struct bytes data, int error)
{
    struct end *end = end_of(stream);

    end->received++;
    end->receive_error = error;
    end->got_end = data.len == 0 && error == 0;
    if (data.len > end->largest)
        end->largest = data.len;
    buf_put(&end->got, data);
    assert_true(buf_ok(&end->got));
    if (end->on_received != NULL)
        end->on_received(end);
    if (end->keeps_asking && data.len > 0)
        end_ask(end, end->ask_for);
}

static void on_sent(struct stream *stream, int error)
{
    struct end *end = end_of(stream);

    assert_false(stream_is_sending(stream));
    end->sent++;
    end->send_error = error;
    if (end->on_sent != NULL)
        end->on_sent(end);
}

static void on_closed(struct stream *stream)
{
    struct end *end = end_of(stream);

    end->closed++;
    memset(stream, 0xa5, sizeof *stream); /* ours again */
}

static const struct stream_events events = { on_connected, on_received, on_sent, on_closed };

static const struct stream_options options = {
    .no_delay = true,
    .keepalive_s = 60,
    .user_timeout_ms = 30000,
};

static void end_init(struct end *end, struct rig *rig)
{
    *end = (struct end){ .rig = rig, .got = BUF_LIMIT((size_t)64 << 20) };
}

void end_connect(struct end *end, struct rig *rig)
{
    struct failure why = { 0 };

    end_init(end, rig);
    assert_int_equal(
        stream_connect(&end->stream, rig->loop, &events, &rig->address, &options, &why),
        FAIL_NONE);
    assert_int_equal(end->calls, 0);
}

void end_attach(struct end *end, struct rig *rig)
{
    struct failure why = { 0 };

    end_init(end, rig);
    assert_int_equal(stream_attach(&end->stream, rig->loop, &events, rig->last, &why),
                     FAIL_NONE);
    assert_int_equal(end->calls, 0);
}

void end_ask(struct end *end, size_t at_most)
{
    unsigned calls = end->calls;

    stream_receive(&end->stream, at_most);
    assert_int_equal(end->calls, calls);
}

void end_send(struct end *end, struct bytes data)
{
    unsigned calls = end->calls;

    stream_send(&end->stream, data);
    assert_true(stream_is_sending(&end->stream));
    assert_int_equal(end->calls, calls);
}

/* ---- the rig ---- */

static void on_accepted(struct loop_listener *listener, struct loop_accepted accepted)
{
    struct rig *rig = container_of(listener, struct rig, listener);

    rig->accepted++;
    rig->last = accepted;
}

static void on_paused(struct loop_listener *listener, int error)
{
    struct rig *rig = container_of(listener, struct rig, listener);

    rig->paused++;
    rig->pause_error = error;
}

static void on_guard(struct loop_timer *timer)
{
    container_of(timer, struct rig, guard)->gave_up = true;
}

static void on_waited(struct loop_timer *timer)
{
}

void rig_turn(struct rig *rig)
{
    rig->turns++;
    loop_turn(rig->loop);
}

unsigned rig_pass(struct rig *rig, uint64_t us)
{
    unsigned before = rig->turns;

    /* in pieces: on a busy machine all of it may pass while this process waits for its turn */
    for (int i = 0; i < 4; i++) {
        loop_timer_start(rig->loop, &rig->waiting, us / 4);
        until(rig, !loop_timer_is_running(&rig->waiting));
    }
    return rig->turns - before;
}

void rig_pair(struct rig *rig, struct end *client, struct end *server)
{
    unsigned accepted = rig->accepted;

    end_connect(client, rig);
    until(rig, client->connected == 1 && rig->accepted == accepted + 1);
    assert_int_equal(client->connect_error, 0);
    end_attach(server, rig);
}

void rig_close(struct rig *rig, struct end *a, struct end *b)
{
    struct end *ends[] = { a, b };

    for (int i = 0; i < 2; i++) {
        unsigned calls = ends[i]->calls;

        if (ends[i]->closed == 0 && !(ends[i]->stream.flags & STREAM_CLOSING))
            stream_close(&ends[i]->stream, false);
        assert_int_equal(ends[i]->calls, calls);
    }
    until(rig, a->closed == 1 && b->closed == 1);
    buf_fini(&a->got);
    buf_fini(&b->got);
}

static void open_real(struct rig *rig)
{
    struct socket_options listen_options = { .unix_mode = 0600 };
    struct failure        why = { 0 };
    char                  name[64] = "127.0.0.1:0";

    if (rig->backend->is_unix)
        snprintf(name, sizeof name, "unix:/tmp/pgtls-loop-test.%d", (int)getpid());
    rig->loop = loop_new(rig->backend->kind, &why);
    assert_non_null(rig->loop);
    assert_null(loop_refusal(rig->loop));
    assert_int_equal(address_parse(&rig->address, name, &why), FAIL_NONE);
    assert_int_equal(socket_listen(&rig->listening_fd, &rig->address, &listen_options, &why),
                     FAIL_NONE);
    assert_int_equal(socket_local_address(rig->listening_fd, &rig->address, &why), FAIL_NONE);
}

static void open_sim(struct rig *rig)
{
    struct failure why = { 0 };

    rig->loop = sim_loop_new(rig->backend->seed);
    sim_set_delay(rig->loop, rig->backend->is_cut ? 130 : 0);
    sim_set_random_cuts(rig->loop, rig->backend->is_cut);
    rig->listening_fd = sim_listen(rig->loop, "127.0.0.1:6000");
    assert_int_equal(address_parse(&rig->address, "127.0.0.1:6000", &why), FAIL_NONE);
}

static int set_up(void **state)
{
    const struct rig_case *which = *state;
    struct rig            *rig = calloc(1, sizeof *rig);
    struct failure         why = { 0 };

    rig->backend = which->backend;
    rig->test = which->test;
    if (rig->backend->is_real)
        open_real(rig);
    else
        open_sim(rig);
    rig->listener.accepted = on_accepted;
    rig->listener.paused = on_paused;
    rig->listener.options = options;
    assert_int_equal(
        loop_listener_start(rig->loop, &rig->listener, rig->listening_fd, false, &why),
        FAIL_NONE);
    rig->guard.expired = on_guard;
    rig->waiting.expired = on_waited;
    loop_timer_start(rig->loop, &rig->guard, GIVE_UP_US);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    loop_listener_stop(&rig->listener);
    if (rig->backend->is_real)
        socket_close_and_unlink(rig->listening_fd, &rig->address);
    if (rig->loop->streams == 0) /* or a failed test left some */
        loop_free(rig->loop);
    free(rig);
    return 0;
}

/* ---- tables ---- */

static void run_case(void **state)
{
    struct rig *rig = *state;

    rig->test->run(rig);
}

static void add_case(struct rig_case *at, const struct rig_backend *backend,
                     const struct rig_test *test, struct CMUnitTest *unit)
{
    at->backend = backend;
    at->test = test;
    snprintf(at->name, sizeof at->name, "%s [%s]", test->name, backend->name);
    *unit = (struct CMUnitTest){ at->name, run_case, set_up, tear_down, at };
}

/* Why io_uring is not tested here; empty where it is. */
static void find_refusal(char *text, size_t size)
{
    struct failure why = { 0 };
    struct loop   *loop = loop_new(LOOP_IO_URING, &why);

    assert_non_null(loop);
    snprintf(text, size, "%s", loop_refusal(loop) != NULL ? loop_refusal(loop) : "");
    loop_free(loop);
}

int rig_run(const struct rig_test *tests, size_t count,
            bool (*wanted)(const struct rig_backend *backend))
{
    struct CMUnitTest *units = calloc(count * BACKENDS, sizeof *units);
    struct rig_case   *cases = calloc(count * BACKENDS, sizeof *cases);
    size_t             n = 0;
    int                failed_tests;
    char               refusal[sizeof(struct failure)];

    find_refusal(refusal, sizeof refusal);
    if (refusal[0] != '\0')
        print_message("io_uring is not tested: %s\n", refusal);
    for (size_t b = 0; b < BACKENDS; b++) {
        if (wanted != NULL && !wanted(&backends[b]))
            continue;
        if (refusal[0] != '\0' && rig_is_io_uring(&backends[b]))
            continue;
        for (size_t t = 0; t < count; t++, n++)
            add_case(&cases[n], &backends[b], &tests[t], &units[n]);
    }
    failed_tests = _cmocka_run_group_tests("loop", units, n, NULL, NULL);
    free(units);
    free(cases);
    return failed_tests;
}

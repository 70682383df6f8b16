/* SPDX-License-Identifier: PostgreSQL */
/*
 * The simulated network itself; what every loop does is tested in src/io.
 */
#include "sim/sim_loop.h"

#include "harness/check.h"

#include <errno.h>

#define BACKEND "10.0.0.5:5432"
#define FRONT   "10.0.0.1:6432"

/* The program under test: writes down what it gets. */
struct program {
    struct loop         *loop;
    struct loop_listener listener;
    struct stream        stream;
    unsigned             connected;
    int                  connect_error;
    unsigned             received;
    unsigned             sent;
    unsigned             paused;
    int                  error;
    bool                 got_end;
    bool                 is_closed;
    bool                 keeps_asking;
    size_t               pieces[64];
    struct buf           got;
};

static struct program *program_of(struct stream *stream)
{
    return container_of(stream, struct program, stream);
}

static void on_connected(struct stream *stream, int error)
{
    program_of(stream)->connected++;
    program_of(stream)->connect_error = error;
}

static void on_received(struct stream *stream, struct bytes data, int error)
{
    struct program *program = program_of(stream);

    assert_true(program->received < 64);
    program->pieces[program->received++] = data.len;
    program->error = error;
    program->got_end = data.len == 0 && error == 0;
    buf_put(&program->got, data);
    if (program->keeps_asking && data.len > 0)
        stream_receive(stream, 0);
}

static void on_sent(struct stream *stream, int error)
{
    program_of(stream)->sent++;
    program_of(stream)->error = error;
}

static void on_closed(struct stream *stream)
{
    program_of(stream)->is_closed = true;
}

static const struct stream_events  events = { on_connected, on_received, on_sent, on_closed };
static const struct stream_options options = { .no_delay = true };

static void on_accepted(struct loop_listener *listener, struct loop_accepted accepted)
{
    struct program *program = container_of(listener, struct program, listener);
    struct failure  why = { 0 };

    assert_int_equal(stream_attach(&program->stream, program->loop, &events, accepted, &why),
                     FAIL_NONE);
    if (program->keeps_asking)
        stream_receive(&program->stream, 0);
}

static void on_paused(struct loop_listener *listener, int error)
{
    struct program *program = container_of(listener, struct program, listener);

    program->paused++;
    program->error = error;
}

static void start(struct program *program, uint64_t seed)
{
    struct failure why = { 0 };

    *program = (struct program){ .got = BUF_LIMIT(1 << 20), .keeps_asking = true };
    program->loop = sim_loop_new(seed);
    program->listener.accepted = on_accepted;
    program->listener.paused = on_paused;
    assert_int_equal(loop_listener_start(program->loop, &program->listener,
                                         sim_listen(program->loop, FRONT), false, &why),
                     FAIL_NONE);
}

static void dial(struct program *program)
{
    struct address address;
    struct failure why = { 0 };

    assert_int_equal(address_parse(&address, BACKEND, &why), FAIL_NONE);
    assert_int_equal(
        stream_connect(&program->stream, program->loop, &events, &address, &options, &why),
        FAIL_NONE);
}

static void finish(struct program *program)
{
    stream_close(&program->stream, false);
    sim_settle(program->loop);
    assert_true(program->is_closed);
    loop_listener_stop(&program->listener);
    loop_free(program->loop);
    buf_fini(&program->got);
}

static void a_client_and_the_program_exchange_bytes_and_ends(void **state)
{
    struct program   program;
    struct sim_peer *client;

    start(&program, 0);
    assert_null(sim_connect(program.loop, "10.0.0.1:1"));
    client = sim_connect(program.loop, FRONT);
    sim_write(client, BYTES("hello"));
    sim_settle(program.loop);
    assert_buf_is(&program.got, BYTES("hello"));
    stream_send(&program.stream, BYTES("welcome"));
    sim_settle(program.loop);
    assert_true(bytes_equal(sim_received(client), BYTES("welcome")));
    sim_take(client, 3);
    assert_true(bytes_equal(sim_received(client), BYTES("come")));
    sim_finish(client);
    stream_shutdown(&program.stream);
    sim_settle(program.loop);
    assert_true(program.got_end);
    assert_true(sim_saw_end(client));
    assert_false(sim_saw_reset(client));
    finish(&program);
}

static void each_address_answers_as_it_was_told(void **state)
{
    static const struct {
        enum sim_answer answer;
        unsigned        connected;
        int             error;
    } rows[] = {
        { SIM_ACCEPTS, 1, 0 },
        { SIM_REFUSES, 1, ECONNREFUSED },
        { SIM_IS_SILENT, 0, 0 },
    };

    for (size_t i = 0; i < 3; i++) {
        struct program program;

        start(&program, 0);
        sim_serve(program.loop, BACKEND, rows[i].answer);
        dial(&program);
        sim_run_for(program.loop, 60000000);
        assert_int_equal(program.connected, rows[i].connected);
        assert_int_equal(program.connect_error, rows[i].error);
        assert_int_equal(sim_accept(program.loop, BACKEND) != NULL,
                         rows[i].answer == SIM_ACCEPTS);
        finish(&program);
    }
}

static void bytes_take_as_long_as_the_network_is_wide(void **state)
{
    struct program   program;
    struct sim_peer *client;
    uint64_t         start_us;

    start(&program, 0);
    sim_set_delay(program.loop, 40000);
    start_us = loop_now_us(program.loop);
    client = sim_connect(program.loop, FRONT);
    sim_write(client, BYTES("x"));
    sim_set_delay(program.loop, 1); /* what is under way is not overtaken */
    sim_write(client, BYTES("y"));
    sim_run_for(program.loop, 39999);
    assert_int_equal(program.received, 0);
    assert_int_equal(loop_now_us(program.loop), start_us + 39999);
    sim_run_for(program.loop, 1);
    assert_buf_is(&program.got, BYTES("xy"));
    finish(&program);
}

static void a_narrow_window_holds_the_program_up(void **state)
{
    struct program   program;
    struct sim_peer *client;

    start(&program, 0);
    client = sim_connect(program.loop, FRONT);
    sim_settle(program.loop);
    sim_set_window(client, 4);
    stream_send(&program.stream, BYTES("0123456789"));
    sim_run_for(program.loop, 1000000);
    assert_int_equal(program.sent, 0);
    assert_true(bytes_equal(sim_received(client), BYTES("0123")));
    sim_take(client, 4);
    sim_settle(program.loop);
    sim_take(client, 4);
    sim_settle(program.loop);
    assert_int_equal(program.sent, 1);
    assert_true(bytes_equal(sim_received(client), BYTES("89")));
    finish(&program);
}

static void deliveries_are_cut_where_the_test_says(void **state)
{
    struct program   program;
    struct sim_peer *client;

    start(&program, 0);
    client = sim_connect(program.loop, FRONT);
    sim_cut_at(client, 3);
    sim_write(client, BYTES("0123456789"));
    sim_settle(program.loop);
    assert_int_equal(program.received, 2);
    assert_int_equal(program.pieces[0], 3);
    sim_cut(client, 1);
    sim_write(client, BYTES("ab"));
    sim_settle(program.loop);
    assert_int_equal(program.received, 4);
    assert_buf_is(&program.got, BYTES("0123456789ab"));
    finish(&program);
}

static void the_same_seed_cuts_the_same(void **state)
{
    size_t pieces[3][64];

    for (int i = 0; i < 3; i++) {
        struct program   program;
        struct sim_peer *client;

        start(&program, i == 2 ? 6 : 5);
        sim_set_random_cuts(program.loop, true);
        client = sim_connect(program.loop, FRONT);
        sim_write(client, BYTES("0123456789012345678901234567890123456789"));
        sim_settle(program.loop);
        assert_int_equal(program.got.len, 40);
        assert_true(program.received > 1);
        memcpy(pieces[i], program.pieces, sizeof program.pieces);
        finish(&program);
    }
    assert_memory_equal(pieces[0], pieces[1], sizeof pieces[0]);
    assert_memory_not_equal(pieces[0], pieces[2], sizeof pieces[0]);
}

static void a_reset_and_a_close_with_bytes_unread_reach_the_other_side(void **state)
{
    for (int by_program = 0; by_program < 2; by_program++) {
        struct program   program;
        struct sim_peer *client;

        start(&program, 0);
        program.keeps_asking = false;
        client = sim_connect(program.loop, FRONT);
        sim_write(client, BYTES("unread"));
        sim_settle(program.loop);
        if (by_program) {
            finish(&program);
            continue;
        }
        stream_send(&program.stream, BYTES("unread as well"));
        sim_settle(program.loop);
        sim_close(client);
        sim_settle(program.loop);
        program.keeps_asking = true;
        stream_receive(&program.stream, 0);
        sim_settle(program.loop);
        assert_buf_is(&program.got, BYTES("unread"));
        assert_int_equal(program.error, ECONNRESET);
        finish(&program);
    }
}

static void accepts_fail_as_often_as_the_test_says(void **state)
{
    struct program program;

    start(&program, 0);
    sim_fail_accepts(program.loop, EMFILE, 2);
    sim_connect(program.loop, FRONT);
    sim_settle(program.loop);
    assert_int_equal(program.paused, 1);
    assert_int_equal(program.error, EMFILE);
    sim_run_for(program.loop, 1000000);
    assert_int_equal(program.paused, 2);
    assert_non_null(program.stream.loop); /* accepted in the end */
    finish(&program);
}

static void the_date_is_what_the_test_says(void **state)
{
    struct program program;

    start(&program, 0);
    sim_set_wall(program.loop, 2000000000);
    assert_int_equal(loop_wall_s(program.loop), 2000000000);
    sim_run_for(program.loop, 3000000);
    assert_int_equal(loop_wall_s(program.loop), 2000000003);
    assert_false(sim_turn(program.loop)); /* nothing will ever happen */
    loop_run(program.loop);               /* and so this returns */
    dial(&program);
    finish(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_and_the_program_exchange_bytes_and_ends),
        cmocka_unit_test(each_address_answers_as_it_was_told),
        cmocka_unit_test(bytes_take_as_long_as_the_network_is_wide),
        cmocka_unit_test(a_narrow_window_holds_the_program_up),
        cmocka_unit_test(deliveries_are_cut_where_the_test_says),
        cmocka_unit_test(the_same_seed_cuts_the_same),
        cmocka_unit_test(a_reset_and_a_close_with_bytes_unread_reach_the_other_side),
        cmocka_unit_test(accepts_fail_as_often_as_the_test_says),
        cmocka_unit_test(the_date_is_what_the_test_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

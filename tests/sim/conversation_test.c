/* SPDX-License-Identifier: PostgreSQL */
/* Whole conversations in the clear, on a virtual clock. */
#include "harness/check.h"
#include "runtime/buffers.h"
#include "sim/proxy_rig.h"

#include <stdlib.h>

static void a_session_passes_from_startup_to_terminate(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_write(client, QUERY_WIRE);
    sim_settle(rig.loop);
    assert_true(rig_got(server, QUERY_WIRE));
    sim_write(server, READY_WIRE);
    sim_settle(rig.loop);
    assert_true(rig_got(client, READY_WIRE));
    sim_write(client, BYTES("X\0\0\0\4"));
    sim_close(client);
    sim_settle(rig.loop);
    assert_true(rig_got(server, BYTES("X\0\0\0\4")));
    assert_true(sim_saw_end(server));
    sim_close(server);
    sim_settle(rig.loop);
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

static void a_session_does_not_care_how_its_bytes_are_cut(void **state)
{
    static const char answer[] = "R\0\0\0\x08\0\0\0\0S\0\0\0\x0a"
                                 "ab\0cd\0"
                                 "Z\0\0\0\x05I"
                                 "T\0\0\0\x04Z\0\0\0\x05I";
    struct bytes      all = bytes_of(answer, sizeof answer - 1);

    for (size_t cut = 0; cut <= all.len + STARTUP.len; cut++) {
        struct proxy_rig rig;
        struct sim_peer *client, *server;

        rig_start(&rig, cut, "");
        client = sim_connect(rig.loop, FRONT);
        sim_cut_at(client, cut);
        sim_write(client, STARTUP);
        sim_write(client, QUERY_WIRE);
        sim_settle(rig.loop);
        server = sim_accept(rig.loop, BACK);
        sim_cut_at(server, cut);
        sim_write(server, all);
        sim_settle(rig.loop);
        assert_int_equal(sim_received(server).len, STARTUP.len + QUERY_WIRE.len);
        assert_true(rig_got(client, all));
        rig_stop(&rig);
    }
}

static void one_byte_at_a_time_is_a_session_too(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 7, "");
    client = sim_connect(rig.loop, FRONT);
    sim_cut(client, 1);
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    server = sim_accept(rig.loop, BACK);
    sim_cut(server, 1);
    sim_write(server, AUTH_OK_WIRE);
    sim_write(server, READY_WIRE);
    sim_settle(rig.loop);
    assert_true(rig_got(client, BYTES("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")));
    rig_stop(&rig);
}

/* ---- deadlines ---- */

static void a_silent_client_is_closed_after_first_byte_timeout(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    rig_start(&rig, 1, "first_byte_timeout = \"3s\"");
    client = sim_connect(rig.loop, FRONT);
    sim_run_for(rig.loop, SECONDS(3) - 2000);
    assert_false(sim_saw_end(client));
    sim_run_for(rig.loop, 4000);
    assert_true(sim_saw_end(client));
    assert_true(rig_got(client, BYTES("")));
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

static void a_byte_a_second_is_closed_after_login_timeout(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    rig_start(&rig, 1, "login_timeout = \"5s\"");
    client = sim_connect(rig.loop, FRONT);
    for (size_t i = 0; i < 5; i++) {
        assert_false(sim_saw_end(client));
        sim_write(client, bytes_of(STARTUP.p + i, 1));
        sim_run_for(rig.loop, SECONDS(1));
    }
    sim_run_for(rig.loop, 2000);
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

static void a_silent_address_is_given_up_after_connect_timeout(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    rig_start(&rig, 1, "connect_timeout = \"2s\"");
    sim_serve(rig.loop, BACK, SIM_IS_SILENT);
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    sim_run_for(rig.loop, SECONDS(2) - 2000);
    assert_true(rig_got(client, BYTES("")));
    sim_run_for(rig.loop, 4000);
    assert_true(rig_got_error(client, "08001"));
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

static void a_refused_connection_is_told_at_once(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    rig_start(&rig, 1, "");
    sim_serve(rig.loop, BACK, SIM_REFUSES);
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    assert_true(rig_got_error(client, "08001"));
    rig_stop(&rig);
}

static void a_login_that_is_never_answered_ends_at_login_timeout(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "login_timeout = \"4s\"");
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    server = sim_accept(rig.loop, BACK);
    sim_run_for(rig.loop, SECONDS(4));
    assert_true(rig_got_error(client, "57014"));
    assert_true(sim_saw_end(server));
    rig_stop(&rig);
}

static void a_login_that_stops_within_a_message_ends_without_a_word(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "login_timeout = \"4s\"");
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    server = sim_accept(rig.loop, BACK);
    sim_write(server, BYTES("S\0\0\0\x20"
                            "half"));
    sim_run_for(rig.loop, SECONDS(5));
    assert_true(rig_got(client, BYTES("S\0\0\0\x20"
                                      "half")));
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

static void an_idle_session_is_told_57p05(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "idle_timeout = \"10s\"");
    rig_log_in(&rig, &client, &server);
    sim_run_for(rig.loop, SECONDS(8));
    sim_write(client, QUERY_WIRE);
    sim_settle(rig.loop);
    sim_write(server, READY_WIRE);
    sim_run_for(rig.loop, SECONDS(9));
    assert_true(rig_got(client, READY_WIRE));
    assert_false(sim_saw_end(client));
    sim_run_for(rig.loop, SECONDS(1));
    assert_true(rig_got_error(client, "57P05"));
    assert_true(sim_saw_end(client));
    assert_true(sim_saw_end(server));
    rig_stop(&rig);
}

static void a_running_query_is_not_idle(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "idle_timeout = \"10s\"");
    rig_log_in(&rig, &client, &server);
    sim_write(client, QUERY_WIRE);
    sim_run_for(rig.loop, SECONDS(100));
    assert_false(sim_saw_end(client));
    sim_write(server, READY_WIRE);
    sim_run_for(rig.loop, SECONDS(21));
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

/* ---- ends ---- */

static void a_client_that_stops_sending_still_gets_its_answer(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_write(client, QUERY_WIRE);
    sim_finish(client);
    sim_settle(rig.loop);
    assert_true(rig_got(server, QUERY_WIRE));
    assert_true(sim_saw_end(server));
    sim_write(server, READY_WIRE);
    sim_close(server);
    sim_settle(rig.loop);
    assert_true(rig_got(client, READY_WIRE));
    assert_true(sim_saw_end(client));
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

static void a_server_that_stops_sending_still_gets_what_the_client_says(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_finish(server);
    sim_settle(rig.loop);
    assert_true(sim_saw_end(client));
    sim_write(client, BYTES("X\0\0\0\4"));
    sim_settle(rig.loop);
    assert_true(rig_got(server, BYTES("X\0\0\0\4")));
    sim_close(client);
    sim_settle(rig.loop);
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

static void a_client_that_ignores_the_end_of_its_server_is_closed_in_time(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_close(server);
    sim_run_for(rig.loop, SECONDS(6));
    assert_true(sim_saw_end(client));
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

static void the_last_error_of_a_server_reaches_the_client_whole(void **state)
{
    static const char error[] = "E\0\0\0\x0e"
                                "C57P01\0\0\0";
    struct bytes      wire = bytes_of(error, 15);
    struct proxy_rig  rig;
    struct sim_peer  *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_set_window(client, 4); /* the client reads slowly */
    sim_write(server, wire);
    sim_close(server);
    for (size_t got = 0; got < wire.len;) {
        struct bytes part;

        sim_settle(rig.loop);
        part = sim_received(client);
        assert_true(part.len > 0);
        assert_memory_equal(part.p, wire.p + got, part.len);
        got += part.len;
        sim_take(client, part.len);
    }
    sim_settle(rig.loop);
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

static void a_lost_server_is_told_between_messages_and_never_within_one(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_reset(server);
    sim_settle(rig.loop);
    assert_true(rig_got_error(client, "08006"));
    sim_close(client);
    sim_settle(rig.loop);

    rig_log_in(&rig, &client, &server);
    sim_write(server, BYTES("D\0\0\0\x40half"));
    sim_settle(rig.loop);
    sim_reset(server);
    sim_settle(rig.loop);
    assert_true(rig_got(client, BYTES("D\0\0\0\x40half")));
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

static void a_client_that_resets_takes_its_server_along(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_reset(client);
    sim_settle(rig.loop);
    assert_true(sim_saw_end(server) || sim_saw_reset(server));
    assert_int_equal(rig_conversations(&rig), 0);
    rig_stop(&rig);
}

/* ---- back-pressure ---- */

static void a_slow_reader_costs_bounded_memory_and_loses_nothing(void **state)
{
    const size_t     total = 8 * LOOP_RECEIVE_MAX;
    struct proxy_rig rig;
    struct sim_peer *client, *server;
    uint8_t         *blob = malloc(total);
    size_t           got = 0;

    for (size_t i = 0; i < total; i++)
        blob[i] = (uint8_t)(i * 2654435761u >> 24);
    /* one long message */
    memcpy(blob, "d\x7f\xff\xff\xff", 5);
    rig_start(&rig, 1, "");
    rig_log_in(&rig, &client, &server);
    sim_set_window(client, 1000);
    sim_set_window(server, 0);
    sim_write(server, bytes_of(blob, total));
    while (got < total) {
        struct bytes part;
        struct buf  *spare = rig.worker.buffers.spare;
        size_t       held = 0;

        sim_settle(rig.loop);
        for (size_t i = 0; i < rig.worker.buffers.count; i++)
            held += spare[i].capacity;
        assert_true(held <= 2 * BUFFER_LIMIT);
        part = sim_received(client);
        assert_true(part.len > 0 && part.len <= 1000);
        assert_memory_equal(part.p, blob + got, part.len);
        got += part.len;
        sim_take(client, part.len);
    }
    rig_stop(&rig);
    free(blob);
}

/* ---- limits and drain ---- */

static void one_too_many_is_told_53300_and_a_place_that_is_left_is_free_again(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server, *other;

    rig_start(&rig, 1, "max_connections = 1");
    rig_log_in(&rig, &client, &server);
    other = sim_connect(rig.loop, FRONT);
    sim_write(other, STARTUP);
    sim_settle(rig.loop);
    assert_true(rig_got_error(other, "53300"));
    assert_null(sim_accept(rig.loop, BACK));
    sim_close(other);
    sim_close(client);
    sim_settle(rig.loop);
    sim_close(server);
    sim_settle(rig.loop);
    rig_log_in(&rig, &client, &server);
    rig_stop(&rig);
}

static void a_drain_ends_idle_sessions_at_once_and_others_behind_their_query(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *idle, *idle_server, *busy, *busy_server;

    rig_start(&rig, 1, "drain_timeout = \"30s\"");
    rig_log_in(&rig, &idle, &idle_server);
    rig_log_in(&rig, &busy, &busy_server);
    sim_write(busy, QUERY_WIRE);
    sim_settle(rig.loop);
    route_worker_drain(rig.rw);
    sim_settle(rig.loop);
    assert_true(rig_got_error(idle, "57P01"));
    assert_true(sim_saw_end(idle));
    assert_true(rig_got(busy, BYTES("")));
    assert_false(sim_saw_end(busy));
    sim_run_for(rig.loop, SECONDS(20));
    sim_write(busy_server, READY_WIRE);
    sim_settle(rig.loop);
    assert_true(bytes_equal(bytes_first(sim_received(busy), READY_WIRE.len), READY_WIRE));
    sim_take(busy, READY_WIRE.len);
    assert_true(rig_got_error(busy, "57P01"));
    sim_close(busy);
    sim_close(idle);
    sim_settle(rig.loop);
    assert_null(rig.rw);
    rig_stop(&rig);
}

static void a_drain_ends_at_its_deadline_within_a_message_without_a_word(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "drain_timeout = \"30s\"");
    rig_log_in(&rig, &client, &server);
    sim_write(client, QUERY_WIRE);
    sim_settle(rig.loop);
    sim_write(server, BYTES("D\0\0\0\x40half"));
    sim_settle(rig.loop);
    route_worker_drain(rig.rw);
    sim_run_for(rig.loop, SECONDS(29));
    assert_false(sim_saw_end(client));
    sim_run_for(rig.loop, SECONDS(2));
    assert_true(rig_got(client, BYTES("D\0\0\0\x40half")));
    assert_true(sim_saw_end(client));
    assert_null(rig.rw);
    rig_stop(&rig);
}

static void an_open_transaction_is_ended_at_the_drains_deadline_with_57p01(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start(&rig, 1, "drain_timeout = \"30s\"");
    rig_log_in(&rig, &client, &server);
    sim_write(client, QUERY_WIRE);
    sim_settle(rig.loop);
    sim_write(server, BYTES("Z\0\0\0\x05T"));
    sim_settle(rig.loop);
    sim_take(client, sim_received(client).len);
    route_worker_drain(rig.rw);
    sim_run_for(rig.loop, SECONDS(29));
    assert_false(sim_saw_end(client));
    sim_run_for(rig.loop, SECONDS(1));
    assert_true(rig_got_error(client, "57P01"));
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_passes_from_startup_to_terminate),
        cmocka_unit_test(a_session_does_not_care_how_its_bytes_are_cut),
        cmocka_unit_test(one_byte_at_a_time_is_a_session_too),
        cmocka_unit_test(a_silent_client_is_closed_after_first_byte_timeout),
        cmocka_unit_test(a_byte_a_second_is_closed_after_login_timeout),
        cmocka_unit_test(a_silent_address_is_given_up_after_connect_timeout),
        cmocka_unit_test(a_refused_connection_is_told_at_once),
        cmocka_unit_test(a_login_that_is_never_answered_ends_at_login_timeout),
        cmocka_unit_test(a_login_that_stops_within_a_message_ends_without_a_word),
        cmocka_unit_test(an_idle_session_is_told_57p05),
        cmocka_unit_test(a_running_query_is_not_idle),
        cmocka_unit_test(a_client_that_stops_sending_still_gets_its_answer),
        cmocka_unit_test(a_server_that_stops_sending_still_gets_what_the_client_says),
        cmocka_unit_test(a_client_that_ignores_the_end_of_its_server_is_closed_in_time),
        cmocka_unit_test(the_last_error_of_a_server_reaches_the_client_whole),
        cmocka_unit_test(a_lost_server_is_told_between_messages_and_never_within_one),
        cmocka_unit_test(a_client_that_resets_takes_its_server_along),
        cmocka_unit_test(a_slow_reader_costs_bounded_memory_and_loses_nothing),
        cmocka_unit_test(one_too_many_is_told_53300_and_a_place_that_is_left_is_free_again),
        cmocka_unit_test(a_drain_ends_idle_sessions_at_once_and_others_behind_their_query),
        cmocka_unit_test(a_drain_ends_at_its_deadline_within_a_message_without_a_word),
        cmocka_unit_test(an_open_transaction_is_ended_at_the_drains_deadline_with_57p01),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

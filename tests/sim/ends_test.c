/* SPDX-License-Identifier: PostgreSQL */
/* How conversations end, over every combination of legs. */
#include "harness/check.h"
#include "sim/talker.h"

#include <stdlib.h>

static const struct sim_legs all_legs[] = {
    { false, false }, { true, false }, { false, true }, { true, true }
};

#define FOR_EACH_LEGS(legs)                                                                    \
    for (const struct sim_legs *legs = all_legs; legs < all_legs + 4; legs++)

static const char error_wire[] = "E\0\0\0\x18"
                                 "SFATAL\0C57P01\0Mbye\0";

static void begin(struct proxy_rig *rig, uint64_t seed, struct sim_legs legs,
                  struct talker *client, struct talker *server)
{
    sim_start_legs(rig, seed, legs, "");
    sim_log_in(rig, legs, client, server);
}

static void stop(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_fini(client);
    talker_fini(server);
    rig_stop(rig);
}

/* ---- ends are passed on as what they were ---- */

/* `from` stops sending, politely or not; `to` may go on, and then stops too. */
static void end_one_way(struct proxy_rig *rig, struct talker *from, struct talker *to,
                        bool politely)
{
    bool is_truncated = !politely && from->tls != NULL;

    talker_say(from, QUERY_WIRE);
    if (politely)
        talker_finish(from);
    else
        sim_finish(from->wire);
    talkers_settle(rig->loop, from, to);
    assert_true(talker_heard(to, QUERY_WIRE));
    assert_int_equal(talker_end(to),
                     is_truncated && to->tls != NULL ? TALK_CUT_SHORT : TALK_ENDED);
    assert_int_equal(talker_end(from), TALK_OPEN);
    talker_say(to, READY_WIRE);
    talker_finish(to);
    talkers_settle(rig->loop, from, to);
    assert_true(talker_heard(from, READY_WIRE));
    assert_int_equal(talker_end(from), TALK_ENDED);
    assert_int_equal(rig_conversations(rig), 0);
}

static void an_end_is_passed_on_as_what_it_was_and_the_other_way_stays_open(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        for (int n = 0; n < 4; n++) {
            struct proxy_rig rig;
            struct talker    client, server;

            begin(&rig, 1, *legs, &client, &server);
            if (n & 1)
                end_one_way(&rig, &client, &server, n & 2);
            else
                end_one_way(&rig, &server, &client, n & 2);
            stop(&rig, &client, &server);
        }
    }
}

static void a_truncated_answer_is_truncated_for_the_client_too(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin(&rig, 1, *legs, &client, &server);
        talker_say(&client, QUERY_WIRE);
        talkers_settle(rig.loop, &client, &server);
        talker_say(&server, BYTES("D\0\0\0\x40half"));
        talkers_settle(rig.loop, &client, &server);
        sim_reset(server.wire);
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard(&client, BYTES("D\0\0\0\x40half")));
        assert_int_equal(talker_end(&client), legs->client ? TALK_CUT_SHORT : TALK_ENDED);
        stop(&rig, &client, &server);
    }
}

/* Half a record, then the end: what was in it is not passed on. */
static void half_a_record_is_nothing(void **state)
{
    struct sim_legs  legs = { true, true };
    struct proxy_rig rig;
    struct talker    client, server;

    begin(&rig, 1, legs, &client, &server);
    sim_write(server.wire, BYTES("\x17\3\3\1\0half of it"));
    sim_finish(server.wire);
    talkers_settle(rig.loop, &client, &server);
    assert_true(talker_heard(&client, BYTES("")));
    assert_int_equal(talker_end(&client), TALK_CUT_SHORT);
    stop(&rig, &client, &server);
}

/* A record that was tampered with: an alert to who sent it, and a word to the other. */
static void a_forged_record_ends_the_session_of_both(void **state)
{
    for (int n = 0; n < 2; n++) {
        struct sim_legs  legs = { true, true };
        struct proxy_rig rig;
        struct talker    client, server, *forger = n == 0 ? &client : &server;

        begin(&rig, 1, legs, &client, &server);
        sim_write(forger->wire, BYTES("\x17\3\3\0\x20"
                                      "0123456789abcdef0123456789abcdef"));
        talkers_settle(rig.loop, &client, &server);
        assert_int_not_equal(talker_end(&server), TALK_OPEN);
        assert_int_not_equal(talker_end(&client), TALK_OPEN);
        assert_true(buf_bytes(&server.heard).len == 0);
        if (forger == &server)
            assert_true(talker_heard_error(&client, "08006"));
        else
            assert_int_equal(tls_engine_alert_received(client.tls), 20); /* bad_record_mac */
        stop(&rig, &client, &server);
    }
}

/* The server asks for new keys amid its answer, and our direction has ended: there is no answer
 * to that, and the server's loses nothing. */
static void new_keys_that_cannot_be_answered_cost_nothing(void **state)
{
    for (int politely = 0; politely < 2; politely++) {
        struct sim_legs  legs = { true, true };
        struct proxy_rig rig;
        struct talker    client, server;

        begin(&rig, 1, legs, &client, &server);
        talker_say(&client, QUERY_WIRE);
        if (politely)
            talker_finish(&client);
        else
            sim_finish(client.wire);
        talkers_settle(rig.loop, &client, &server);
        for (int i = 0; i < 3; i++) {
            talker_update_keys(&server);
            talkers_settle(rig.loop, &client, &server);
            talker_say(&server, READY_WIRE);
            talkers_settle(rig.loop, &client, &server);
            assert_true(talker_heard(&client, READY_WIRE));
        }
        talker_finish(&server);
        talkers_settle(rig.loop, &client, &server);
        assert_int_equal(talker_end(&client), TALK_ENDED);
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

/* ---- last words ---- */

/* The client reads slowly, and has itself nothing more to say. */
static void the_last_words_reach_a_slow_client_that_has_stopped_sending(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin(&rig, 1, *legs, &client, &server);
        sim_set_window(client.wire, 7);
        route_worker_drain(rig.rw);
        sim_settle(rig.loop);
        if (legs->client)
            talker_finish(&client);
        else
            sim_finish(client.wire);
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard_error(&client, "57P01"));
        assert_int_equal(talker_end(&client), TALK_ENDED);
        stop(&rig, &client, &server);
    }
}

static void the_last_error_of_a_server_reaches_the_client_whole(void **state)
{
    struct bytes error = bytes_of(error_wire, sizeof error_wire);

    FOR_EACH_LEGS(legs)
    {
        for (int politely = 0; politely < 2; politely++) {
            struct proxy_rig rig;
            struct talker    client, server;

            begin(&rig, 1, *legs, &client, &server);
            sim_set_window(client.wire, 9);
            talker_say(&client, QUERY_WIRE);
            talker_say(&server, error);
            if (politely)
                talker_finish(&server);
            sim_close(server.wire);
            talkers_settle(rig.loop, &client, NULL);
            assert_true(talker_heard(&client, error));
            assert_int_equal(talker_end(&client), !politely && legs->server && legs->client
                                                      ? TALK_CUT_SHORT
                                                      : TALK_ENDED);
            stop(&rig, &client, &server);
        }
    }
}

/* ---- a client that reads slowly, or not for a while ---- */

static uint8_t rows[40 * 1000];

/* The last answer of the server, all of it under way at the same time as its end. */
static struct bytes much(void)
{
    struct bytes all = bytes_of(rows, sizeof rows);

    for (size_t at = 0; at < sizeof rows; at += 1000) {
        memcpy(rows + at, "D\0\0\3\xe7", 5);
        memset(rows + at + 5, 'a' + (int)(at / 1000 % 26), 995);
    }
    return all;
}

static void begin_slowly(struct proxy_rig *rig, struct sim_legs legs, const char *limits,
                         struct talker *client, struct talker *server)
{
    sim_start_legs(rig, 1, legs, limits);
    sim_log_in(rig, legs, client, server);
    sim_set_window(client->wire, 10000);
    talker_say(client, QUERY_WIRE);
    talkers_settle(rig->loop, client, server);
    talker_say(server, much());
}

static void after_the_end_of_a_server_a_client_may_read_as_slowly_as_before(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin_slowly(&rig, *legs, "", &client, &server);
        talker_finish(&server);
        sim_close(server.wire);
        sim_run_for(rig.loop, SECONDS(100)); /* it reads nothing */
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard(&client, much()));
        assert_int_equal(talker_end(&client), TALK_ENDED);
        sim_run_for(rig.loop, SECONDS(5) + 10000);
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

/* A piece each few seconds, which is more than the idle time allows in all. */
static void who_takes_something_is_not_idle(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin_slowly(&rig, *legs, "idle_timeout = \"7s\"", &client, &server);
        talker_finish(&server);
        sim_close(server.wire);
        for (int i = 0; i < 10; i++) {
            sim_run_for(rig.loop, SECONDS(5));
            sim_set_window(client.wire, (size_t)10000 + 1000 * (size_t)i);
        }
        assert_int_equal(rig_conversations(&rig), 1);
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard(&client, much()));
        assert_int_equal(talker_end(&client), TALK_ENDED);
        stop(&rig, &client, &server);
    }
}

static void who_takes_nothing_for_idle_timeout_is_given_up(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        if (!legs->server) /* in the clear the end is behind what the client does not take */
            continue;
        begin_slowly(&rig, *legs, "idle_timeout = \"7s\"", &client, &server);
        talker_finish(&server);
        sim_close(server.wire);
        sim_run_for(rig.loop, SECONDS(2 * 7 + 3));
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

static void who_takes_nothing_is_given_up_at_last_without_idle_timeout_too(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        if (!legs->server)
            continue;
        begin_slowly(&rig, *legs, "", &client, &server);
        talker_finish(&server);
        sim_close(server.wire);
        sim_run_for(rig.loop, SECONDS(290));
        assert_int_equal(rig_conversations(&rig), 1);
        sim_run_for(rig.loop, SECONDS(320));
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

/* A byte now and then is no reason to keep a session whose server has ended. */
static void send_bytes_for(struct proxy_rig *rig, struct talker *client, int seconds)
{
    for (int i = 0; i < 2 * seconds; i++) {
        talker_say(client, BYTES("Q"));
        sim_run_for(rig->loop, SECONDS(1) / 2);
    }
}

static void who_has_the_end_of_a_server_ends_soon_though_it_sends(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin(&rig, 1, *legs, &client, &server);
        talker_finish(&server);
        talkers_settle(rig.loop, &client, &server);
        send_bytes_for(&rig, &client, 4);
        assert_int_equal(rig_conversations(&rig), 1);
        send_bytes_for(&rig, &client, 2);
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

static void who_takes_nothing_is_given_up_though_it_sends(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        if (!legs->server) /* in the clear the end is behind what the client does not take */
            continue;
        begin_slowly(&rig, *legs, "idle_timeout = \"7s\"", &client, &server);
        talker_finish(&server);
        send_bytes_for(&rig, &client, 2 * 7 + 3);
        assert_int_equal(rig_conversations(&rig), 0);
        stop(&rig, &client, &server);
    }
}

/* A drain ends an idle session once its client has the last answer, and not before. */
static void a_drain_waits_for_a_client_to_take_the_answer(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        for (int in_time = 0; in_time < 2; in_time++) {
            struct proxy_rig rig;
            struct talker    client, server;

            begin_slowly(&rig, *legs, "drain_timeout = \"30s\"", &client, &server);
            talker_say(&server, READY_WIRE);
            sim_settle(rig.loop);
            route_worker_drain(rig.rw);
            sim_run_for(rig.loop, in_time ? SECONDS(25) : SECONDS(31));
            if (in_time) {
                talkers_settle(rig.loop, &client, &server);
                assert_int_equal(memcmp(buf_bytes(&client.heard).p, much().p, much().len), 0);
                buf_skip(&client.heard, much().len + READY_WIRE.len);
                assert_true(talker_heard_error(&client, "57P01"));
            }
            sim_run_for(rig.loop, SECONDS(3));
            assert_null(rig.rw); /* it is empty */
            stop(&rig, &client, &server);
        }
    }
}

/* An error, and a reset because the server had unread bytes: the error is what matters. */
static void an_error_before_a_reset_still_arrives(void **state)
{
    struct bytes error = bytes_of(error_wire, sizeof error_wire);

    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        begin(&rig, 1, *legs, &client, &server);
        talker_say(&server, error);
        sim_reset(server.wire);
        talkers_settle(rig.loop, &client, NULL);
        assert_true(client.heard.len >= error.len);
        assert_memory_equal(buf_bytes(&client.heard).p, error.p, error.len);
        stop(&rig, &client, &server);
    }
}

static void a_client_that_goes_within_a_handshake_leaves_nothing_behind(void **state)
{
    for (size_t sent = 0; sent < 400; sent += 13) {
        for (int how = 0; how < 3; how++) {
            struct sim_legs    legs = { true, false };
            struct proxy_rig   rig;
            struct talker      client;
            struct tls_engine *engine = sim_client_engine(NULL);
            struct buf         hello = BUF_LIMIT(4096);
            struct bytes       nothing = { NULL, 0 };

            sim_start_legs(&rig, sent, legs, "");
            talker_init(&client, sim_connect(rig.loop, FRONT));
            client.tls = engine;
            (void)tls_engine_handshake(engine, &nothing, &hello);
            sim_write(client.wire, SSL_REQUEST);
            sim_write(client.wire, bytes_first(buf_bytes(&hello), sent));
            sim_settle(rig.loop);
            if (how == 0)
                sim_finish(client.wire);
            else if (how == 1)
                sim_close(client.wire);
            else
                sim_reset(client.wire);
            sim_run_for(rig.loop, SECONDS(3));
            assert_int_equal(rig_conversations(&rig), 0);
            buf_fini(&hello);
            talker_fini(&client);
            rig_stop(&rig);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_passed_on_as_what_it_was_and_the_other_way_stays_open),
        cmocka_unit_test(a_truncated_answer_is_truncated_for_the_client_too),
        cmocka_unit_test(half_a_record_is_nothing),
        cmocka_unit_test(a_forged_record_ends_the_session_of_both),
        cmocka_unit_test(new_keys_that_cannot_be_answered_cost_nothing),
        cmocka_unit_test(the_last_words_reach_a_slow_client_that_has_stopped_sending),
        cmocka_unit_test(the_last_error_of_a_server_reaches_the_client_whole),
        cmocka_unit_test(after_the_end_of_a_server_a_client_may_read_as_slowly_as_before),
        cmocka_unit_test(who_takes_something_is_not_idle),
        cmocka_unit_test(who_takes_nothing_for_idle_timeout_is_given_up),
        cmocka_unit_test(who_takes_nothing_is_given_up_at_last_without_idle_timeout_too),
        cmocka_unit_test(who_has_the_end_of_a_server_ends_soon_though_it_sends),
        cmocka_unit_test(who_takes_nothing_is_given_up_though_it_sends),
        cmocka_unit_test(a_drain_waits_for_a_client_to_take_the_answer),
        cmocka_unit_test(an_error_before_a_reset_still_arrives),
        cmocka_unit_test(a_client_that_goes_within_a_handshake_leaves_nothing_behind),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

/* SPDX-License-Identifier: PostgreSQL */
/* Whole conversations in TLS, on either leg and on both. */
#include "harness/check.h"
#include "sim/talker.h"

#include <stdlib.h>

static const struct sim_legs all_legs[] = {
    { false, false }, { true, false }, { false, true }, { true, true }
};

#define FOR_EACH_LEGS(legs)                                                                    \
    for (const struct sim_legs *legs = all_legs; legs < all_legs + 4; legs++)

static void stop(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_fini(client);
    talker_fini(server);
    rig_stop(rig);
}

/* A question, its answer, and a clean end. */
static void converse(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_say(client, QUERY_WIRE);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(server, QUERY_WIRE));
    talker_say(server, READY_WIRE);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(client, READY_WIRE));
}

static void a_session_passes_over_every_combination_of_legs_however_it_is_cut(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        for (size_t piece = 0; piece <= 1500; piece = piece == 0 ? 1 : piece * 3) {
            struct proxy_rig rig;
            struct talker    client, server;

            sim_start_legs(&rig, piece, *legs, "");
            sim_set_piece(rig.loop, piece);
            sim_log_in(&rig, *legs, &client, &server);
            converse(&rig, &client, &server);
            talker_say(&client, BYTES("X\0\0\0\4"));
            talker_finish(&client);
            talkers_settle(rig.loop, &client, &server);
            assert_true(talker_heard(&server, BYTES("X\0\0\0\4")));
            assert_int_equal(talker_end(&server), TALK_ENDED);
            talker_finish(&server);
            talkers_settle(rig.loop, &client, &server);
            assert_int_equal(talker_end(&client), TALK_ENDED);
            assert_int_equal(rig_conversations(&rig), 0);
            stop(&rig, &client, &server);
        }
    }
}

/* ---- the negotiation ---- */

/* The first flight of a client, as bytes. */
static struct buf client_hello(struct tls_engine *engine)
{
    struct buf   out = BUF_LIMIT(65536);
    struct bytes nothing = { NULL, 0 };

    assert_int_equal(tls_engine_handshake(engine, &nothing, &out), TLS_WANT_MORE);
    return out;
}

static void a_client_hello_right_behind_ssl_request_is_served_wherever_it_is_cut(void **state)
{
    size_t len = 1;

    for (size_t cut = 0; cut <= len; cut++) {
        struct proxy_rig   rig;
        struct talker      client;
        struct tls_engine *engine = sim_client_engine(sim_pki()->good.client);
        struct buf         hello = client_hello(engine);

        sim_start_legs(&rig, cut, (struct sim_legs){ true, false }, "");
        talker_init(&client, sim_connect(rig.loop, FRONT));
        sim_cut_at(client.wire, cut);
        len = SSL_REQUEST.len + hello.len;
        sim_write(client.wire, SSL_REQUEST);
        sim_write(client.wire, buf_bytes(&hello));
        sim_settle(rig.loop);
        assert_int_equal(sim_received(client.wire).p[0], 'S');
        sim_take(client.wire, 1);
        client.tls = engine;
        talkers_settle(rig.loop, &client, NULL);
        assert_true(client.is_secure);
        talker_say(&client, STARTUP);
        sim_settle(rig.loop);
        assert_non_null(sim_accept(rig.loop, BACK));
        buf_fini(&hello);
        talker_fini(&client);
        rig_stop(&rig);
    }
}

static void plaintext_behind_ssl_request_never_reaches_the_server(void **state)
{
    static const struct bytes injected[] = {
        BYTES_INIT("\0\0\0\x14\0\3\0\0user\0alice\0\0"),
        BYTES_INIT("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"),
        BYTES_INIT("\0\0\0\x08\x04\xd2\x16\x2f"),
        BYTES_INIT("Q\0\0\0\x0dSELECT 1\0"),
    };

    for (size_t i = 0; i < sizeof injected / sizeof *injected; i++) {
        for (size_t cut = 0; cut <= SSL_REQUEST.len + injected[i].len; cut++) {
            struct proxy_rig rig;
            struct sim_peer *client;

            sim_start_legs(&rig, cut, (struct sim_legs){ true, false },
                           "handshake_timeout = \"3s\"");
            client = sim_connect(rig.loop, FRONT);
            sim_cut_at(client, cut);
            sim_write(client, SSL_REQUEST);
            sim_write(client, injected[i]);
            sim_settle(rig.loop);
            assert_int_equal(sim_received(client).p[0], 'S');
            sim_run_for(rig.loop, SECONDS(4));
            assert_true(sim_saw_end(client) || sim_saw_reset(client));
            assert_null(sim_accept(rig.loop, BACK));
            rig_stop(&rig);
        }
    }
}

/* Behind its S the server, or somebody in between, says more in the clear. */
static void bytes_behind_the_answer_of_the_server_never_reach_the_client(void **state)
{
    struct buf all = BUF_LIMIT(256);

    buf_put(&all, BYTES("S"));
    buf_put(&all, LOGIN_WIRE);
    for (size_t cut = 0; cut <= all.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        sim_start_legs(&rig, cut, (struct sim_legs){ false, true }, "");
        talker_init(&client, sim_connect(rig.loop, FRONT));
        talker_say(&client, STARTUP);
        sim_accept_clear(&rig, &server);
        assert_true(rig_got(server.wire, SSL_REQUEST));
        sim_cut_at(server.wire, cut);
        sim_write(server.wire, buf_bytes(&all));
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard_error(&client, "08001"));
        assert_null(
            memmem(sim_received(server.wire).p, sim_received(server.wire).len, "alice", 5));
        stop(&rig, &client, &server);
    }
    buf_fini(&all);
}

/* ---- records ---- */

static struct buf blob_of(size_t len)
{
    struct buf blob = BUF_LIMIT(len);
    uint8_t   *at = buf_reserve(&blob, len);

    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 2654435761u >> 24);
    memcpy(at, "d\x7f\xff\xff\xff", 5); /* one long message */
    buf_wrote(&blob, len);
    return blob;
}

static void records_to_clients_carry_8192_bytes_at_most(void **state)
{
    for (int server_tls = 0; server_tls < 2; server_tls++) {
        struct sim_legs  legs = { true, server_tls == 1 };
        struct proxy_rig rig;
        struct talker    client, server;
        struct buf       blob = blob_of(3 * LOOP_RECEIVE_MAX);

        sim_start_legs(&rig, 1, legs, "");
        sim_log_in(&rig, legs, &client, &server);
        talker_say(&server, buf_bytes(&blob));
        talkers_settle(rig.loop, &client, &server);
        assert_int_equal(client.largest_record, 8192 + 1 + 16);
        assert_true(talker_heard(&client, buf_bytes(&blob)));
        buf_fini(&blob);
        stop(&rig, &client, &server);
    }
}

static void new_keys_in_mid_stream_are_taken_and_answered_on_both_legs(void **state)
{
    struct sim_legs  legs = { true, true };
    struct proxy_rig rig;
    struct talker    client, server;
    struct buf       blob = blob_of(100000);

    sim_start_legs(&rig, 1, legs, "");
    sim_log_in(&rig, legs, &client, &server);
    for (int i = 0; i < 5; i++) {
        struct talker *talkers[] = { &client, &server };

        for (int who = 0; who < 2; who++) {
            struct talker *one = talkers[who], *other = talkers[1 - who];

            talker_update_keys(one);
            sim_settle(rig.loop);
            assert_int_equal(sim_received(one->wire).len, 5 + 5 + 1 + 16); /* one KeyUpdate */
            talker_say(one, buf_bytes(&blob));
            talker_say(other, buf_bytes(&blob));
            talker_update_keys(one);
            talker_say(one, QUERY_WIRE);
            talkers_settle(rig.loop, &client, &server);
            assert_true(talker_heard(one, buf_bytes(&blob)));
            assert_memory_equal(buf_bytes(&other->heard).p, blob.memory, blob.len);
            buf_skip(&other->heard, blob.len);
            assert_true(talker_heard(other, QUERY_WIRE));
        }
    }
    buf_fini(&blob);
    stop(&rig, &client, &server);
}

/* ---- back-pressure ---- */

/* Bytes of the fast one that the proxy has taken and the slow one has not got, at most. */
#define MOST_INSIDE (3 * LOOP_RECEIVE_MAX)

static void be_slow(struct proxy_rig *rig, struct talker *fast, struct talker *slow)
{
    struct buf blob = blob_of(12 * LOOP_RECEIVE_MAX);
    size_t     got = slow->heard.len, most = 0;

    sim_set_window(slow->wire, 5000);
    talker_say(fast, buf_bytes(&blob));
    for (int i = 0; i < 100000 && slow->heard.len < got + blob.len; i++) {
        struct bytes part;
        size_t       inside;

        sim_settle(rig->loop);
        part = sim_received(slow->wire);
        inside = blob.len > sim_untaken(fast->wire) + slow->heard.len + part.len
                     ? blob.len - sim_untaken(fast->wire) - slow->heard.len - part.len
                     : 0;
        most = inside > most ? inside : most;
        talkers_settle(rig->loop, slow, NULL);
    }
    assert_true(most <= MOST_INSIDE);
    assert_true(talker_heard(slow, buf_bytes(&blob)));
    buf_fini(&blob);
}

static void a_slow_reader_costs_bounded_memory_on_every_leg(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    client, server;

        sim_start_legs(&rig, 1, *legs, "");
        sim_log_in(&rig, *legs, &client, &server);
        be_slow(&rig, &server, &client);
        be_slow(&rig, &client, &server);
        stop(&rig, &client, &server);
    }
}

/* What a client says before the server has answered waits; records may be large. */
static void much_that_is_said_early_arrives_whole_and_once(void **state)
{
    struct buf blob = blob_of(300000);

    for (unsigned seed = 1; seed <= 60; seed++) {
        struct sim_legs  legs = { true, seed % 2 == 0 };
        struct proxy_rig rig;
        struct talker    client, server;

        sim_start_legs(&rig, seed, legs, "");
        sim_set_random_cuts(rig.loop, true);
        sim_connect_tls(&rig, &client, sim_pki()->good.client);
        talker_say(&client, STARTUP);
        for (size_t at = 0, n; at < blob.len; at += n) {
            n = 1 + (size_t)(seed * 2654435761u + at * 7919) % 16384;
            talker_say(&client,
                       bytes_of(blob.memory + at, n < blob.len - at ? n : blob.len - at));
        }
        talkers_settle(rig.loop, &client, NULL);
        if (legs.server)
            sim_accept_tls(&rig, &client, &server,
                           sim_server_engine(sim_pki()->good.server, NULL));
        else
            sim_accept_clear(&rig, &server);
        talkers_settle(rig.loop, &client, &server);
        assert_memory_equal(buf_bytes(&server.heard).p, STARTUP.p, STARTUP.len);
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, buf_bytes(&blob)));
        stop(&rig, &client, &server);
    }
    buf_fini(&blob);
}

/* ---- drain ---- */

static void a_drain_says_57p01_and_close_notify(void **state)
{
    FOR_EACH_LEGS(legs)
    {
        struct proxy_rig rig;
        struct talker    idle, idle_server, busy, busy_server;

        sim_start_legs(&rig, 1, *legs, "drain_timeout = \"30s\"");
        sim_log_in(&rig, *legs, &idle, &idle_server);
        sim_log_in(&rig, *legs, &busy, &busy_server);
        talker_say(&busy, QUERY_WIRE);
        talkers_settle(rig.loop, &busy, &busy_server);
        route_worker_drain(rig.rw);
        talkers_settle(rig.loop, &idle, &busy);
        assert_true(talker_heard_error(&idle, "57P01"));
        assert_int_equal(talker_end(&idle), TALK_ENDED);
        assert_int_equal(talker_end(&busy), TALK_OPEN);
        talker_say(&busy_server, READY_WIRE);
        talkers_settle(rig.loop, &busy, &busy_server);
        assert_memory_equal(buf_bytes(&busy.heard).p, READY_WIRE.p, READY_WIRE.len);
        buf_skip(&busy.heard, READY_WIRE.len);
        assert_true(talker_heard_error(&busy, "57P01"));
        assert_int_equal(talker_end(&busy), TALK_ENDED);
        talker_fini(&idle);
        talker_fini(&idle_server);
        stop(&rig, &busy, &busy_server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_passes_over_every_combination_of_legs_however_it_is_cut),
        cmocka_unit_test(a_client_hello_right_behind_ssl_request_is_served_wherever_it_is_cut),
        cmocka_unit_test(plaintext_behind_ssl_request_never_reaches_the_server),
        cmocka_unit_test(bytes_behind_the_answer_of_the_server_never_reach_the_client),
        cmocka_unit_test(records_to_clients_carry_8192_bytes_at_most),
        cmocka_unit_test(new_keys_in_mid_stream_are_taken_and_answered_on_both_legs),
        cmocka_unit_test(a_slow_reader_costs_bounded_memory_on_every_leg),
        cmocka_unit_test(much_that_is_said_early_arrives_whole_and_once),
        cmocka_unit_test(a_drain_says_57p01_and_close_notify),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

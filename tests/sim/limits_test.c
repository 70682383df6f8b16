/* SPDX-License-Identifier: PostgreSQL */
/* Every limit of a route, and every timeout at its time. */
#include "harness/check.h"
#include "sim/talker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void start_tls(struct proxy_rig *rig, const char *limits)
{
    sim_start_legs(rig, 1, (struct sim_legs){ true, false }, limits);
}

static struct rig_route clear_route(const char *listener, const char *limits)
{
    return (struct rig_route){ .listener = listener,
                               .backend = "sslmode = \"disable\"",
                               .limits = limits };
}

/* ---- max_pending_logins ---- */

static void the_oldest_that_has_not_finished_tls_gives_way(void **state)
{
    struct proxy_rig rig;
    struct talker    proved;
    struct sim_peer *waiting[4];

    start_tls(&rig, "max_pending_logins = 3");
    sim_connect_tls(&rig, &proved, sim_pki()->good.client);
    for (int i = 0; i < 4; i++) {
        waiting[i] = sim_connect(rig.loop, FRONT);
        if (i % 2 == 0)
            sim_write(waiting[i], SSL_REQUEST);
        sim_settle(rig.loop);
        assert_false(sim_saw_end(waiting[i]));
    }
    assert_true(sim_saw_end(waiting[0]));
    assert_true(sim_saw_end(waiting[1]));
    assert_false(sim_saw_end(waiting[2]));
    assert_int_equal(talker_end(&proved), TALK_OPEN);
    assert_int_equal(rig_conversations(&rig), 3);
    talker_fini(&proved);
    rig_stop(&rig);
}

static void where_all_have_finished_tls_the_newcomer_gives_way(void **state)
{
    struct proxy_rig rig;
    struct talker    proved[2];
    struct sim_peer *late;

    start_tls(&rig, "max_pending_logins = 2");
    for (int i = 0; i < 2; i++)
        sim_connect_tls(&rig, &proved[i], sim_pki()->good.client);
    late = sim_connect(rig.loop, FRONT);
    sim_settle(rig.loop);
    assert_true(sim_saw_end(late));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(talker_end(&proved[i]), TALK_OPEN);
        talker_fini(&proved[i]);
    }
    rig_stop(&rig);
}

static void those_that_have_logged_in_do_not_count(void **state)
{
    struct sim_legs  legs = { true, false };
    struct proxy_rig rig;
    struct talker    client[5], server[5];

    start_tls(&rig, "max_pending_logins = 1");
    for (int i = 0; i < 5; i++)
        sim_log_in(&rig, legs, &client[i], &server[i]);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(talker_end(&client[i]), TALK_OPEN);
        talker_fini(&client[i]);
        talker_fini(&server[i]);
    }
    rig_stop(&rig);
}

/* Some say nothing, some ask for TLS and stop. */
static void flood(struct proxy_rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct sim_peer *one = sim_connect(rig->loop, FRONT);

        if (i % 2 == 0)
            sim_write(one, SSL_REQUEST);
    }
    sim_run_for(rig->loop, 1000);
}

static void a_good_client_gets_in_during_a_flood_of_ten_thousand(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    start_tls(&rig, "max_pending_logins = 1000");
    sim_set_delay(rig.loop, 500);
    for (int i = 0; i < 20; i++)
        flood(&rig, 250);
    assert_int_equal(rig_conversations(&rig), 1000);
    talker_init(&client, sim_connect(rig.loop, FRONT));
    sim_write(client.wire, SSL_REQUEST);
    flood(&rig, 250);
    sim_settle(rig.loop);
    assert_true(rig_got(client.wire, BYTES("S")));
    talker_start_tls(&client, sim_client_engine(sim_pki()->good.client));
    flood(&rig, 250);
    talkers_settle(rig.loop, &client, NULL);
    flood(&rig, 250);
    talkers_settle(rig.loop, &client, NULL);
    assert_true(client.is_secure);
    for (int i = 0; i < 17; i++)
        flood(&rig, 250);
    talker_say(&client, STARTUP);
    sim_run_for(rig.loop, 5000);
    sim_accept_clear(&rig, &server);
    talkers_settle(rig.loop, &client, &server);
    assert_true(talker_heard(&server, STARTUP));
    talker_say(&server, LOGIN_WIRE);
    sim_run_for(rig.loop, 5000);
    talkers_settle(rig.loop, &client, &server);
    assert_true(talker_heard(&client, LOGIN_WIRE));
    talker_fini(&client);
    talker_fini(&server);
    rig_stop(&rig);
}

/* ---- max_connections_per_ip ---- */

static struct sim_peer *knock_from(struct proxy_rig *rig, const char *from)
{
    struct sim_peer *client = sim_connect_from(rig->loop, FRONT, from);

    sim_settle(rig->loop);
    return client;
}

static void one_too_many_of_an_address_is_told_and_a_flood_of_it_is_closed(void **state)
{
    struct rig_route route = clear_route("sslmode = \"disable\"", "max_connections_per_ip = 2");
    struct proxy_rig rig;
    struct sim_peer *clients[5], *other;

    rig_start_route(&rig, 1, &route);
    for (int i = 0; i < 5; i++) {
        clients[i] = knock_from(&rig, "10.1.1.1");
        assert_int_equal(sim_saw_end(clients[i]), i == 4);
    }
    for (int i = 0; i < 4; i++) {
        sim_write(clients[i], STARTUP);
        sim_settle(rig.loop);
        assert_int_equal(sim_accept(rig.loop, BACK) != NULL, i < 2);
        assert_int_equal(rig_got_error(clients[i], "53300"), i >= 2);
    }
    other = knock_from(&rig, "10.1.1.2");
    sim_write(other, STARTUP);
    sim_settle(rig.loop);
    assert_non_null(sim_accept(rig.loop, BACK));
    for (int i = 0; i < 4; i++)
        sim_close(clients[i]);
    sim_run_for(rig.loop, SECONDS(3));
    sim_write(other = knock_from(&rig, "10.1.1.1"), STARTUP);
    sim_settle(rig.loop);
    assert_non_null(sim_accept(rig.loop, BACK));
    rig_stop(&rig);
}

/* It may still cancel what its sessions do. */
static void a_cancel_of_one_too_many_is_carried_out(void **state)
{
    struct rig_route route = clear_route("sslmode = \"disable\"", "max_connections_per_ip = 1");
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    rig_start_route(&rig, 1, &route);
    rig_log_in(&rig, &client, &server);
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, CANCEL_WIRE);
    sim_settle(rig.loop);
    server = sim_accept(rig.loop, BACK);
    assert_non_null(server);
    assert_true(rig_got(server, CANCEL_WIRE));
    rig_stop(&rig);
}

/* ---- handshakes_per_second ---- */

static void a_handshake_too_many_is_told_instead_of_s_and_the_next_second_it_works(void **state)
{
    struct proxy_rig rig;
    struct talker    client;
    struct sim_peer *late, *direct;

    start_tls(&rig, "handshakes_per_second = 2");
    sim_run_for(rig.loop, SECONDS(1) - (loop_now_us(rig.loop) % SECONDS(1)));
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 2; i++) {
            sim_connect_tls(&rig, &client, sim_pki()->good.client);
            assert_true(client.is_secure);
            talker_fini(&client);
        }
        late = sim_connect(rig.loop, FRONT);
        sim_write(late, SSL_REQUEST);
        sim_settle(rig.loop);
        assert_true(rig_got_error(late, "53300"));
        assert_true(sim_saw_end(late));
        direct = sim_connect(rig.loop, FRONT);
        sim_write(direct, BYTES("\x16\3\1\2\0\1\0"));
        sim_settle(rig.loop);
        assert_true(sim_saw_end(direct));
        assert_true(rig_got(direct, BYTES(""))); /* it would read an error as a record */
        sim_run_for(rig.loop, SECONDS(1) - (loop_now_us(rig.loop) % SECONDS(1)));
    }
    rig_stop(&rig);
}

/* ---- max_connections, and a reload ---- */

static void the_tally_goes_on_over_a_reload(void **state)
{
    struct rig_route narrow = clear_route("sslmode = \"disable\"", "max_connections = 2");
    struct rig_route wide = clear_route("sslmode = \"disable\"", "max_connections = 3");
    struct proxy_rig rig;
    struct sim_peer *client, *server, *first, *first_server;

    rig_start_route(&rig, 1, &narrow);
    rig_log_in(&rig, &first, &first_server);
    rig_log_in(&rig, &client, &server);
    rig_reload(&rig, &wide);
    rig_log_in(&rig, &client, &server);
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    assert_true(rig_got_error(client, "53300"));
    sim_close(client);

    sim_write(first, QUERY_WIRE); /* the old generation's sessions live on */
    sim_settle(rig.loop);
    assert_true(rig_got(first_server, QUERY_WIRE));
    sim_close(first);
    sim_close(first_server);
    sim_settle(rig.loop);
    rig_log_in(&rig, &client, &server);
    rig_stop(&rig);
}

static void what_was_looked_up_goes_with_a_reload_and_not_with_the_last_session(void **state)
{
    struct rig_route             route = { .listener = "sslmode = \"disable\"",
                                           .backend = "sslmode = \"disable\"\nscram = \"bridge\"\n"
                                                                  "auth_query = \"select $1\"\n"
                                                                  "auth_query_user = \"role\"" };
    const struct scram_verifier  verifier = { .stretch = { .iterations = 4096 } };
    const struct scram_verifier *found;
    struct proxy_rig             rig;
    struct sim_peer             *client;

    rig_start_route(&rig, 1, &route);
    client = sim_connect(rig.loop, FRONT);
    sim_settle(rig.loop);
    verifier_cache_put(rig.rw->lookups[0].cache, "ann", 1, &verifier);
    assert_true(verifier_cache_find(rig.rw->lookups[0].cache, "ann", 1, &found));
    rig_reload(&rig, &route);
    assert_non_null(rig.retired); /* the client is still there */
    assert_null(rig.retired->lookups[0].cache);
    assert_non_null(rig.rw->lookups[0].cache);
    sim_close(client);
    rig_stop(&rig);
}

static void addresses_are_counted_over_a_reload(void **state)
{
    struct rig_route route = clear_route("sslmode = \"disable\"", "max_connections_per_ip = 1");
    struct proxy_rig rig;
    struct sim_peer *client;

    rig_start_route(&rig, 1, &route);
    knock_from(&rig, "10.1.1.1");
    rig_reload(&rig, &route);
    client = knock_from(&rig, "10.1.1.1");
    sim_write(client, STARTUP);
    sim_settle(rig.loop);
    assert_true(rig_got_error(client, "53300"));
    rig_stop(&rig);
}

/* ---- allow and deny ---- */

static void only_admitted_networks_get_an_answer(void **state)
{
    static const struct {
        const char *from;
        bool        is_admitted;
    } rows[] = {
        { "10.1.2.3", true },   { "10.1.3.3", false }, { "10.2.0.1", false },
        { "10.1.2.66", false }, { "10.1.2.64", true },
    };
    struct rig_route route = clear_route(
        "sslmode = \"disable\"\nallow = [\"10.1.2.0/24\"]\ndeny = [\"10.1.2.66\"]", "");
    struct proxy_rig rig;

    rig_start_route(&rig, 1, &route);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sim_peer *client = knock_from(&rig, rows[i].from);

        assert_int_equal(sim_saw_end(client), !rows[i].is_admitted);
        assert_true(rig_got(client, BYTES("")));
    }
    assert_int_equal(rig_conversations(&rig), 2);
    rig_stop(&rig);
}

/* ---- accepting ---- */

static void accepting_pauses_where_it_fails_and_resumes_by_itself(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;
    uint64_t         turns;

    rig_start(&rig, 1, "");
    sim_fail_accepts(rig.loop, EMFILE, 3);
    client = sim_connect(rig.loop, FRONT);
    sim_write(client, STARTUP);
    turns = sim_turns(rig.loop);
    sim_run_for(rig.loop, 299000);
    assert_null(sim_accept(rig.loop, BACK));
    assert_true(sim_turns(rig.loop) - turns < 20);
    sim_run_for(rig.loop, 2000);
    server = sim_accept(rig.loop, BACK);
    assert_non_null(server);
    rig_log_in(&rig, &client, &server);
    sim_fail_accepts(rig.loop, EMFILE, 1); /* and a pause that the end overtakes */
    sim_connect(rig.loop, FRONT);
    sim_settle(rig.loop);
    rig_stop(&rig);
}

/* ---- timeouts ---- */

static void silence(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_init(client, sim_connect(rig->loop, FRONT));
}

static void half_a_request(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    silence(rig, client, server);
    talker_say(client, bytes_first(STARTUP, 7));
}

static void ssl_request(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    silence(rig, client, server);
    talker_say(client, SSL_REQUEST);
}

static void secured(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    sim_connect_tls(rig, client, sim_pki()->good.client);
}

static void startup(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    secured(rig, client, server);
    talker_say(client, STARTUP);
}

static void server_silent(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    sim_serve(rig->loop, BACK, SIM_IS_SILENT);
    startup(rig, client, server);
}

static void server_says_s(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    startup(rig, client, server);
    sim_accept_clear(rig, server);
    sim_write(server->wire, BYTES("S"));
}

static void password(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    startup(rig, client, server);
    sim_accept_tls(rig, client, server, sim_server_engine(sim_pki()->good.server, NULL));
    talker_say(server, BYTES("R\0\0\0\x08\0\0\0\3"));
}

static void session(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    sim_log_in(rig, (struct sim_legs){ true, true }, client, server);
}

static const struct timeout_case {
    void (*begin)(struct proxy_rig *rig, struct talker *client, struct talker *server);
    unsigned    after_s;
    const char *sqlstate; /* NULL: without a word */
} timeout_cases[] = {
    { silence, 3, NULL },          { half_a_request, 60, NULL },  { ssl_request, 4, NULL },
    { secured, 60, NULL },         { server_silent, 5, "08001" }, { startup, 4, "08001" },
    { server_says_s, 4, "08001" }, { password, 60, "57014" },     { session, 90, "57P05" },
};

static void try_timeout(const struct timeout_case *row)
{
    struct proxy_rig rig;
    struct talker    client, server;
    uint64_t         began_us;

    sim_start_legs(&rig, 1, (struct sim_legs){ true, true },
                   "first_byte_timeout = \"3s\"\nhandshake_timeout = \"4s\"\n"
                   "connect_timeout = \"5s\"\nlogin_timeout = \"60s\"\n"
                   "idle_timeout = \"90s\"");
    talker_init(&server, NULL);
    began_us = loop_now_us(rig.loop);
    row->begin(&rig, &client, &server);
    talkers_settle(rig.loop, &client, &server);
    assert_true(loop_now_us(rig.loop) - began_us < 100);
    buf_clear(&client.heard);
    sim_run_for(rig.loop, SECONDS(row->after_s) - 1000);
    assert_int_equal(talker_end(&client), TALK_OPEN);
    sim_run_for(rig.loop, 1100);
    talkers_settle(rig.loop, &client, NULL);
    assert_int_not_equal(talker_end(&client), TALK_OPEN);
    if (row->sqlstate == NULL)
        assert_true(talker_heard(&client, BYTES("")));
    else
        assert_true(talker_heard_error(&client, row->sqlstate));
    talker_fini(&client);
    talker_fini(&server);
    rig_stop(&rig);
}

static void every_timeout_ends_the_wait_at_its_time(void **state)
{
    for (size_t i = 0; i < sizeof timeout_cases / sizeof *timeout_cases; i++)
        try_timeout(&timeout_cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_that_has_not_finished_tls_gives_way),
        cmocka_unit_test(where_all_have_finished_tls_the_newcomer_gives_way),
        cmocka_unit_test(those_that_have_logged_in_do_not_count),
        cmocka_unit_test(a_good_client_gets_in_during_a_flood_of_ten_thousand),
        cmocka_unit_test(one_too_many_of_an_address_is_told_and_a_flood_of_it_is_closed),
        cmocka_unit_test(a_cancel_of_one_too_many_is_carried_out),
        cmocka_unit_test(
            a_handshake_too_many_is_told_instead_of_s_and_the_next_second_it_works),
        cmocka_unit_test(the_tally_goes_on_over_a_reload),
        cmocka_unit_test(what_was_looked_up_goes_with_a_reload_and_not_with_the_last_session),
        cmocka_unit_test(addresses_are_counted_over_a_reload),
        cmocka_unit_test(only_admitted_networks_get_an_answer),
        cmocka_unit_test(accepting_pauses_where_it_fails_and_resumes_by_itself),
        cmocka_unit_test(every_timeout_ends_the_wait_at_its_time),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

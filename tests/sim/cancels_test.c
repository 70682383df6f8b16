/* SPDX-License-Identifier: PostgreSQL */
/* Cancel requests for several servers at once. */
#include "harness/alloc.h"
#include "harness/check.h"
#include "proxy/route.h"
#include "sim/talker.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES_MOST 20

struct ring {
    struct proxy_rig rig;
    size_t           places; /* servers: 10.0.1.1:5432 and so on */
    struct sim_peer *client;
};

static const char *place(size_t n)
{
    static char text[32];

    snprintf(text, sizeof text, "10.0.1.%zu:5432", n + 1);
    return text;
}

/* One client that asks to cancel; nothing runs yet. */
static struct sim_peer *ask(struct ring *ring)
{
    struct sim_peer *client = sim_connect(ring->rig.loop, FRONT);

    sim_write(client, CANCEL_WIRE);
    return client;
}

static void start(struct ring *ring, unsigned seed, size_t places, const char *limits)
{
    char   list[PLACES_MOST * 24] = "[";
    size_t len = 1;

    ring->places = places;
    for (size_t n = 0; n < places; n++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s\"%s\"", n > 0 ? ", " : "",
                                place(n));
    snprintf(list + len, sizeof list - len, "]");
    rig_start_route(&ring->rig, seed,
                    &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                         .address = list,
                                         .backend = "sslmode = \"disable\"",
                                         .limits = limits });
    for (size_t n = 0; n < places; n++)
        sim_serve(ring->rig.loop, place(n), SIM_ACCEPTS);
    ring->client = ask(ring);
}

/* The server there has got the request; it is done with it. */
static bool takes_cancel(struct ring *ring, size_t n)
{
    struct sim_peer *server = sim_accept(ring->rig.loop, place(n));

    if (server == NULL)
        return false;
    assert_true(rig_got(server, CANCEL_WIRE));
    sim_close(server);
    return true;
}

static size_t all_take_cancel(struct ring *ring)
{
    size_t count = 0;

    for (size_t n = 0; n < ring->places; n++)
        count += takes_cancel(ring, n);
    return count;
}

static void a_silent_server_keeps_a_cancel_from_no_other_one(void **state)
{
    for (size_t silent = 0; silent < 3; silent++) {
        struct ring ring;

        start(&ring, 1, 3, "connect_timeout = \"5s\"");
        sim_serve(ring.rig.loop, place(silent), SIM_IS_SILENT);
        sim_run_for(ring.rig.loop, 10000);
        assert_int_equal(all_take_cancel(&ring), 2);
        sim_run_for(ring.rig.loop, SECONDS(5) - 100000);
        assert_false(sim_saw_end(ring.client));
        sim_run_for(ring.rig.loop, 100000);
        assert_true(sim_saw_end(ring.client));
        assert_true(rig_got(ring.client, BYTES("")));
        rig_stop(&ring.rig);
    }
}

/* Two that never answer take as long as one. */
static void all_that_are_silent_are_waited_for_at_the_same_time(void **state)
{
    struct ring ring;

    start(&ring, 1, 16, "connect_timeout = \"2s\"");
    for (size_t n = 0; n < 16; n++)
        sim_serve(ring.rig.loop, place(n), n == 9 ? SIM_REFUSES : SIM_IS_SILENT);
    sim_run_for(ring.rig.loop, SECONDS(2) + 10000);
    assert_true(sim_saw_end(ring.client));
    rig_stop(&ring.rig);
}

static void a_cancel_goes_to_sixteen_at_once_and_to_more_as_those_are_done(void **state)
{
    struct ring ring;

    start(&ring, 1, PLACES_MOST, "");
    sim_settle(ring.rig.loop);
    assert_int_equal(rig_conversations(&ring.rig), 1 + 16);
    for (size_t n = 16; n < PLACES_MOST; n++) {
        assert_false(takes_cancel(&ring, n));
        assert_true(takes_cancel(&ring, n - 16));
        sim_settle(ring.rig.loop);
        assert_int_equal(rig_conversations(&ring.rig), 1 + 16);
    }
    assert_false(sim_saw_end(ring.client));
    assert_int_equal(all_take_cancel(&ring), 16);
    sim_settle(ring.rig.loop);
    assert_true(sim_saw_end(ring.client));
    rig_stop(&ring.rig);
}

static void a_cancel_whose_sender_has_left_is_carried_out(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct ring ring;

        start(&ring, 1, 3, "");
        if (how > 0) /* else as early as can be */
            sim_settle(ring.rig.loop);
        (how == 1 ? sim_reset : sim_close)(ring.client);
        sim_settle(ring.rig.loop);
        assert_int_equal(all_take_cancel(&ring), 3);
        sim_settle(ring.rig.loop);
        assert_int_equal(rig_conversations(&ring.rig), 0);
        rig_stop(&ring.rig);
    }
}

/* By login_timeout, at the end of a drain, or pushed out by a flood. */
static void where_a_cancel_is_given_up_so_are_all_of_its_ways(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct ring ring;

        start(&ring, 1, 3,
              "login_timeout = \"3s\"\ndrain_timeout = \"1s\"\n"
              "connect_timeout = \"3s\"\nmax_pending_logins = 2");
        sim_serve(ring.rig.loop, place(1), SIM_IS_SILENT);
        sim_run_for(ring.rig.loop, 10000);
        assert_true(takes_cancel(&ring, 0));
        sim_run_for(ring.rig.loop, 10000);
        assert_int_equal(rig_conversations(&ring.rig), 1 + 2);
        if (how == 1)
            route_worker_drain(ring.rig.rw);
        for (int i = 0; how == 2 && i < 2; i++)
            sim_connect(ring.rig.loop, FRONT);
        sim_run_for(ring.rig.loop, how == 0 ? SECONDS(3) : how == 1 ? SECONDS(1) : 10000);
        assert_true(sim_saw_end(ring.client));
        sim_close(ring.client);
        sim_settle(ring.rig.loop);
        assert_int_equal(rig_conversations(&ring.rig), how == 2 ? 2 : 0);
        rig_stop(&ring.rig);
    }
}

/* ---- the way of the session ---- */

#define REFUSAL    "E\0\0\0\x15SFATAL\0C28000\0M\0\0"
#define OTHER_WIRE BYTES("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\3")

static const char *const modes[] = { "sslmode = \"allow\"", "sslmode = \"prefer\"" };

static struct rig_route route_of(const char *backend)
{
    return (struct rig_route){ .listener = "sslmode = \"disable\"", .backend = backend };
}

static struct tls_engine *engine(void)
{
    return sim_server_engine(sim_pki()->good.server, NULL);
}

/* Under allow a server that wants TLS says so in plaintext; under prefer one says what it has.
 */
static void accept_session(struct proxy_rig *rig, size_t mode, bool has_tls,
                           struct talker *client, struct talker *server)
{
    if (mode == 0 && has_tls) {
        sim_accept_clear(rig, server);
        talker_say(server, BYTES(REFUSAL));
        sim_close(server->wire);
        talkers_settle(rig->loop, client, NULL);
        talker_fini(server);
    }
    if (has_tls) {
        sim_accept_tls(rig, client, server, engine());
        return;
    }
    sim_accept_clear(rig, server);
    if (mode == 1)
        sim_write(server->wire, BYTES("N"));
}

static void log_in(struct proxy_rig *rig, size_t mode, bool has_tls, struct talker *client,
                   struct talker *server)
{
    struct rig_route route = route_of(modes[mode]);

    sim_start(rig, 1, &route);
    talker_init(client, sim_connect(rig->loop, FRONT));
    talker_say(client, STARTUP);
    accept_session(rig, mode, has_tls, client, server);
    talkers_settle(rig->loop, client, server);
    talker_say(server, LOGIN_WIRE);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(client, LOGIN_WIRE));
}

/* Somebody asks to cancel; the connection to the server that is made for it. */
static struct sim_peer *ask_in(struct proxy_rig *rig, struct bytes wire)
{
    struct sim_peer *server, *client = sim_connect(rig->loop, FRONT);

    sim_write(client, wire);
    sim_settle(rig->loop);
    server = sim_accept(rig->loop, BACK);
    assert_non_null(server);
    return server;
}

/* What the server gets behind its N to the question for TLS; "" where that is the end. */
static void expect_behind_no(struct proxy_rig *rig, struct sim_peer *server, struct bytes wire)
{
    assert_true(rig_got(server, SSL_REQUEST));
    sim_write(server, BYTES("N"));
    sim_settle(rig->loop);
    assert_true(rig_got(server, wire));
    assert_int_equal(sim_saw_end(server), wire.len == 0);
    sim_close(server);
    sim_settle(rig->loop);
    assert_null(sim_accept(rig->loop, BACK)); /* and no second try */
}

static void expect_in_tls(struct proxy_rig *rig, struct sim_peer *wire, struct bytes request)
{
    struct talker server;

    talker_init(&server, wire);
    assert_true(rig_got(wire, SSL_REQUEST));
    sim_write(wire, BYTES("S"));
    talker_start_tls(&server, engine());
    talkers_settle(rig->loop, &server, NULL);
    assert_true(talker_heard(&server, request));
    talker_finish(&server);
    talkers_settle(rig->loop, &server, NULL);
    talker_fini(&server);
}

static void a_cancel_goes_the_way_that_its_session_went(void **state)
{
    for (size_t n = 0; n < 4; n++) {
        struct proxy_rig rig;
        struct talker    client, server;
        bool             has_tls = n / 2;

        log_in(&rig, n % 2, has_tls, &client, &server);
        if (has_tls) {
            expect_in_tls(&rig, ask_in(&rig, CANCEL_WIRE), CANCEL_WIRE);
            expect_behind_no(&rig, ask_in(&rig, CANCEL_WIRE), BYTES(""));
        } else {
            assert_true(rig_got(ask_in(&rig, CANCEL_WIRE), CANCEL_WIRE));
        }
        talker_fini(&client);
        talker_fini(&server);
        rig_stop(&rig);
    }
}

/* With a key that no session has, also of one that had it. */
static void a_cancel_of_an_unknown_session_goes_in_tls_where_the_server_has_any(void **state)
{
    for (size_t n = 0; n < 4; n++) {
        struct proxy_rig rig;
        struct talker    client, server;

        log_in(&rig, n % 2, n / 2, &client, &server);
        expect_in_tls(&rig, ask_in(&rig, OTHER_WIRE), OTHER_WIRE);
        expect_behind_no(&rig, ask_in(&rig, OTHER_WIRE), OTHER_WIRE);
        talker_finish(&client);
        talker_finish(&server);
        talkers_settle(rig.loop, &client, &server);
        expect_in_tls(&rig, ask_in(&rig, CANCEL_WIRE), CANCEL_WIRE);
        talker_fini(&client);
        talker_fini(&server);
        rig_stop(&rig);
    }
}

/* New settings are no reason to show the key, and where they demand TLS that goes for all. */
static void a_reload_takes_tls_from_no_cancel(void **state)
{
    for (size_t n = 0; n < 4; n++) {
        struct rig_route weaker = route_of("sslmode = \"disable\""),
                         stronger = route_of("sslmode = \"require\"");
        struct proxy_rig rig;
        struct talker    client, server;
        struct sim_peer *wire;

        log_in(&rig, n % 2, n / 2, &client, &server);
        rig_reload(&rig, n / 2 ? &weaker : &stronger);
        wire = ask_in(&rig, CANCEL_WIRE);
        if (n / 2 == 0)
            expect_behind_no(&rig, wire, BYTES(""));
        assert_true(rig_got(wire, BYTES("")));
        assert_true(sim_saw_end(wire));
        talker_fini(&client);
        talker_fini(&server);
        rig_stop(&rig);
    }
}

/* ---- who sends many ---- */

/* Whether a server gets the next one from there. */
static bool is_passed_on(struct proxy_rig *rig, const char *at, const char *from)
{
    struct sim_peer *server, *client = sim_connect_from(rig->loop, FRONT, from);

    sim_write(client, OTHER_WIRE);
    sim_settle(rig->loop);
    server = sim_accept(rig->loop, at);
    if (server != NULL) {
        assert_true(rig_got(server, OTHER_WIRE));
        sim_close(server);
        sim_settle(rig->loop);
    }
    assert_true(rig_got(client, BYTES("")));
    assert_true(sim_saw_end(client));
    sim_close(client);
    return server != NULL;
}

static void only_so_many_cancels_of_a_source_are_passed_on_in_a_second(void **state)
{
    struct ring ring;

    start(&ring, 1, 1, "");
    sim_settle(ring.rig.loop);
    assert_int_equal(all_take_cancel(&ring), 1);
    sim_run_for(ring.rig.loop, SECONDS(1));
    for (size_t second = 0; second < 2; second++) {
        for (size_t n = 0; n < CANCELS_PER_SECOND; n++)
            assert_true(is_passed_on(&ring.rig, place(0), "10.9.0.1"));
        assert_false(is_passed_on(&ring.rig, place(0), "10.9.0.1"));
        assert_true(is_passed_on(&ring.rig, place(0), "10.9.0.2"));
        sim_run_for(ring.rig.loop, SECONDS(1));
    }
    rig_stop(&ring.rig);
}

/* It guesses no key. */
static void a_cancel_of_a_known_session_is_always_passed_on(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    log_in(&rig, 0, false, &client, &server);
    for (size_t n = 0; n < 2 * CANCELS_PER_SECOND; n++)
        assert_true(rig_got(ask_in(&rig, CANCEL_WIRE), CANCEL_WIRE));
    talker_fini(&client);
    talker_fini(&server);
    rig_stop(&rig);
}

/* ---- chance ---- */

static void do_anything(struct ring *ring, unsigned *seed)
{
    struct sim_peer *server = sim_accept(ring->rig.loop, place((unsigned)rand_r(seed) % 6));

    if (server != NULL && rand_r(seed) % 3 != 0)
        (rand_r(seed) % 2 == 0 ? sim_close : sim_reset)(server);
    if (rand_r(seed) % 4 == 0)
        sim_serve(ring->rig.loop, place((unsigned)rand_r(seed) % 6),
                  (enum sim_answer)((unsigned)rand_r(seed) % 3));
    if (rand_r(seed) % 2 == 0)
        ring->client = ask(ring);
    else if (rand_r(seed) % 3 == 0)
        (rand_r(seed) % 2 == 0 ? sim_close : sim_reset)(ring->client);
    sim_run_for(ring->rig.loop, (unsigned)rand_r(seed) % 400000);
}

static void whatever_servers_and_clients_do_every_cancel_ends(void **state)
{
    for (unsigned run = 1; run <= 200; run++) {
        struct ring ring;
        unsigned    seed = run;

        start(&ring, run, 6,
              "login_timeout = \"20s\"\nconnect_timeout = \"2s\"\n"
              "max_pending_logins = 5");
        for (int step = 0; step < 20; step++)
            do_anything(&ring, &seed);
        if (run % 3 == 0)
            route_worker_drain(ring.rig.rw);
        sim_run_for(ring.rig.loop, SECONDS(60));
        if (run % 3 != 0)
            assert_int_equal(rig_conversations(&ring.rig), 0);
        rig_stop(&ring.rig);
    }
}

static void whichever_allocation_fails_every_cancel_ends(void **state)
{
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        struct ring ring;

        assert_true(n < 500);
        start(&ring, n, 4, "");
        alloc_fail_at(n);
        sim_settle(ring.rig.loop);
        failed = alloc_has_failed();
        for (size_t i = 0; i < 4; i++) {
            struct sim_peer *server = sim_accept(ring.rig.loop, place(i));

            if (server != NULL)
                sim_close(server);
        }
        sim_run_for(ring.rig.loop, SECONDS(10));
        assert_int_equal(rig_conversations(&ring.rig), 0);
        ring.client = ask(&ring);
        sim_settle(ring.rig.loop);
        assert_int_equal(all_take_cancel(&ring), 4);
        rig_stop(&ring.rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_server_keeps_a_cancel_from_no_other_one),
        cmocka_unit_test(all_that_are_silent_are_waited_for_at_the_same_time),
        cmocka_unit_test(a_cancel_goes_to_sixteen_at_once_and_to_more_as_those_are_done),
        cmocka_unit_test(a_cancel_whose_sender_has_left_is_carried_out),
        cmocka_unit_test(where_a_cancel_is_given_up_so_are_all_of_its_ways),
        cmocka_unit_test(a_cancel_goes_the_way_that_its_session_went),
        cmocka_unit_test(a_cancel_of_an_unknown_session_goes_in_tls_where_the_server_has_any),
        cmocka_unit_test(only_so_many_cancels_of_a_source_are_passed_on_in_a_second),
        cmocka_unit_test(a_cancel_of_a_known_session_is_always_passed_on),
        cmocka_unit_test(a_reload_takes_tls_from_no_cancel),
        cmocka_unit_test(whatever_servers_and_clients_do_every_cancel_ends),
        cmocka_unit_test(whichever_allocation_fails_every_cancel_ends),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

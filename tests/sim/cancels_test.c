/* SPDX-License-Identifier: PostgreSQL */
/* Cancel requests for several servers at once. */
#include "harness/alloc.h"
#include "harness/check.h"
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
              "connect_timeout = \"60s\"\nmax_pending_logins = 2");
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
        cmocka_unit_test(whatever_servers_and_clients_do_every_cancel_ends),
        cmocka_unit_test(whichever_allocation_fails_every_cancel_ends),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

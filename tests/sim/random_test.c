/* SPDX-License-Identifier: PostgreSQL */
/*
 * Random conversations: whatever the bytes, the cuts and the faults, nothing is invented,
 * everything ends, and nothing is left behind.
 *
 *     PGTLS_SEEDS=1000-2000 build/tests/sim/sim_random_test     these seeds, and not the few
 *
 * A failure prints its seed.
 */
#include "harness/alloc.h"
#include "harness/check.h"
#include "pg/frame.h"
#include "sim/sim_network.h"
#include "sim/talker.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned first_seed = 1, last_seed = 100;

static void read_seeds(void)
{
    const char *text = getenv("PGTLS_SEEDS");

    if (text != NULL && sscanf(text, "%u-%u", &first_seed, &last_seed) != 2)
        abort();
}

/* ---- junk ---- */

static void junk(struct sim_peer *peer, unsigned *seed)
{
    static const char *const words[] = {
        "\0\0\0\x08\x04\xd2\x16\x2f",
        "\0\0\0\x08\x04\xd2\x16\x30",
        "Z\0\0\0\5I",
        "R\0\0\0\x08\0\0\0\0",
        ("E\0\0\0\x08"
         "C28\0"), /* apart: C would belong to the number */
        "\x16\3\1\1\1",
        "Q\0\0\0\6x\0",
        "X\0\0\0\4",
        "p\0\0\0\6x\0",
        "S\x16\3\3\0\2",
        "\0\0\0\x10\x04\xd2\x16\x2e",
    };
    uint8_t noise[64];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rand_r(seed);
    if (rand_r(seed) % 3 != 0)
        memcpy(noise, words[(unsigned)rand_r(seed) % (sizeof words / sizeof *words)], 5);
    sim_write(peer, bytes_of(noise, (unsigned)rand_r(seed) % sizeof noise));
}

static void start_for_junk(struct proxy_rig *rig, unsigned run)
{
    static const char *const modes[] = { "disable", "allow", "prefer", "require" };
    char                     listener[600], backend[64];
    unsigned                 kind = run % 16;

    snprintf(listener, sizeof listener, "sslmode = \"%s\"\n%s", modes[kind % 4],
             kind % 4 == 0 ? "" : sim_pki()->tls);
    snprintf(backend, sizeof backend, "sslmode = \"%s\"", modes[kind / 4]);
    sim_start(
        rig, run,
        &(struct rig_route){ .listener = listener,
                             .backend = backend,
                             .limits = "login_timeout = \"20s\"\nidle_timeout = \"20s\"" });
    sim_set_random_cuts(rig->loop, true);
}

static void junk_for_a_while(struct proxy_rig *rig, unsigned run)
{
    unsigned         seed = run;
    struct sim_peer *client = sim_connect(rig->loop, FRONT), *server = NULL, *next;

    if (run % 5 != 0)
        sim_write(client, STARTUP);
    for (unsigned step = 0; step < 12; step++) {
        junk(client, &seed);
        if (server != NULL)
            junk(server, &seed);
        sim_run_for(rig->loop, (unsigned)rand_r(&seed) % 3000000);
        if ((next = sim_accept(rig->loop, BACK)) == NULL)
            continue;
        if (server != NULL)
            sim_close(server);
        server = next;
        if (rand_r(&seed) % 4 == 0)
            sim_write(server, BYTES("N"));
        if (rand_r(&seed) % 3 != 0)
            sim_write(server, LOGIN_WIRE);
    }
    (run % 2 == 0 ? sim_reset : sim_close)(client);
    sim_run_for(rig->loop, SECONDS(30));
    if (server != NULL)
        sim_close(server);
    sim_run_for(rig->loop, SECONDS(30));
}

static void whatever_both_sides_send_the_proxy_ends_clean(void **state)
{
    for (unsigned run = 4 * first_seed; run <= 4 * last_seed; run++) {
        struct proxy_rig rig;

        start_for_junk(&rig, run);
        junk_for_a_while(&rig, run);
        if (rig_conversations(&rig) != 0)
            print_error("junk: seed %u\n", run);
        assert_int_equal(rig_conversations(&rig), 0);
        rig_stop(&rig);
    }
}

/* ---- sessions with faults ---- */

struct run {
    struct proxy_rig rig;
    struct sim_legs  legs;
    struct talker    client;
    struct talker    server;
    struct buf       asked;    /* all that the client said since the login */
    struct buf       answered; /* and the server */
    unsigned         seed;
    bool             is_faulty;
};

static unsigned chance(struct run *run, unsigned below)
{
    return (unsigned)rand_r(&run->seed) % below;
}

/* Appends a message of a random length, now and then a long one. */
static void say_something(struct run *run, struct talker *talker, struct buf *said)
{
    static const char types[] = "QPBDESdDCZTN";
    unsigned          len = chance(run, chance(run, 10) == 0 ? 200000 : 300);
    uint8_t           type = (uint8_t)types[chance(run, sizeof types - 1)];
    size_t            before = said->len;

    if (type == 'Z')
        len = 1;
    buf_put_u8(said, type);
    buf_put_u32(said, len + 4);
    for (unsigned i = 0; i < len; i++)
        buf_put_u8(said, type == 'Z' ? (uint8_t) "ITE"[chance(run, 3)] : (uint8_t)(i + len));
    talker_say(talker, bytes_of(buf_bytes(said).p + before, said->len - before));
}

static void go_wrong(struct run *run)
{
    run->is_faulty = true;
    switch (chance(run, 8)) {
    case 0: sim_reset(run->client.wire); break;
    case 1: sim_reset(run->server.wire); break;
    case 2: sim_close(run->client.wire); break;
    case 3: sim_close(run->server.wire); break;
    case 4: sim_finish(run->client.wire); break;
    case 5: sim_finish(run->server.wire); break;
    case 6: route_worker_drain(run->rig.rw); break;
    case 7:
        if (run->legs.client)
            run->client.flip_in = 1 + chance(run, 5000);
        if (run->legs.server)
            run->server.flip_in = 1 + chance(run, 5000);
        break;
    }
}

static bool may_finish(const struct talker *talker)
{
    return !talker->wire->is_closed && !talker->wire->has_finished;
}

static bool can_talk(const struct talker *talker)
{
    return may_finish(talker) && talker_end(talker) == TALK_OPEN;
}

static void talk(struct run *run)
{
    unsigned fault_at = chance(run, 40);

    for (unsigned step = 0; step < 25; step++) {
        if (step == fault_at)
            go_wrong(run);
        if (chance(run, 2) == 0 && can_talk(&run->client))
            say_something(run, &run->client, &run->asked);
        if (chance(run, 2) == 0 && can_talk(&run->server))
            say_something(run, &run->server, &run->answered);
        if (chance(run, 6) == 0 && run->legs.client && can_talk(&run->client) &&
            run->client.verdict != TLS_FAILED)
            talker_update_keys(&run->client);
        if (chance(run, 3) == 0)
            talkers_settle(run->rig.loop, &run->client, &run->server);
        else
            sim_run_for(run->rig.loop, chance(run, 2000));
    }
}

/* Whether `at` is where a message begins. */
static bool is_between(struct bytes stream, size_t at)
{
    size_t next = 0;

    while (next < at && next + FRAME_HEADER_LEN <= stream.len)
        next += 1 + bytes_u32(stream.p + next + 1);
    return next == at;
}

/* A prefix of what was said, and perhaps one error of the proxy's between two messages. */
static bool is_prefix(struct bytes heard, struct bytes said, bool may_have_error)
{
    size_t same = 0;

    while (same < heard.len && same < said.len && heard.p[same] == said.p[same])
        same++;
    if (same == heard.len)
        return true;
    while (same > 0 && !is_between(said, same)) /* an error may begin as a message did */
        same--;
    bytes_skip(&heard, same);
    return may_have_error &&
           (rig_is_error(heard, "57P01") || rig_is_error(heard, "57P05") ||
            rig_is_error(heard, "08006")) &&
           heard.len == 1 + (size_t)bytes_u32(heard.p + 1);
}

static void close_all(struct run *run)
{
    sim_set_window(run->client.wire, SIZE_MAX);
    sim_set_window(run->server.wire, SIZE_MAX);
    talkers_settle(run->rig.loop, &run->client, &run->server);
    if (may_finish(&run->client))
        talker_finish(&run->client);
    talkers_settle(run->rig.loop, &run->client, &run->server);
    if (may_finish(&run->server))
        talker_finish(&run->server);
    talkers_settle(run->rig.loop, &run->client, &run->server);
}

static void check(struct run *run, unsigned seed)
{
    bool good = is_prefix(buf_bytes(&run->client.heard), buf_bytes(&run->answered), true) &&
                is_prefix(buf_bytes(&run->server.heard), buf_bytes(&run->asked), false);

    if (!run->is_faulty)
        good = good && run->client.heard.len == run->answered.len &&
               run->server.heard.len == run->asked.len &&
               talker_end(&run->client) == TALK_ENDED &&
               talker_end(&run->server) == TALK_ENDED && rig_conversations(&run->rig) == 0;
    if (!good)
        print_error("sessions: seed %u\n", seed);
    assert_true(good);
}

static void a_session(unsigned seed)
{
    struct run run = { .seed = seed,
                       .asked = BUF_LIMIT((size_t)64 << 20),
                       .answered = BUF_LIMIT((size_t)64 << 20) };

    run.legs = (struct sim_legs){ seed & 1, seed & 2 };
    sim_start_legs(&run.rig, seed, run.legs, "idle_timeout = \"60s\"");
    sim_set_random_cuts(run.rig.loop, seed & 4);
    sim_log_in(&run.rig, run.legs, &run.client, &run.server);
    sim_set_delay(run.rig.loop, chance(&run, 700));
    if (seed & 16)
        sim_set_window(run.client.wire, 1 + chance(&run, 30000));
    if (seed & 32)
        sim_set_window(run.server.wire, 1 + chance(&run, 30000));
    talk(&run);
    close_all(&run);
    check(&run, seed);
    sim_run_for(run.rig.loop, SECONDS(200));
    if (rig_conversations(&run.rig) != 0)
        print_error("sessions: seed %u\n", seed);
    assert_int_equal(rig_conversations(&run.rig), 0);
    talker_fini(&run.client);
    talker_fini(&run.server);
    buf_fini(&run.asked);
    buf_fini(&run.answered);
    rig_stop(&run.rig);
}

static void what_arrives_is_the_beginning_of_what_was_sent(void **state)
{
    for (unsigned seed = 4 * first_seed; seed <= 4 * last_seed; seed++)
        a_session(seed);
}

/* ---- memory that runs out ---- */

/* As far as it gets. */
static void try_session(struct proxy_rig *rig, struct sim_legs legs)
{
    struct talker client, server;

    talker_init(&client, sim_connect(rig->loop, FRONT));
    talker_init(&server, NULL);
    if (legs.client) {
        sim_write(client.wire, SSL_REQUEST);
        sim_settle(rig->loop);
        alloc_pause(true);
        if (rig_got(client.wire, BYTES("S")))
            talker_start_tls(&client, sim_client_engine(sim_pki()->good.client));
        alloc_pause(false);
    }
    talkers_settle(rig->loop, &client, NULL);
    if (talker_end(&client) == TALK_OPEN && client.is_secure == legs.client) {
        alloc_pause(true);
        talker_say(&client, STARTUP);
        alloc_pause(false);
    }
    talkers_settle(rig->loop, &client, NULL);
    server.wire = sim_accept(rig->loop, BACK);
    if (server.wire != NULL) {
        if (legs.server && rig_got(server.wire, SSL_REQUEST)) {
            alloc_pause(true);
            sim_write(server.wire, BYTES("S"));
            talker_start_tls(&server, sim_server_engine(sim_pki()->good.server, NULL));
            alloc_pause(false);
        }
        talkers_settle(rig->loop, &client, &server);
        alloc_pause(true);
        if (server.is_secure == legs.server)
            talker_say(&server, LOGIN_WIRE);
        alloc_pause(false);
        talkers_settle(rig->loop, &client, &server);
    }
    sim_close(client.wire);
    sim_settle(rig->loop);
    if (server.wire != NULL)
        sim_close(server.wire);
    sim_run_for(rig->loop, SECONDS(100));
    alloc_pause(true);
    talker_fini(&client);
    talker_fini(&server);
    alloc_pause(false);
}

static void whichever_allocation_fails_the_next_session_works(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        struct sim_legs legs = { kind & 1, kind & 2 };
        bool            failed = true;

        for (unsigned n = 1; failed; n++) {
            struct proxy_rig rig;
            struct talker    client, server;

            assert_true(n < 500);
            sim_start_legs(&rig, n, legs, "");
            alloc_fail_at(n);
            try_session(&rig, legs);
            failed = alloc_has_failed();
            assert_int_equal(rig_conversations(&rig), 0);
            sim_log_in(&rig, legs, &client, &server);
            talker_fini(&client);
            talker_fini(&server);
            rig_stop(&rig);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_both_sides_send_the_proxy_ends_clean),
        cmocka_unit_test(what_arrives_is_the_beginning_of_what_was_sent),
        cmocka_unit_test(whichever_allocation_fails_the_next_session_works),
    };
    int failures;

    read_seeds();
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    sim_pki_free();
    return failures;
}

/* SPDX-License-Identifier: PostgreSQL */
/* sslmode of the backend: allow. */
#include "harness/check.h"
#include "sim/talker.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTICE        "N\0\0\0\x0dSNOTICE\0\0"
#define NEGOTIATE     "v\0\0\0\x0c\0\3\0\0\0\0\0\0"
#define REFUSAL(code) "E\0\0\0\x15SFATAL\0C" code "\0M\0\0"
#define ASK_PASSWORD  "R\0\0\0\x08\0\0\0\3"

static const struct bytes refusal = BYTES_INIT(REFUSAL("28000"));

static void start_mode(struct proxy_rig *rig, uint64_t seed, const char *mode, bool verifies)
{
    char backend[512];

    snprintf(backend, sizeof backend, "sslmode = \"%s\"\n%s", mode,
             verifies ? sim_pki()->root_ca : "");
    sim_start(rig, seed,
              &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                   .backend = backend,
                                   .limits = "handshake_timeout = \"3s\"" });
}

static void stop(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_fini(client);
    talker_fini(server);
    rig_stop(rig);
}

/* A client that says this from the start, and the plaintext connection made for it. */
static void knock(struct proxy_rig *rig, uint64_t seed, struct bytes behind,
                  struct talker *client, struct talker *server)
{
    start_mode(rig, seed, "allow", false);
    talker_init(client, sim_connect(rig->loop, FRONT));
    talker_say(client, STARTUP);
    if (behind.len > 0)
        talker_say(client, behind);
    sim_accept_clear(rig, server);
    talkers_settle(rig->loop, client, server);
    assert_memory_equal(buf_bytes(&server->heard).p, STARTUP.p, STARTUP.len);
}

/* The server refuses plaintext in these words, cut at `cut`, and hangs up. */
static void refuse(struct proxy_rig *rig, struct talker *client, struct talker *server,
                   struct bytes words, size_t cut)
{
    sim_cut_at(server->wire, cut);
    talker_say(server, words);
    sim_close(server->wire);
    talkers_settle(rig->loop, client, NULL);
    talker_fini(server);
}

/* ---- plaintext that is taken ---- */

static void allow_stays_in_plaintext_where_the_server_takes_it(void **state)
{
    struct bytes words =
        BYTES(NOTICE NEGOTIATE NOTICE "R\0\0\0\x08\0\0\0\0" NOTICE "Z\0\0\0\5I");

    for (size_t cut = 0; cut <= words.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, cut, BYTES("early"), &client, &server);
        sim_cut_at(server.wire, cut);
        talker_say(&server, words);
        talkers_settle(rig.loop, &client, &server);
        assert_true(talker_heard(&client, words));
        talker_say(&client, QUERY_WIRE);
        talkers_settle(rig.loop, &client, &server);
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, BYTES("earlyQ\0\0\0\x0dSELECT 1\0")));
        assert_null(sim_accept(rig.loop, BACK));
        stop(&rig, &client, &server);
    }
}

static void what_a_client_says_while_allow_is_undecided_arrives_once_and_in_order(void **state)
{
    char   text[26 * 1500];
    size_t len = sizeof text;

    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i / 1500);
    for (size_t first = 0; first < len; first = first * 3 + 1) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, first, bytes_of(text, first), &client, &server);
        talker_say(&client, bytes_of(text + first, len - first));
        talkers_settle(rig.loop, &client, &server);
        assert_true(server.heard.len <= STARTUP.len + first);
        talker_say(&server, BYTES(ASK_PASSWORD));
        talkers_settle(rig.loop, &client, &server);
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, bytes_of(text, len)));
        assert_true(talker_heard(&client, BYTES(ASK_PASSWORD)));
        stop(&rig, &client, &server);
    }
}

/* ---- plaintext that is refused ---- */

static void allow_asks_the_same_address_for_tls_after_a_refusal(void **state)
{
    struct bytes words = BYTES(NOTICE NEGOTIATE REFUSAL("28000"));

    for (size_t cut = 0; cut <= words.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, cut, BYTES("early"), &client, &server);
        talker_say(&client, BYTES("soon"));
        talkers_settle(rig.loop, &client, &server);
        refuse(&rig, &client, &server, words, cut);
        assert_true(talker_heard(&client, BYTES("")));
        talker_say(&client, BYTES("later"));
        sim_accept_tls(&rig, &client, &server, sim_server_engine(sim_pki()->good.server, NULL));
        assert_true(server.is_secure);
        assert_memory_equal(buf_bytes(&server.heard).p, STARTUP.p, STARTUP.len);
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, BYTES("earlysoonlater")));
        talker_say(&server, BYTES(NOTICE NEGOTIATE));
        talker_say(&server, LOGIN_WIRE);
        talkers_settle(rig.loop, &client, &server);
        assert_memory_equal(buf_bytes(&client.heard).p, NOTICE NEGOTIATE,
                            sizeof NOTICE NEGOTIATE - 1);
        buf_skip(&client.heard, sizeof NOTICE NEGOTIATE - 1);
        assert_true(talker_heard(&client, LOGIN_WIRE));
        assert_null(sim_accept(rig.loop, BACK));
        stop(&rig, &client, &server);
    }
}

static void where_there_is_no_tls_either_the_refusal_reaches_the_client_once(void **state)
{
    struct bytes words = BYTES(NOTICE NEGOTIATE REFUSAL("28000"));

    for (size_t cut = 0; cut <= words.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, cut, BYTES("early"), &client, &server);
        refuse(&rig, &client, &server, words, cut);
        sim_accept_clear(&rig, &server);
        assert_true(rig_got(server.wire, SSL_REQUEST));
        sim_write(server.wire, BYTES("N"));
        talkers_settle(rig.loop, &client, &server);
        assert_true(talker_heard(&client, words));
        assert_int_equal(talker_end(&client), TALK_ENDED);
        assert_true(talker_heard(&server, BYTES("")));
        assert_null(sim_accept(rig.loop, BACK));
        stop(&rig, &client, &server);
    }
}

/* What the server does when it is asked for TLS, and none of it leads to a session. */
static void whatever_else_answers_the_second_try_is_a_failure(void **state)
{
    static const struct bytes answers[] = { BYTES_INIT("E"), BYTES_INIT("S\0\0\0"),
                                            BYTES_INIT("R\0\0\0\x08\0\0\0\0Z\0\0\0\5I"),
                                            BYTES_INIT("") };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (int closes = 0; closes < 2; closes++) {
            struct proxy_rig rig;
            struct talker    client, server;

            knock(&rig, i, BYTES(""), &client, &server);
            refuse(&rig, &client, &server, refusal, SIZE_MAX);
            sim_accept_clear(&rig, &server);
            assert_true(rig_got(server.wire, SSL_REQUEST));
            sim_write(server.wire, answers[i]);
            if (closes)
                sim_finish(server.wire);
            sim_run_for(rig.loop, SECONDS(7));
            talkers_settle(rig.loop, &client, NULL);
            assert_true(talker_heard_error(&client, "08001"));
            assert_null(sim_accept(rig.loop, BACK));
            stop(&rig, &client, &server);
        }
    }
}

static void a_second_try_that_cannot_connect_is_a_failure(void **state)
{
    for (int silent = 0; silent < 2; silent++) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, 1, BYTES(""), &client, &server);
        sim_serve(rig.loop, BACK, silent ? SIM_IS_SILENT : SIM_REFUSES);
        refuse(&rig, &client, &server, refusal, SIZE_MAX);
        sim_run_for(rig.loop, SECONDS(6));
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard_error(&client, "08001"));
        rig_stop(&rig);
        talker_fini(&client);
    }
}

/* What one server said of plaintext says nothing about the next. */
static void another_address_is_asked_anew(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    rig_start_route(&rig, 1,
                    &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                         .address = "[\"" BACK "\", \"10.0.0.6:5432\"]",
                                         .backend = "sslmode = \"allow\"" });
    talker_init(&client, sim_connect(rig.loop, FRONT));
    talker_say(&client, STARTUP);
    sim_accept_clear(&rig, &server);
    sim_serve(rig.loop, BACK, SIM_REFUSES);
    sim_serve(rig.loop, "10.0.0.6:5432", SIM_ACCEPTS);
    refuse(&rig, &client, &server, BYTES(NOTICE REFUSAL("28000")), SIZE_MAX);
    talker_init(&server, sim_accept(rig.loop, "10.0.0.6:5432"));
    talkers_settle(rig.loop, &client, &server);
    assert_true(talker_heard(&server, STARTUP));
    talker_say(&server, LOGIN_WIRE);
    talkers_settle(rig.loop, &client, &server);
    assert_true(talker_heard(&client, LOGIN_WIRE));
    stop(&rig, &client, &server);
}

/* ---- refusals that say nothing about TLS ---- */

static void a_refusal_that_is_not_about_tls_is_passed_on_at_once(void **state)
{
    static const struct bytes words[] = {
        BYTES_INIT(NOTICE REFUSAL("53300")),
        BYTES_INIT(NEGOTIATE REFUSAL("57P03")),
        BYTES_INIT(REFUSAL("3D000")),
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (size_t cut = 0; cut <= words[i].len; cut++) {
            struct proxy_rig rig;
            struct talker    client, server;

            knock(&rig, cut, BYTES(""), &client, &server);
            refuse(&rig, &client, &server, words[i], cut);
            assert_true(talker_heard(&client, words[i]));
            assert_int_equal(talker_end(&client), TALK_ENDED);
            assert_null(sim_accept(rig.loop, BACK));
            talker_fini(&client);
            rig_stop(&rig);
        }
    }
}

static void a_refusal_behind_an_authentication_message_is_never_retried(void **state)
{
    static const struct bytes words[] = {
        BYTES_INIT(NOTICE ASK_PASSWORD REFUSAL("28P01")),
        BYTES_INIT("R\0\0\0\x08\0\0\0\0" REFUSAL("28000")),
        BYTES_INIT("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0" REFUSAL("28000")),
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (size_t cut = 0; cut <= words[i].len; cut++) {
            struct proxy_rig rig;
            struct talker    client, server;

            knock(&rig, cut, BYTES(""), &client, &server);
            refuse(&rig, &client, &server, words[i], cut);
            assert_true(talker_heard(&client, words[i]));
            assert_int_equal(talker_end(&client), TALK_ENDED);
            assert_null(sim_accept(rig.loop, BACK));
            talker_fini(&client);
            rig_stop(&rig);
        }
    }
}

/* ---- servers that do not keep to the protocol ---- */

static void notices_of_a_server_that_hangs_up_are_not_lost(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    knock(&rig, 1, BYTES(""), &client, &server);
    refuse(&rig, &client, &server, BYTES(NOTICE NOTICE), SIZE_MAX);
    assert_memory_equal(buf_bytes(&client.heard).p, NOTICE NOTICE, sizeof NOTICE NOTICE - 1);
    buf_skip(&client.heard, sizeof NOTICE NOTICE - 1);
    assert_true(talker_heard_error(&client, "08006"));
    assert_null(sim_accept(rig.loop, BACK));
    talker_fini(&client);
    rig_stop(&rig);
}

static void a_server_that_is_ready_without_authentication_is_served_all_the_same(void **state)
{
    struct bytes words = BYTES(NOTICE "Z\0\0\0\5I");

    for (size_t cut = 0; cut <= words.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        knock(&rig, cut, BYTES(""), &client, &server);
        talker_say(&client, QUERY_WIRE);
        talkers_settle(rig.loop, &client, &server);
        sim_cut_at(server.wire, cut);
        talker_say(&server, words);
        talkers_settle(rig.loop, &client, &server);
        assert_true(talker_heard(&client, words));
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, QUERY_WIRE));
        stop(&rig, &client, &server);
    }
}

static void a_server_that_never_decides_costs_a_login_timeout(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    knock(&rig, 1, BYTES(""), &client, &server);
    talker_say(&server, BYTES(NOTICE));
    sim_run_for(rig.loop, SECONDS(60));
    talkers_settle(rig.loop, &client, &server);
    assert_memory_equal(buf_bytes(&client.heard).p, NOTICE, sizeof NOTICE - 1);
    buf_skip(&client.heard, sizeof NOTICE - 1);
    assert_true(talker_heard_error(&client, "57014"));
    stop(&rig, &client, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_stays_in_plaintext_where_the_server_takes_it),
        cmocka_unit_test(what_a_client_says_while_allow_is_undecided_arrives_once_and_in_order),
        cmocka_unit_test(allow_asks_the_same_address_for_tls_after_a_refusal),
        cmocka_unit_test(where_there_is_no_tls_either_the_refusal_reaches_the_client_once),
        cmocka_unit_test(whatever_else_answers_the_second_try_is_a_failure),
        cmocka_unit_test(a_second_try_that_cannot_connect_is_a_failure),
        cmocka_unit_test(another_address_is_asked_anew),
        cmocka_unit_test(a_refusal_that_is_not_about_tls_is_passed_on_at_once),
        cmocka_unit_test(a_refusal_behind_an_authentication_message_is_never_retried),
        cmocka_unit_test(notices_of_a_server_that_hangs_up_are_not_lost),
        cmocka_unit_test(a_server_that_is_ready_without_authentication_is_served_all_the_same),
        cmocka_unit_test(a_server_that_never_decides_costs_a_login_timeout),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

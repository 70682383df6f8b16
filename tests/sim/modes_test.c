/* SPDX-License-Identifier: PostgreSQL */
/* sslmode of the listener, and of the backend without allow (allow_test.c). */
#include "harness/check.h"
#include "sim/talker.h"

#include <stdio.h>
#include <stdlib.h>

static void stop(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_fini(client);
    talker_fini(server);
    rig_stop(rig);
}

/* ---- listener ---- */

static void start_listener(struct proxy_rig *rig, const char *mode, const char *certificates)
{
    char listener[1024];

    snprintf(listener, sizeof listener, "sslmode = \"%s\"\n%s", mode, certificates);
    sim_start(rig, 1,
              &(struct rig_route){ .listener = listener,
                                   .backend = "sslmode = \"disable\"",
                                   .is_logged = true });
}

static void stop_and_expect(struct proxy_rig *rig, const char *word, const char *other)
{
    char *log = rig_stop_and_read(rig);

    assert_true(rig_has_line(log, word, other));
    free(log);
}

static void finish_login(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_say(client, STARTUP);
    sim_accept_clear(rig, server);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(server, STARTUP));
    talker_say(server, LOGIN_WIRE);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(client, LOGIN_WIRE));
}

/* A client that does without TLS. */
static void connect_clear(struct proxy_rig *rig, struct talker *client)
{
    talker_init(client, sim_connect(rig->loop, FRONT));
}

/* TLS from the first byte. */
static void connect_direct(struct proxy_rig *rig, struct talker *client,
                           struct identity *identity)
{
    talker_init(client, sim_connect(rig->loop, FRONT));
    talker_start_tls(client, sim_client_engine(identity));
    talkers_settle(rig->loop, client, NULL);
}

static void allow_and_prefer_take_clients_with_tls_and_without(void **state)
{
    static const char *const modes[] = { "allow", "prefer" };

    for (int mode = 0; mode < 2; mode++) {
        for (int kind = 0; kind < 3; kind++) {
            struct proxy_rig rig;
            struct talker    client, server;
            char            *log;

            start_listener(&rig, modes[mode], sim_pki()->tls);
            if (kind == 0)
                connect_clear(&rig, &client);
            else if (kind == 1)
                sim_connect_tls(&rig, &client, NULL);
            else
                connect_direct(&rig, &client, NULL);
            assert_int_equal(client.is_secure, kind > 0);
            finish_login(&rig, &client, &server);
            talker_fini(&client);
            talker_fini(&server);
            log = rig_stop_and_read(&rig);
            assert_int_equal(rig_has_line(log, "client.plaintext", " info "),
                             kind == 0 && mode == 1);
            free(log);
        }
    }
}

static void plaintext_is_refused_where_tls_is_demanded(void **state)
{
    static const char *const modes[] = { "require", "verify-ca", "verify-full" };

    for (int mode = 0; mode < 3; mode++) {
        struct proxy_rig rig;
        struct talker    client;

        start_listener(&rig, modes[mode], mode == 0 ? sim_pki()->tls : sim_pki()->mtls);
        connect_clear(&rig, &client);
        talker_say(&client, STARTUP);
        talkers_settle(rig.loop, &client, NULL);
        assert_true(talker_heard_error(&client, "28000"));
        assert_int_equal(talker_end(&client), TALK_ENDED);
        assert_null(sim_accept(rig.loop, BACK));
        talker_fini(&client);
        rig_stop(&rig);
    }
}

static void a_listener_without_tls_says_n_and_goes_on(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;

    start_listener(&rig, "disable", "");
    connect_clear(&rig, &client);
    talker_say(&client, SSL_REQUEST);
    talkers_settle(rig.loop, &client, NULL);
    assert_true(talker_heard(&client, BYTES("N")));
    finish_login(&rig, &client, &server);
    stop(&rig, &client, &server);
}

/* What a client shows, and what becomes of it.  The stranger's CA has the name of ours, so that
 * it is the signature which does not fit: decrypt_error. */
static const struct certificate_case {
    const char *mode;
    enum { NOTHING, ALICE, BOB, STRANGER } shows;
    const char *sqlstate; /* inside TLS; NULL: none */
    int         alert;    /* instead of a session; 0: none */
} certificate_cases[] = {
    { "require", NOTHING, NULL, 0 },       { "require", ALICE, NULL, 0 },
    { "require", STRANGER, NULL, 51 },     { "verify-ca", ALICE, NULL, 0 },
    { "verify-ca", BOB, NULL, 0 },         { "verify-ca", NOTHING, "28000", 0 },
    { "verify-ca", STRANGER, NULL, 51 },   { "verify-full", ALICE, NULL, 0 },
    { "verify-full", BOB, "28000", 0 },    { "verify-full", NOTHING, "28000", 0 },
    { "verify-full", STRANGER, NULL, 51 },
};

static struct identity *identity_of(const struct certificate_case *row)
{
    switch (row->shows) {
    case NOTHING: return NULL;
    case ALICE: return sim_pki()->good.client;
    case BOB: return sim_pki()->bob;
    case STRANGER: return sim_pki()->other.client;
    }
    return NULL;
}

static void try_certificate(const struct certificate_case *row, bool direct)
{
    struct proxy_rig rig;
    struct talker    client, server = { .wire = NULL };

    start_listener(&rig, row->mode, sim_pki()->mtls);
    if (direct)
        connect_direct(&rig, &client, identity_of(row));
    else
        sim_connect_tls(&rig, &client, identity_of(row));
    if (row->sqlstate == NULL && row->alert == 0) {
        finish_login(&rig, &client, &server);
        stop(&rig, &client, &server);
        return;
    }
    if (row->alert == 0)
        talker_say(&client, STARTUP);
    talkers_settle(rig.loop, &client, NULL);
    if (row->alert != 0)
        assert_int_equal(tls_engine_alert_received(client.tls), row->alert);
    else
        assert_true(talker_heard_error(&client, row->sqlstate));
    assert_int_equal(talker_end(&client), row->alert != 0 ? TALK_CUT_SHORT : TALK_ENDED);
    assert_null(sim_accept(rig.loop, BACK));
    talker_fini(&client);
    if (row->alert != 0)
        stop_and_expect(&rig, "tls.handshake.failed", "leg=client");
    else
        stop_and_expect(&rig, "auth.failed", "phase=certificate");
}

static void a_client_certificate_is_judged_as_the_mode_says(void **state)
{
    for (size_t i = 0; i < sizeof certificate_cases / sizeof *certificate_cases; i++)
        for (int direct = 0; direct < 2; direct++)
            try_certificate(&certificate_cases[i], direct);
}

/* ---- backend ---- */

static void start_backend(struct proxy_rig *rig, uint64_t seed, const char *mode,
                          const char *more)
{
    char backend[1200];

    snprintf(backend, sizeof backend, "sslmode = \"%s\"\n%s", mode, more);
    sim_start(rig, seed,
              &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                   .backend = backend,
                                   .limits = "handshake_timeout = \"3s\"",
                                   .is_logged = true });
}

/* A client, and the connection on which the proxy has asked for TLS. */
static void knock(struct proxy_rig *rig, struct talker *client, struct talker *server)
{
    talker_init(client, sim_connect(rig->loop, FRONT));
    talker_say(client, STARTUP);
    talker_say(client, BYTES("early"));
    sim_accept_clear(rig, server);
    sim_settle(rig->loop);
    assert_true(rig_got(server->wire, SSL_REQUEST));
}

static void prefer_goes_on_in_plaintext_on_the_same_connection_after_n(void **state)
{
    for (size_t cut = 0; cut <= LOGIN_WIRE.len; cut++) {
        struct proxy_rig rig;
        struct talker    client, server;

        start_backend(&rig, cut, "prefer", "");
        knock(&rig, &client, &server);
        sim_cut_at(server.wire, cut + 1);
        sim_write(server.wire, BYTES("N"));
        talkers_settle(rig.loop, &client, &server);
        assert_memory_equal(buf_bytes(&server.heard).p, STARTUP.p, STARTUP.len);
        buf_skip(&server.heard, STARTUP.len);
        assert_true(talker_heard(&server, BYTES("early")));
        talker_say(&server, LOGIN_WIRE);
        talkers_settle(rig.loop, &client, &server);
        assert_true(talker_heard(&client, LOGIN_WIRE));
        assert_null(sim_accept(rig.loop, BACK));
        stop(&rig, &client, &server);
    }
}

static void every_mode_with_tls_goes_on_in_tls_after_s(void **state)
{
    static const char *const modes[] = { "prefer", "require", "verify-ca", "verify-full" };

    for (size_t mode = 0; mode < 4; mode++) {
        for (int verifies = mode < 2 ? 0 : 1; verifies < 2; verifies++) {
            struct proxy_rig rig;
            struct talker    client, server;
            char            *log;

            start_backend(&rig, mode, modes[mode], verifies ? sim_pki()->root_ca : "");
            knock(&rig, &client, &server);
            sim_write(server.wire, BYTES("S"));
            talker_start_tls(&server, sim_server_engine(sim_pki()->good.server, NULL));
            talkers_settle(rig.loop, &client, &server);
            assert_memory_equal(buf_bytes(&server.heard).p, STARTUP.p, STARTUP.len);
            talker_say(&server, LOGIN_WIRE);
            talkers_settle(rig.loop, &client, &server);
            assert_true(talker_heard(&client, LOGIN_WIRE));
            talker_fini(&client);
            talker_fini(&server);
            log = rig_stop_and_read(&rig);
            assert_true(
                rig_has_line(log, "connection.end",
                             verifies ? "backend_verified=true" : "backend_verified=false"));
            free(log);
        }
    }
}

/* After this answer nothing of the client's may ever be seen. */
static void expect_failure(struct proxy_rig *rig, struct talker *client, struct talker *server,
                           const char *event)
{
    struct bytes got;

    sim_run_for(rig->loop, SECONDS(7));
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard_error(client, "08001"));
    got = server->tls != NULL ? buf_bytes(&server->heard) : sim_received(server->wire);
    assert_null(got.len > 0 ? memmem(got.p, got.len, "alice", 5) : NULL);
    assert_null(sim_accept(rig->loop, BACK));
    talker_fini(client);
    talker_fini(server);
    stop_and_expect(rig, event, "reason=");
}

static void no_other_answer_leads_to_a_session(void **state)
{
    static const char *const  modes[] = { "prefer", "require", "verify-ca", "verify-full" };
    static const struct bytes answers[] = {
        BYTES_INIT(""),
        BYTES_INIT("E"),
        BYTES_INIT("E\0\0\0\x15SFATAL\0C28000\0M\0\0"),
        BYTES_INIT("n"),
        BYTES_INIT("R\0\0\0\x08\0\0\0\0Z\0\0\0\5I"),
        BYTES_INIT("SS"),
        BYTES_INIT("S\x15\3\3\0\2\2\x28"),
        BYTES_INIT("SR\0\0\0\x08\0\0\0\0Z\0\0\0\5I"),
        BYTES_INIT("N"), /* all but prefer */
    };

    for (size_t mode = 0; mode < 4; mode++) {
        for (size_t i = mode == 0 ? 1 : 0; i < sizeof answers / sizeof *answers; i++) {
            for (int closes = 0; closes < 2; closes++) {
                struct bytes     answer = answers[sizeof answers / sizeof *answers - 1 - i];
                struct proxy_rig rig;
                struct talker    client, server;

                start_backend(&rig, i, modes[mode], mode > 1 ? sim_pki()->root_ca : "");
                knock(&rig, &client, &server);
                sim_write(server.wire, answer);
                if (closes)
                    sim_finish(server.wire);
                expect_failure(&rig, &client, &server,
                               answer.len > 1 && answer.p[0] == 'S' ? "tls.handshake.failed"
                                                                    : "backend.connect.failed");
            }
        }
    }
}

/* The server, its certificate, and whether that will do. */
static const struct server_case {
    const char *mode;
    bool        verifies;
    bool        is_stranger; /* its certificate is of another CA */
    const char *more;
    int64_t     later_s; /* than the certificates are for */
    bool        is_good;
} server_cases[] = {
    { "require", false, true, "", 0, true },
    { "require", true, true, "", 0, false },
    { "prefer", true, true, "", 0, false },
    { "allow", true, false, "", 0, true },
    { "verify-ca", true, false, "", 0, true },
    { "verify-ca", true, true, "", 0, false },
    { "verify-full", true, true, "", 0, false },
    { "verify-full", true, false, "verify_name = \"db.example.com\"\n", 0, true },
    { "verify-full", true, false, "verify_name = \"www.example.com\"\n", 0, false },
    { "verify-full", true, false, "verify_name = \"10.0.0.6\"\n", 0, false },
    { "verify-ca", true, false, "", INT64_C(400) * 86400, false },
    { "prefer", true, false, "", INT64_C(400) * 86400, false },
};

static void try_server(const struct server_case *row)
{
    struct proxy_rig rig;
    struct talker    client, server;
    char             more[512];

    snprintf(more, sizeof more, "%s%s", row->verifies ? sim_pki()->root_ca : "", row->more);
    start_backend(&rig, 1, row->mode, more);
    sim_set_wall(rig.loop, CERTS_NOW + row->later_s);
    if (strcmp(row->mode, "allow") == 0) {
        talker_init(&client, sim_connect(rig.loop, FRONT));
        talker_say(&client, STARTUP);
        sim_accept_clear(&rig, &server);
        sim_write(server.wire, BYTES("E\0\0\0\x15SFATAL\0C28000\0M\0\0"));
        sim_accept_clear(&rig, &server);
        sim_settle(rig.loop);
        assert_true(rig_got(server.wire, SSL_REQUEST));
    } else {
        knock(&rig, &client, &server);
    }
    sim_write(server.wire, BYTES("S"));
    talker_start_tls(&server, sim_server_engine(row->is_stranger ? sim_pki()->other.server
                                                                 : sim_pki()->good.server,
                                                NULL));
    talkers_settle(rig.loop, &client, &server);
    if (!row->is_good) {
        expect_failure(&rig, &client, &server, "tls.handshake.failed");
        return;
    }
    assert_memory_equal(buf_bytes(&server.heard).p, STARTUP.p, STARTUP.len);
    stop(&rig, &client, &server);
}

static void a_servers_certificate_is_judged_as_the_mode_says(void **state)
{
    for (size_t i = 0; i < sizeof server_cases / sizeof *server_cases; i++)
        try_server(&server_cases[i]);
}

/* TLS 1.3: the server looks at the certificate when the proxy has long finished. */
static void a_server_that_refuses_our_certificate_is_a_failure_with_its_alert(void **state)
{
    struct proxy_rig rig;
    struct talker    client, server;
    char             more[1024];
    char            *log;

    snprintf(more, sizeof more, "%s%s", sim_pki()->root_ca, sim_pki()->shows);
    start_backend(&rig, 1, "verify-full", more);
    knock(&rig, &client, &server);
    sim_write(server.wire, BYTES("S"));
    talker_start_tls(&server,
                     sim_server_engine(sim_pki()->good.server, sim_pki()->other.trust));
    talkers_settle(rig.loop, &client, &server);
    assert_false(server.is_secure);
    sim_close(server.wire);
    talkers_settle(rig.loop, &client, NULL);
    assert_true(talker_heard_error(&client, "08001"));
    talker_fini(&client);
    talker_fini(&server);
    log = rig_stop_and_read(&rig);
    assert_true(rig_has_line(log, "tls.handshake.failed", "alert_received=decrypt_error"));
    assert_true(rig_has_line(log, "connection.end", "reason=backend_tls_failed"));
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_and_prefer_take_clients_with_tls_and_without),
        cmocka_unit_test(plaintext_is_refused_where_tls_is_demanded),
        cmocka_unit_test(a_listener_without_tls_says_n_and_goes_on),
        cmocka_unit_test(a_client_certificate_is_judged_as_the_mode_says),
        cmocka_unit_test(prefer_goes_on_in_plaintext_on_the_same_connection_after_n),
        cmocka_unit_test(every_mode_with_tls_goes_on_in_tls_after_s),
        cmocka_unit_test(no_other_answer_leads_to_a_session),
        cmocka_unit_test(a_servers_certificate_is_judged_as_the_mode_says),
        cmocka_unit_test(a_server_that_refuses_our_certificate_is_a_failure_with_its_alert),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

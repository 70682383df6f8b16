/* SPDX-License-Identifier: PostgreSQL */
/* A backend of several addresses: which are tried, in which order, and when. */
#include "harness/check.h"
#include "sim/talker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define A "10.0.0.5:5432"
#define B "10.0.0.6:5432"
#define C "10.0.0.7:5432"

static const char *const places[] = { A, B, C };

static void start_more(struct proxy_rig *rig, const char *addresses, const char *backend,
                       const char *limits)
{
    char lines[256];

    snprintf(lines, sizeof lines, "sslmode = \"disable\"\n%s", backend);
    rig_start_route(rig, 1,
                    &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                         .address = addresses,
                                         .backend = lines,
                                         .limits = limits });
    sim_serve(rig->loop, B, SIM_ACCEPTS);
    sim_serve(rig->loop, C, SIM_ACCEPTS);
}

static void start(struct proxy_rig *rig, const char *limits)
{
    start_more(rig, "[\"" A "\", \"" B "\", \"" C "\"]", "", limits);
}

/* A new client; nothing runs yet. */
/* At a later moment than what failed before, or it would count as a failure of this one too. */
static struct sim_peer *come(struct proxy_rig *rig)
{
    sim_run_for(rig->loop, 1);
    return sim_connect(rig->loop, FRONT);
}

static struct sim_peer *knock(struct proxy_rig *rig)
{
    struct sim_peer *client = come(rig);

    sim_write(client, STARTUP);
    return client;
}

/* Where connections were made to, in the order of `places`, as "A", "BC" ...; all are closed.
 */
static const char *made_to(struct proxy_rig *rig)
{
    static char names[8];
    size_t      n = 0;

    sim_settle(rig->loop);
    for (size_t i = 0; i < 3; i++) {
        struct sim_peer *server;

        while (n < 7 && (server = sim_accept(rig->loop, places[i])) != NULL) {
            names[n++] = "ABC"[i];
            sim_close(server);
        }
    }
    names[n] = '\0';
    return names;
}

/* Where a client that comes now ends up. */
static const char *goes_to(struct proxy_rig *rig)
{
    struct sim_peer *client = knock(rig);
    const char      *where = made_to(rig);

    sim_close(client);
    sim_settle(rig->loop);
    return where;
}

static void serve(struct proxy_rig *rig, enum sim_answer a, enum sim_answer b,
                  enum sim_answer c)
{
    sim_serve(rig->loop, A, a);
    sim_serve(rig->loop, B, b);
    sim_serve(rig->loop, C, c);
}

/* ---- order ---- */

static void the_first_address_that_answers_is_taken(void **state)
{
    struct proxy_rig rig;

    start(&rig, "");
    assert_string_equal(goes_to(&rig), "A");
    serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
    assert_string_equal(goes_to(&rig), "B");
    serve(&rig, SIM_REFUSES, SIM_REFUSES, SIM_ACCEPTS);
    assert_string_equal(goes_to(&rig), "C");
    rig_stop(&rig);
}

static void each_silent_address_costs_connect_timeout_and_no_more(void **state)
{
    struct proxy_rig rig;

    start(&rig, "connect_timeout = \"2s\"");
    serve(&rig, SIM_IS_SILENT, SIM_IS_SILENT, SIM_ACCEPTS);
    knock(&rig);
    sim_run_for(rig.loop, SECONDS(4) - 2000);
    assert_string_equal(made_to(&rig), "");
    sim_run_for(rig.loop, 2000);
    assert_string_equal(made_to(&rig), "C");
    rig_stop(&rig);
}

static void where_all_are_dead_the_client_is_told_at_once(void **state)
{
    struct proxy_rig rig;

    start(&rig, "");
    serve(&rig, SIM_REFUSES, SIM_REFUSES, SIM_REFUSES);
    for (int i = 0; i < 5; i++) { /* those that are held back too */
        struct sim_peer *client = knock(&rig);

        sim_settle(rig.loop);
        assert_true(rig_got_error(client, "08001"));
        assert_true(sim_saw_end(client));
    }
    rig_stop(&rig);
}

static void the_time_for_all_addresses_is_login_timeout(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    start(&rig, "connect_timeout = \"5s\"\nlogin_timeout = \"12s\"");
    serve(&rig, SIM_IS_SILENT, SIM_IS_SILENT, SIM_IS_SILENT);
    client = knock(&rig);
    sim_run_for(rig.loop, SECONDS(12) - 2000);
    assert_true(rig_got(client, BYTES("")));
    sim_run_for(rig.loop, 4000);
    assert_true(rig_got_error(client, "57014"));
    rig_stop(&rig);
}

/* ---- back-off ---- */

static void an_address_that_failed_is_tried_last_for_a_second_then_for_twice_as_long(
    void **state)
{
    struct proxy_rig rig;
    uint64_t         hold = SECONDS(1);

    start(&rig, "");
    for (int failure = 0; failure < 8; failure++) {
        serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
        assert_string_equal(goes_to(&rig), "B");
        sim_run_for(rig.loop, hold - 20000);
        sim_serve(rig.loop, A, SIM_IS_SILENT); /* would be noticed */
        assert_string_equal(goes_to(&rig), "B");
        sim_run_for(rig.loop, 20000);
        hold = hold < SECONDS(15) ? 2 * hold : SECONDS(30);
    }
    sim_serve(rig.loop, A, SIM_ACCEPTS);
    assert_string_equal(goes_to(&rig), "A");
    serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS); /* it is as if it had never failed */
    assert_string_equal(goes_to(&rig), "B");
    sim_serve(rig.loop, A, SIM_ACCEPTS);
    sim_run_for(rig.loop, SECONDS(1));
    assert_string_equal(goes_to(&rig), "A");
    rig_stop(&rig);
}

static void an_address_that_is_held_back_is_tried_where_no_other_answers(void **state)
{
    struct proxy_rig rig;

    start(&rig, "");
    serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
    assert_string_equal(goes_to(&rig), "B");
    serve(&rig, SIM_ACCEPTS, SIM_REFUSES, SIM_REFUSES);
    assert_string_equal(goes_to(&rig), "A");
    rig_stop(&rig);
}

/* Its time is up, or somebody else has reached it, while the others are waited for. */
static void an_address_that_was_held_back_at_first_has_its_turn_however_long_it_took(
    void **state)
{
    for (int reached = 0; reached < 2; reached++) {
        struct proxy_rig rig;

        start(&rig, "connect_timeout = \"5s\"");
        serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
        assert_string_equal(goes_to(&rig), "B");
        serve(&rig, SIM_ACCEPTS, SIM_IS_SILENT, SIM_IS_SILENT);
        knock(&rig);
        sim_run_for(rig.loop, SECONDS(2));
        if (reached)
            assert_string_equal(goes_to(&rig), "A");
        sim_run_for(rig.loop, SECONDS(8));
        assert_string_equal(made_to(&rig), "A");
        rig_stop(&rig);
    }
}

/* ---- names ---- */

static void a_name_that_cannot_be_looked_up_is_passed_over(void **state)
{
    struct proxy_rig rig;

    /* c-ares answers for .onion by itself: RFC 7686 */
    start_more(&rig, "[\"nobody.onion:5432\", \"" B "\"]", "", "");
    assert_string_equal(goes_to(&rig), "B");
    rig_stop(&rig);
}

/* A name server that takes questions and says nothing: a real socket, because where nothing is
 * bound the kernel answers at once.  Returns the descriptor. */
static int silent_name_server(char text[24])
{
    struct sockaddr_in name = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          length = sizeof name;
    int                fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_return_code(bind(fd, (struct sockaddr *)&name, sizeof name), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&name, &length), errno);
    snprintf(text, 24, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    return fd;
}

static void a_name_server_that_is_silent_costs_connect_timeout(void **state)
{
    struct proxy_rig rig;
    struct failure   why = { 0 };
    char             server[24];
    int              fd = silent_name_server(server);

    start_more(&rig, "[\"db.example:5432\", \"" B "\"]", "", "connect_timeout = \"2s\"");
    assert_int_equal(resolver_use_servers(rig.worker.resolver, server, &why), FAIL_NONE);
    knock(&rig);
    sim_run_for(rig.loop, SECONDS(2) - 2000);
    assert_string_equal(made_to(&rig), "");
    sim_run_for(rig.loop, 2000);
    assert_string_equal(made_to(&rig), "B");
    rig_stop(&rig);
    close(fd);
}

/* ---- cancel ---- */

static void a_cancel_request_reaches_the_server_byte_for_byte_and_nothing_behind_it(
    void **state)
{
    uint8_t packet[268] = { 0, 0, 0, 0, 0x04, 0xd2, 0x16, 0x2e };

    for (size_t len = 16; len <= 268; len += 63) {
        struct proxy_rig rig;
        struct sim_peer *client, *server;

        packet[2] = (uint8_t)(len >> 8);
        packet[3] = (uint8_t)len;
        rig_start(&rig, len, "");
        client = sim_connect(rig.loop, FRONT);
        sim_cut(client, 5);
        sim_write(client, bytes_of(packet, len));
        sim_write(client, BYTES("X\0\0\0\4"));
        sim_settle(rig.loop);
        server = sim_accept(rig.loop, BACK);
        assert_non_null(server);
        assert_true(rig_got(server, bytes_of(packet, len)));
        assert_false(sim_saw_end(client)); /* it waits until the server has seen to it */
        sim_close(server);
        sim_settle(rig.loop);
        assert_true(sim_saw_end(client));
        assert_true(rig_got(client, BYTES("")));
        rig_stop(&rig);
    }
}

/* The next connection to this place got the request and nothing else; it is closed. */
static void expect_cancel_at(struct proxy_rig *rig, const char *place)
{
    struct sim_peer *server;

    sim_settle(rig->loop);
    server = sim_accept(rig->loop, place);
    assert_non_null(server);
    assert_true(rig_got(server, CANCEL_WIRE));
    sim_close(server);
}

static struct sim_peer *ask_to_cancel(struct proxy_rig *rig)
{
    struct sim_peer *client = come(rig);

    sim_write(client, CANCEL_WIRE);
    sim_settle(rig->loop);
    return client;
}

static void expect_done(struct proxy_rig *rig, struct sim_peer *client)
{
    sim_settle(rig->loop);
    assert_true(sim_saw_end(client));
    assert_true(rig_got(client, BYTES("")));
    assert_string_equal(made_to(rig), "");
}

static void a_cancel_for_nobody_knows_whom_goes_to_each_address(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    start(&rig, "");
    client = ask_to_cancel(&rig);
    for (size_t i = 0; i < 3; i++) {
        assert_false(sim_saw_end(client));
        expect_cancel_at(&rig, places[i]);
    }
    expect_done(&rig, client);
    rig_stop(&rig);
}

static void a_cancel_passes_over_dead_addresses_and_goes_once_to_those_held_back(void **state)
{
    for (int c_is_dead = 0; c_is_dead < 2; c_is_dead++) {
        struct proxy_rig rig;
        struct sim_peer *client;

        start(&rig, "");
        serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
        assert_string_equal(goes_to(&rig), "B");
        serve(&rig, SIM_ACCEPTS, SIM_ACCEPTS, c_is_dead ? SIM_REFUSES : SIM_ACCEPTS);
        client = ask_to_cancel(&rig);
        expect_cancel_at(&rig, B);
        if (!c_is_dead)
            expect_cancel_at(&rig, C);
        expect_cancel_at(&rig, A);
        expect_done(&rig, client);
        rig_stop(&rig);
    }
}

static void a_server_that_sits_on_a_cancel_does_not_keep_it_from_the_others(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client;

    start(&rig, "connect_timeout = \"2s\"");
    client = ask_to_cancel(&rig);
    sim_run_for(rig.loop, SECONDS(2));
    expect_cancel_at(&rig, B);
    expect_cancel_at(&rig, C);
    sim_settle(rig.loop);
    assert_true(sim_saw_end(client));
    rig_stop(&rig);
}

/* One says N, one fails in the handshake: the third gets it. */
static void a_server_that_fails_in_tls_does_not_keep_a_cancel_from_the_others(void **state)
{
    static const struct bytes answers[] = { BYTES_INIT("N"), BYTES_INIT("Sjunk, no TLS"),
                                            BYTES_INIT("S") };
    struct proxy_rig          rig;
    struct talker             server;
    struct sim_peer          *client;

    rig_start_route(&rig, 1,
                    &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                         .address = "[\"" A "\", \"" B "\", \"" C "\"]",
                                         .backend = "sslmode = \"require\"" });
    serve(&rig, SIM_ACCEPTS, SIM_ACCEPTS, SIM_ACCEPTS);
    client = ask_to_cancel(&rig);
    for (size_t i = 0; i < 3; i++) {
        talker_init(&server, sim_accept(rig.loop, places[i]));
        assert_non_null(server.wire);
        assert_true(rig_got(server.wire, SSL_REQUEST));
        sim_write(server.wire, answers[i]);
        if (i == 2)
            talker_start_tls(&server, sim_server_engine(sim_pki()->good.server, NULL));
        talkers_settle(rig.loop, &server, NULL);
        assert_false(sim_saw_end(client));
        if (i < 2)
            talker_fini(&server);
    }
    assert_true(talker_heard(&server, CANCEL_WIRE));
    talker_finish(&server);
    talkers_settle(rig.loop, &server, NULL);
    expect_done(&rig, client);
    talker_fini(&server);
    rig_stop(&rig);
}

static void a_cancel_goes_where_its_session_is_even_if_that_failed_lately(void **state)
{
    struct proxy_rig rig;
    struct sim_peer *client, *server;

    start(&rig, "");
    serve(&rig, SIM_REFUSES, SIM_ACCEPTS, SIM_ACCEPTS);
    client = knock(&rig);
    sim_settle(rig.loop);
    server = sim_accept(rig.loop, B);
    sim_write(server, LOGIN_WIRE);
    sim_settle(rig.loop);
    assert_true(rig_got(client, LOGIN_WIRE));
    serve(&rig, SIM_ACCEPTS, SIM_REFUSES, SIM_ACCEPTS);
    sim_run_for(rig.loop, SECONDS(2));
    sim_serve(rig.loop, A, SIM_REFUSES);
    assert_string_equal(goes_to(&rig), "C");
    serve(&rig, SIM_ACCEPTS, SIM_ACCEPTS, SIM_ACCEPTS);
    client = ask_to_cancel(&rig);
    expect_cancel_at(&rig, B);
    expect_done(&rig, client);
    rig_stop(&rig);
}

/* ---- where from ---- */

static void connections_come_from_each_source_address_in_turn(void **state)
{
    static const char *const sources[] = { "10.9.0.1", "10.9.0.2" };
    struct proxy_rig         rig;

    start_more(&rig, "\"" A "\"", "source_address = [\"10.9.0.1\", \"10.9.0.2\"]", "");
    for (int i = 0; i < 6; i++) {
        char             text[ADDRESS_TEXT];
        struct sim_peer *server;

        knock(&rig);
        sim_settle(rig.loop);
        server = sim_accept(rig.loop, A);
        assert_non_null(server);
        address_format(sim_far_name(server), text);
        assert_memory_equal(text, sources[i % 2], strlen(sources[0]));
    }
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_address_that_answers_is_taken),
        cmocka_unit_test(each_silent_address_costs_connect_timeout_and_no_more),
        cmocka_unit_test(where_all_are_dead_the_client_is_told_at_once),
        cmocka_unit_test(the_time_for_all_addresses_is_login_timeout),
        cmocka_unit_test(
            an_address_that_failed_is_tried_last_for_a_second_then_for_twice_as_long),
        cmocka_unit_test(an_address_that_is_held_back_is_tried_where_no_other_answers),
        cmocka_unit_test(
            an_address_that_was_held_back_at_first_has_its_turn_however_long_it_took),
        cmocka_unit_test(a_name_that_cannot_be_looked_up_is_passed_over),
        cmocka_unit_test(a_name_server_that_is_silent_costs_connect_timeout),
        cmocka_unit_test(
            a_cancel_request_reaches_the_server_byte_for_byte_and_nothing_behind_it),
        cmocka_unit_test(a_cancel_for_nobody_knows_whom_goes_to_each_address),
        cmocka_unit_test(a_cancel_passes_over_dead_addresses_and_goes_once_to_those_held_back),
        cmocka_unit_test(a_server_that_sits_on_a_cancel_does_not_keep_it_from_the_others),
        cmocka_unit_test(a_server_that_fails_in_tls_does_not_keep_a_cancel_from_the_others),
        cmocka_unit_test(a_cancel_goes_where_its_session_is_even_if_that_failed_lately),
        cmocka_unit_test(connections_come_from_each_source_address_in_turn),
    };

    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    sim_pki_free();
    return failures;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "harness/check.h"
#include "session/relay.h"

#define QUERY  BYTES("Q\0\0\0\x06x\0")
#define SYNC   BYTES("S\0\0\0\x04")
#define READY  BYTES("Z\0\0\0\x05I")
#define IN_TXN BYTES("Z\0\0\0\x05T")

static struct relay logged_in(void)
{
    struct relay relay;

    relay_init(&relay);
    relay_from_client(&relay, BYTES("p\0\0\0\x08pwd\0"));
    relay_logged_in(&relay, 'I');
    return relay;
}

static void a_session_is_idle_behind_its_login(void **state)
{
    struct relay relay = logged_in();

    assert_true(relay_is_idle(&relay));
    assert_true(relay_is_between(&relay));
    assert_int_equal(relay_queries(&relay), 0);
}

static void a_query_is_busy_until_ready_for_query_whatever_the_cut(void **state)
{
    for (size_t cut = 1; cut < READY.len; cut++) {
        struct relay relay = logged_in();
        struct bytes rest = READY;

        relay_from_client(&relay, QUERY);
        assert_true(relay_is_busy(&relay));
        assert_true(relay_is_between(&relay));
        relay_from_server(&relay, bytes_first(READY, cut));
        assert_false(relay_is_between(&relay));
        assert_false(relay_is_idle(&relay));
        bytes_skip(&rest, cut);
        relay_from_server(&relay, rest);
        assert_true(relay_is_idle(&relay));
        assert_int_equal(relay_queries(&relay), 1);
    }
}

static void pipelined_queries_are_busy_until_the_last_is_answered(void **state)
{
    struct relay relay = logged_in();

    relay_from_client(&relay, QUERY);
    relay_from_client(&relay, SYNC);
    relay_from_server(&relay, READY);
    assert_true(relay_is_between(&relay));
    assert_false(relay_is_idle(&relay));
    relay_from_server(&relay, READY);
    assert_true(relay_is_idle(&relay));
}

/* Flush has the answers sent; only behind the answer to Sync does the server wait. */
static void a_batch_is_busy_until_its_sync_is_answered(void **state)
{
    static const char *const types[] = { "P", "B", "D", "E", "C" };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct relay relay = logged_in();

        relay_from_client(&relay, bytes_of_string(types[i]));
        relay_from_client(&relay, BYTES("\0\0\0\x04"
                                        "H\0\0\0\x04"));
        assert_true(relay_is_busy(&relay));
        relay_from_server(&relay, BYTES("1\0\0\0\x04"));
        assert_true(relay_is_busy(&relay));
        relay_from_client(&relay, BYTES("S\0\0\0\x04"));
        assert_true(relay_is_busy(&relay));
        relay_from_server(&relay, READY);
        assert_true(relay_is_idle(&relay));
    }
}

/* As libpq does it in the extended protocol: Parse Bind Execute Sync, then data, CopyDone,
 * Sync. */
static void a_copy_from_stdin_ends_idle(void **state)
{
    struct relay relay = logged_in();

    relay_from_client(&relay, BYTES("P\0\0\0\x04"
                                    "B\0\0\0\x04"
                                    "E\0\0\0\x04"
                                    "S\0\0\0\x04"));
    relay_from_server(&relay, BYTES("1\0\0\0\x04"
                                    "2\0\0\0\x04"
                                    "G\0\0\0\x07\0\0\0"));
    assert_true(relay_is_busy(&relay));
    relay_from_client(&relay, BYTES("d\0\0\0\x05x"
                                    "c\0\0\0\x04"
                                    "S\0\0\0\x04"));
    assert_true(relay_is_busy(&relay));
    relay_from_server(&relay, BYTES("C\0\0\0\x04"));
    relay_from_server(&relay, READY);
    assert_true(relay_is_idle(&relay));

    /* the simple protocol has one Query for all of it */
    relay_from_client(&relay, QUERY);
    relay_from_server(&relay, BYTES("G\0\0\0\x07\0\0\0"));
    relay_from_client(&relay, BYTES("d\0\0\0\x05x"
                                    "c\0\0\0\x04"));
    assert_true(relay_is_busy(&relay));
    relay_from_server(&relay, READY);
    assert_true(relay_is_idle(&relay));
}

static void a_client_that_said_terminate_is_done(void **state)
{
    struct relay relay = logged_in();

    relay_from_client(&relay, QUERY);
    assert_false(relay_client_is_done(&relay));
    relay_from_client(&relay, BYTES("X\0\0\0"));
    assert_false(relay_client_is_done(&relay));
    relay_from_client(&relay, BYTES("\x04"));
    assert_true(relay_client_is_done(&relay));
    assert_int_equal(relay.client.count, 1);
}

static void half_a_message_of_the_client_is_not_idle(void **state)
{
    struct relay relay = logged_in();

    relay_from_client(&relay, bytes_first(QUERY, 3));
    assert_true(relay_is_busy(&relay));
    assert_false(relay_is_asked(&relay));
    assert_true(relay_is_between(&relay));
}

static void an_open_transaction_is_neither_busy_nor_idle(void **state)
{
    struct relay relay = logged_in();

    relay_from_client(&relay, QUERY);
    relay_from_server(&relay, IN_TXN);
    assert_false(relay_is_busy(&relay));
    assert_false(relay_is_idle(&relay));
}

static void out_of_step_nothing_may_be_put_in_any_more(void **state)
{
    struct relay relay = logged_in();

    relay_from_server(&relay, BYTES("Z\0\0\0\x01"));
    assert_false(relay_is_between(&relay));
    relay_from_server(&relay, READY);
    assert_false(relay_is_between(&relay));
    assert_false(relay_is_idle(&relay));
}

static void the_relay_is_finished_when_both_pipes_are(void **state)
{
    struct relay relay = logged_in();

    pipe_move(&relay.to_server, PIPE_FLUSHING);
    pipe_move(&relay.to_server, PIPE_FINISHED);
    assert_false(relay_is_finished(&relay));
    pipe_move(&relay.to_client, PIPE_FLUSHING);
    pipe_move(&relay.to_client, PIPE_FINISHED);
    assert_true(relay_is_finished(&relay));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_idle_behind_its_login),
        cmocka_unit_test(a_query_is_busy_until_ready_for_query_whatever_the_cut),
        cmocka_unit_test(pipelined_queries_are_busy_until_the_last_is_answered),
        cmocka_unit_test(a_batch_is_busy_until_its_sync_is_answered),
        cmocka_unit_test(a_copy_from_stdin_ends_idle),
        cmocka_unit_test(a_client_that_said_terminate_is_done),
        cmocka_unit_test(half_a_message_of_the_client_is_not_idle),
        cmocka_unit_test(an_open_transaction_is_neither_busy_nor_idle),
        cmocka_unit_test(out_of_step_nothing_may_be_put_in_any_more),
        cmocka_unit_test(the_relay_is_finished_when_both_pipes_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

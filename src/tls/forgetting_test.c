/* SPDX-License-Identifier: PostgreSQL */
/*
 * What was replaced or is over is nowhere in the process: not in a session, not in the ciphers
 * of the worker, not on a stack, not in memory that OpenSSL has freed.
 */
#include "tls/record_own.h"
#include "tls/wiping.h"

#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/memory.h"

/* ---- what is looked for: one direction's ---- */

struct secrets {
    struct turned secret, key;
};

static struct secrets secrets_of(const struct tls_traffic *traffic)
{
    enum tls_suite suite = (enum tls_suite)traffic->suite;

    return (struct secrets){ memory_turned(traffic->secret, tls_suite_secret_bytes(suite)),
                             memory_turned(traffic->key, tls_suite_key_bytes(suite)) };
}

static void assert_there(const struct secrets *secrets)
{
    assert_true(memory_copies(secrets->secret) >= 1);
    assert_true(memory_copies(secrets->key) >= 1);
}

static void assert_gone(const struct secrets *secrets)
{
    assert_int_equal(memory_copies(secrets->secret), 0);
    assert_int_equal(memory_copies(secrets->key), 0);
}

/* ---- a connection ---- */

static void init_pair(struct tls_pair *pair, const char *suite)
{
    tls_pair_init(pair,
                  tls_pair_engine(
                      &(struct tls_policy_options){ .role = TLS_CLIENT, .ciphersuites = suite },
                      &(struct tls_engine_options){ .wall_s = CERTS_NOW }),
                  tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                                .identity = pki.server },
                                  &(struct tls_engine_options){ .wall_s = CERTS_NOW }));
}

static struct tls_pair new_pair(const char *suite)
{
    struct tls_pair pair;

    init_pair(&pair, suite);
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    return pair;
}

static enum tls_verdict say(struct tls_side *from, struct tls_side *to)
{
    struct buf       plain = BUF_LIMIT(100);
    enum tls_verdict verdict;

    assert_int_equal(tls_engine_write(from->engine, BYTES("text"), &from->out), FAIL_NONE);
    verdict = tls_pair_carry(from, to, SIZE_MAX, &plain);
    buf_fini(&plain);
    return verdict;
}

/* The client takes new keys. */
static void update(void *of)
{
    struct tls_pair *pair = of;
    struct tls_side *from = &pair->client, *to = &pair->server;
    struct buf       plain = BUF_LIMIT(100);

    from->engine->out = &from->out;
    assert_true(tls_record_update(from->engine, false));
    from->engine->out = NULL;
    assert_int_equal(tls_pair_carry(from, to, SIZE_MAX, &plain), TLS_WANT_MORE);
    buf_fini(&plain);
}

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                      "TLS_CHACHA20_POLY1305_SHA256" };
#define SUITES (sizeof suites / sizeof suites[0])

static void keys_that_were_replaced_are_nowhere(void **state)
{
    if (memory_is_sanitized())
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair pair = new_pair(suites[i]);
        struct secrets  up, down;

        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        assert_int_equal(say(&pair.server, &pair.client), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        assert_there(&up);
        memory_call_below(update, &pair);
        assert_gone(&up);
        assert_there(&down);
        up = secrets_of(&pair.server.engine->session.read);
        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        assert_there(&up);
        tls_pair_fini(&pair);
        assert_gone(&up);
        assert_gone(&down);
    }
}

/* Whatever ends the client's direction; the server's may live on. */
static void assert_forgotten_after(void (*end)(struct tls_pair *pair), bool server_goes_on)
{
    if (memory_is_sanitized())
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair pair = new_pair(suites[i]);
        struct secrets  up, down;

        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        end(&pair);
        assert_gone(&up);
        if (server_goes_on)
            assert_there(&down);
        else
            assert_gone(&down);
        tls_pair_fini(&pair);
        assert_gone(&down);
    }
}

static void close_client(struct tls_pair *pair)
{
    struct buf plain = BUF_LIMIT(100);

    tls_engine_close(pair->client.engine, &pair->client.out);
    assert_int_equal(tls_pair_carry(&pair->client, &pair->server, SIZE_MAX, &plain),
                     TLS_CLOSED);
}

static void keys_of_a_direction_that_is_over_are_nowhere(void **state)
{
    assert_forgotten_after(close_client, true);
}

static void forge_a_record(struct tls_pair *pair)
{
    struct buf plain = BUF_LIMIT(100);

    assert_int_equal(tls_engine_write(pair->client.engine, BYTES("text"), &pair->client.out),
                     FAIL_NONE);
    pair->client.out.memory[7] ^= 1;
    assert_int_equal(tls_pair_carry(&pair->client, &pair->server, SIZE_MAX, &plain),
                     TLS_FAILED);
    assert_int_equal(tls_pair_carry(&pair->server, &pair->client, SIZE_MAX, &plain),
                     TLS_FAILED);
}

static void keys_of_a_connection_that_failed_are_nowhere(void **state)
{
    assert_forgotten_after(forge_a_record, false);
}

/* A worker's ciphers live on: what they have taken last is not the end of a connection's. */
static void keys_are_nowhere_though_the_worker_lives(void **state)
{
    if (memory_is_sanitized())
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair     pair = new_pair(suites[i]);
        struct tls_context *client = tls_context_hold(pair.client.engine->context);
        struct tls_context *server = tls_context_hold(pair.server.engine->context);
        struct secrets      up, down;

        memory_call_below(update, &pair);
        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        assert_int_equal(say(&pair.server, &pair.client), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        assert_there(&up);
        assert_there(&down);
        tls_pair_fini(&pair);
        assert_gone(&up);
        assert_gone(&down);
        tls_context_release(client);
        tls_context_release(server);
    }
}

/* A server knows the secrets of what it would send before the client has said it is done. */
static void secrets_of_a_handshake_that_stops_are_nowhere(void **state)
{
    struct tls_pair pair;
    struct turned   down;
    struct bytes    none = { 0 }, in;

    if (memory_is_sanitized())
        skip();
    init_pair(&pair, suites[0]);
    assert_int_equal(tls_engine_handshake(pair.client.engine, &none, &pair.client.out),
                     TLS_WANT_MORE);
    in = buf_bytes(&pair.client.out);
    assert_int_equal(tls_engine_handshake(pair.server.engine, &in, &pair.server.out),
                     TLS_WANT_MORE);
    assert_int_equal(pair.server.engine->handover.written.secret, 32);
    down = memory_turned(pair.server.engine->session.write.secret, 32);
    assert_true(memory_copies(down) >= 1);
    tls_pair_fini(&pair);
    assert_int_equal(memory_copies(down), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_were_replaced_are_nowhere),
        cmocka_unit_test(keys_of_a_direction_that_is_over_are_nowhere),
        cmocka_unit_test(keys_of_a_connection_that_failed_are_nowhere),
        cmocka_unit_test(keys_are_nowhere_though_the_worker_lives),
        cmocka_unit_test(secrets_of_a_handshake_that_stops_are_nowhere),
    };

    if (!tls_wiping_start())
        return 1;
    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

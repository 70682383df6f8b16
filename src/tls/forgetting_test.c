/* SPDX-License-Identifier: PostgreSQL */
/*
 * What was replaced or is over is nowhere in the process: not in a session, not in the ciphers
 * of the worker, not on a stack, not in memory that OpenSSL has freed.
 */
#include "tls/record_own.h"
#include "tls/wiping.h"

#include "harness/check.h"
#include "harness/tls_pair.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static struct tls_pki pki;

static int make_pki(void **state)
{
    tls_pki_init(&pki);
    return 0;
}

static int remove_pki(void **state)
{
    tls_pki_fini(&pki);
    return 0;
}

/* ---- the search ---- */

/* Kept with all bits turned, or it would be found here. */
struct wanted {
    uint8_t turned[TLS_LONGEST_SECRET];
    size_t  len;
};

static struct wanted wanted_of(const uint8_t *secret, size_t len)
{
    struct wanted wanted = { .len = len };

    for (size_t i = 0; i < len; i++)
        wanted.turned[i] = (uint8_t)~secret[i];
    return wanted;
}

static bool stands_at(const uint8_t *at, const struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->len; i++)
        if ((at[i] ^ wanted->turned[i]) != 0xff)
            return false;
    return true;
}

static unsigned count_in(const uint8_t *at, const uint8_t *end, const struct wanted *wanted)
{
    unsigned count = 0;

    while ((size_t)(end - at) >= wanted->len &&
           (at = memchr(at, (uint8_t)~wanted->turned[0],
                        (size_t)(end - at) - wanted->len + 1)) != NULL)
        count += stands_at(at++, wanted);
    return count;
}

/* In all memory of the process that can be written. */
static unsigned copies_of(struct wanted wanted)
{
    FILE    *maps = fopen("/proc/self/maps", "r");
    char     line[512];
    unsigned count = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long low, high;
        char          rights[8];

        if (sscanf(line, "%lx-%lx %7s", &low, &high, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w')
            count += count_in((const uint8_t *)low, (const uint8_t *)high, &wanted);
    }
    fclose(maps);
    return count;
}

/* ---- what is looked for: one direction's ---- */

struct secrets {
    struct wanted secret, key;
};

static struct secrets secrets_of(const struct tls_traffic *traffic)
{
    enum tls_suite suite = (enum tls_suite)traffic->suite;

    return (struct secrets){ wanted_of(traffic->secret, tls_suite_secret_bytes(suite)),
                             wanted_of(traffic->key, tls_suite_key_bytes(suite)) };
}

static void assert_there(const struct secrets *secrets)
{
    assert_true(copies_of(secrets->secret) >= 1);
    assert_true(copies_of(secrets->key) >= 1);
}

static void assert_gone(const struct secrets *secrets)
{
    assert_int_equal(copies_of(secrets->secret), 0);
    assert_int_equal(copies_of(secrets->key), 0);
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

static void update(struct tls_side *from, struct tls_side *to)
{
    struct buf plain = BUF_LIMIT(100);

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
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair pair = new_pair(suites[i]);
        struct secrets  up, down;

        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        assert_int_equal(say(&pair.server, &pair.client), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        assert_there(&up);
        update(&pair.client, &pair.server);
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

static void keys_of_a_direction_that_is_over_are_nowhere(void **state)
{
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair pair = new_pair(suites[i]);
        struct buf      plain = BUF_LIMIT(100);
        struct secrets  up, down;

        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        tls_engine_close(pair.client.engine, &pair.client.out);
        assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain),
                         TLS_CLOSED);
        assert_gone(&up);
        assert_there(&down);
        tls_pair_fini(&pair);
        assert_gone(&down);
    }
}

static void keys_of_a_connection_that_failed_are_nowhere(void **state)
{
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_pair pair = new_pair(suites[i]);
        struct buf      plain = BUF_LIMIT(100);
        struct secrets  up, down;

        assert_int_equal(say(&pair.client, &pair.server), TLS_WANT_MORE);
        up = secrets_of(&pair.server.engine->session.read);
        down = secrets_of(&pair.server.engine->session.write);
        assert_int_equal(tls_engine_write(pair.client.engine, BYTES("text"), &pair.client.out),
                         FAIL_NONE);
        pair.client.out.memory[7] ^= 1;
        assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain),
                         TLS_FAILED);
        assert_int_equal(tls_pair_carry(&pair.server, &pair.client, SIZE_MAX, &plain),
                         TLS_FAILED);
        assert_gone(&up);
        assert_gone(&down);
        tls_pair_fini(&pair);
    }
}

/* A server knows the secrets of what it would send before the client has said it is done. */
static void secrets_of_a_handshake_that_stops_are_nowhere(void **state)
{
    struct tls_pair pair;
    struct wanted   down;
    struct bytes    none = { 0 }, in;

    if (IS_SANITIZED)
        skip();
    init_pair(&pair, suites[0]);
    assert_int_equal(tls_engine_handshake(pair.client.engine, &none, &pair.client.out),
                     TLS_WANT_MORE);
    in = buf_bytes(&pair.client.out);
    assert_int_equal(tls_engine_handshake(pair.server.engine, &in, &pair.server.out),
                     TLS_WANT_MORE);
    assert_int_equal(pair.server.engine->handover.written, 32);
    down = wanted_of(pair.server.engine->session.write.secret, 32);
    assert_true(copies_of(down) >= 1);
    tls_pair_fini(&pair);
    assert_int_equal(copies_of(down), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_were_replaced_are_nowhere),
        cmocka_unit_test(keys_of_a_direction_that_is_over_are_nowhere),
        cmocka_unit_test(keys_of_a_connection_that_failed_are_nowhere),
        cmocka_unit_test(secrets_of_a_handshake_that_stops_are_nowhere),
    };

    if (!tls_wiping_start())
        return 1;
    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}

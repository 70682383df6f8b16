/* SPDX-License-Identifier: PostgreSQL */
#include "scram/client.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "scram/server.h"

#include <stdio.h>

/* RFC 7677 section 3. */
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER_FIRST "r=" CLIENT_NONCE SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define CLIENT_FINAL                                                                           \
    "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const struct scram_client_options plain = { .flag = SCRAM_UNABLE,
                                                   .nonce = CLIENT_NONCE };

static enum fail finish(struct scram_client *client, struct buf *out, struct failure *why)
{
    struct scram_keys keys;
    enum fail         rc = scram_keys_make(&keys, BYTES("pencil"), &client->stretch, why);

    if (rc == FAIL_NONE)
        rc = scram_client_final(client, &keys, out, why);
    scram_keys_wipe(&keys);
    return rc;
}

static void the_exchange_is_that_of_rfc_7677(void **state)
{
    struct scram_client client;
    struct buf          out = BUF_LIMIT(1000);

    scram_client_init(&client, &plain);
    assert_string_equal(scram_client_mechanism(&client), "SCRAM-SHA-256");
    assert_int_equal(scram_client_first(&client, &out, NULL), FAIL_NONE);
    assert_buf_is(&out, BYTES("n,,n=,r=" CLIENT_NONCE));
    buf_clear(&out);
    /* the RFC's client says its name, ours does not */
    buf_clear(&client.auth_message);
    buf_put(&client.auth_message, BYTES("n=user,r=" CLIENT_NONCE));
    assert_int_equal(scram_client_read_first(&client, BYTES(SERVER_FIRST), NULL), FAIL_NONE);
    assert_int_equal(client.stretch.iterations, 4096);
    assert_int_equal(finish(&client, &out, NULL), FAIL_NONE);
    assert_buf_is(&out, BYTES(CLIENT_FINAL));
    assert_int_equal(scram_client_read_final(&client, BYTES(SERVER_FINAL), NULL), FAIL_NONE);
    scram_client_fini(&client);
    buf_fini(&out);
}

static enum fail read_first(const char *message, struct failure *why)
{
    struct scram_client client;
    struct buf          out = BUF_LIMIT(1000);
    enum fail           rc;

    scram_client_init(&client, &plain);
    assert_int_equal(scram_client_first(&client, &out, NULL), FAIL_NONE);
    rc = scram_client_read_first(&client, bytes_of_string(message), why);
    scram_client_fini(&client);
    buf_fini(&out);
    return rc;
}

static void a_first_message_of_the_server_that_is_not_the_protocol_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "r",
        "r=",
        "r=" CLIENT_NONCE,
        "r=" CLIENT_NONCE ",s=AA==,i=1",  /* nothing of its own */
        "r=x" SERVER_NONCE ",s=AA==,i=1", /* not ours in front */
        "r=" CLIENT_NONCE "a\x01"
        "b,s=AA==,i=1",                /* not printable */
        "r=" CLIENT_NONCE "x,s=,i=1",  /* no salt */
        "r=" CLIENT_NONCE "x,s=A,i=1", /* no base64 */
        "r=" CLIENT_NONCE "x,s=AA==,i=0",
        "r=" CLIENT_NONCE "x,s=AA==,i=-1",
        "r=" CLIENT_NONCE "x,s=AA==,i=1000001", /* out of our bounds */
        "r=" CLIENT_NONCE "x,s=AA==,i=99999999999999",
        "r=" CLIENT_NONCE "x,i=1,s=AA==",     /* another order */
        "m=x,r=" CLIENT_NONCE "x,s=AA==,i=1", /* an extension that is demanded */
    };
    static const char front[] = "r=" CLIENT_NONCE "x,s=AA==,i=1,x=";
    char              longest[SCRAM_MESSAGE_MOST + 2];
    struct failure    why = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(read_first(bad[i], &why), FAIL_PROTOCOL);
    assert_int_equal(read_first("r=" CLIENT_NONCE "x,s=AA==,i=1,x=more", &why), FAIL_NONE);
    snprintf(longest, sizeof longest, "%s%0*d", front,
             (int)(SCRAM_MESSAGE_MOST - strlen(front)), 0);
    assert_int_equal(strlen(longest), SCRAM_MESSAGE_MOST);
    assert_int_equal(read_first(longest, &why), FAIL_NONE);
    strcat(longest, "0");
    assert_int_equal(read_first(longest, &why), FAIL_PROTOCOL);
}

static void a_nonce_of_the_server_has_a_longest_length(void **state)
{
    char           message[2 * SCRAM_NONCE_MOST], *at = message;
    struct failure why = { 0 };

    at += sprintf(at, "r=" CLIENT_NONCE);
    memset(at, 'x', SCRAM_NONCE_MOST);
    strcpy(at + SCRAM_NONCE_MOST, ",s=AA==,i=1");
    assert_int_equal(read_first(message, &why), FAIL_NONE);
    memset(at, 'x', SCRAM_NONCE_MOST + 1);
    strcpy(at + SCRAM_NONCE_MOST + 1, ",s=AA==,i=1");
    assert_int_equal(read_first(message, &why), FAIL_PROTOCOL);
}

static void a_server_that_does_not_know_the_verifier_is_refused(void **state)
{
    static const struct {
        const char *message;
        enum fail   rc;
    } cases[] = {
        { "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", FAIL_PROTOCOL },
        { "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95GA=", FAIL_REFUSED },
        { "v=", FAIL_PROTOCOL },
        { "v=AAAA", FAIL_PROTOCOL },
        { "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", FAIL_PROTOCOL },
        { "", FAIL_PROTOCOL },
        { "e=invalid-proof", FAIL_REFUSED },
    };
    static const struct scram_client nothing;
    struct scram_client              client;
    struct buf                       out = BUF_LIMIT(1000);
    struct failure                   why = { 0 };

    scram_client_init(&client, &plain);
    assert_int_equal(scram_client_first(&client, &out, NULL), FAIL_NONE);
    assert_int_equal(scram_client_read_first(&client, BYTES(SERVER_FIRST), NULL), FAIL_NONE);
    assert_int_equal(finish(&client, &out, NULL), FAIL_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            scram_client_read_final(&client, bytes_of_string(cases[i].message), &why),
            cases[i].rc);
    scram_client_fini(&client);
    assert_memory_equal(&client, &nothing, sizeof nothing); /* what it expected is forgotten */
    buf_fini(&out);
}

static void client_and_server_agree_with_every_flag_and_hash(void **state)
{
    static const uint8_t         hash[SCRAM_BINDING_MOST] = { 1, 2, 3 };
    const struct scram_stretch   stretch = { 10, 4, "salt" };
    struct scram_verifier        verifier;
    static const enum scram_flag flags[] = { SCRAM_UNABLE, SCRAM_UNOFFERED, SCRAM_BOUND };

    assert_int_equal(scram_verifier_make(&verifier, BYTES("pencil"), &stretch, NULL),
                     FAIL_NONE);
    for (size_t i = 0; i < 3 * sizeof hash; i++) {
        const struct scram_client_options mine = { .flag = flags[i % 3],
                                                   .hash = bytes_of(hash, i / 3 + 1) };
        const struct scram_server_options its = { .offers_plus = mine.flag == SCRAM_BOUND,
                                                  .hash = mine.hash };
        struct scram_client               client;
        struct scram_server               server;
        struct buf                        out = BUF_LIMIT(1000);
        uint8_t                           key[SCRAM_KEY_LEN];

        scram_client_init(&client, &mine);
        scram_server_init(&server, &its);
        assert_int_equal(scram_client_first(&client, &out, NULL), FAIL_NONE);
        assert_int_equal(
            scram_server_read_first(&server, scram_client_mechanism(&client), buf_bytes(&out)),
            SCRAM_GOES_ON);
        buf_clear(&out);
        assert_int_equal(scram_server_first(&server, &stretch, &out, NULL), FAIL_NONE);
        assert_int_equal(scram_client_read_first(&client, buf_bytes(&out), NULL), FAIL_NONE);
        buf_clear(&out);
        assert_int_equal(finish(&client, &out, NULL), FAIL_NONE);
        assert_int_equal(
            scram_server_read_final(&server, buf_bytes(&out), &verifier, key, NULL),
            SCRAM_GOES_ON);
        buf_clear(&out);
        assert_int_equal(scram_server_final(&server, &verifier, &out, NULL), FAIL_NONE);
        assert_int_equal(scram_client_read_final(&client, buf_bytes(&out), NULL), FAIL_NONE);
        scram_client_fini(&client);
        scram_server_fini(&server);
        buf_fini(&out);
    }
}

static void nonces_differ(void **state)
{
    const struct scram_client_options options = { .flag = SCRAM_UNABLE };
    struct scram_client               a, b;
    struct buf                        out = BUF_LIMIT(1000);

    scram_client_init(&a, &options);
    scram_client_init(&b, &options);
    assert_int_equal(scram_client_first(&a, &out, NULL), FAIL_NONE);
    assert_int_equal(scram_client_first(&b, &out, NULL), FAIL_NONE);
    assert_int_equal(a.nonce.len, 24);
    assert_memory_not_equal(buf_bytes(&a.nonce).p, buf_bytes(&b.nonce).p, 24);
    scram_client_fini(&a);
    scram_client_fini(&b);
    buf_fini(&out);
}

static enum fail whole_exchange(void)
{
    struct scram_client client;
    struct buf          out = BUF_LIMIT(1000);
    enum fail           rc;

    scram_client_init(&client, &plain);
    rc = scram_client_first(&client, &out, NULL);
    if (rc == FAIL_NONE)
        rc = scram_client_read_first(&client, BYTES(SERVER_FIRST), NULL);
    if (rc == FAIL_NONE)
        rc = finish(&client, &out, NULL);
    scram_client_fini(&client);
    buf_fini(&out);
    return rc;
}

static void every_failing_allocation_is_a_failure(void **state)
{
    unsigned n;

    for (n = 1; n < 100; n++) {
        enum fail rc;

        alloc_fail_at(n);
        rc = whole_exchange();
        if (!alloc_has_failed()) {
            assert_int_equal(rc, FAIL_NONE);
            break;
        }
        assert_int_equal(rc, FAIL_MEMORY);
    }
    assert_in_range(n, 3, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exchange_is_that_of_rfc_7677),
        cmocka_unit_test(a_first_message_of_the_server_that_is_not_the_protocol_is_refused),
        cmocka_unit_test(a_nonce_of_the_server_has_a_longest_length),
        cmocka_unit_test(a_server_that_does_not_know_the_verifier_is_refused),
        cmocka_unit_test(client_and_server_agree_with_every_flag_and_hash),
        cmocka_unit_test(nonces_differ),
        cmocka_unit_test(every_failing_allocation_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

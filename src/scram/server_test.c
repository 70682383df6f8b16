/* SPDX-License-Identifier: PostgreSQL */
#include "scram/server.h"

#include "base/base64.h"
#include "crypto/sha256.h"
#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>

/* RFC 7677 section 3. */
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define BOTH_NONCES  CLIENT_NONCE SERVER_NONCE
#define CLIENT_FIRST "n,,n=user,r=" CLIENT_NONCE
#define PROOF        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define CLIENT_FINAL "c=biws,r=" BOTH_NONCES ",p=" PROOF
#define PENCIL                                                                                 \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

#define SCRAM "SCRAM-SHA-256"
#define PLUS  "SCRAM-SHA-256-PLUS"
#define HASH  "0123456789abcdef0123456789abcdef"

static const struct scram_server_options plain = { .nonce = SERVER_NONCE };
static const struct scram_server_options bound = { .offers_plus = true,
                                                   .hash = BYTES_INIT(HASH),
                                                   .nonce = SERVER_NONCE };

static struct scram_verifier pencil(void)
{
    struct scram_verifier verifier;

    assert_int_equal(scram_verifier_read(&verifier, BYTES(PENCIL), NULL), FAIL_NONE);
    return verifier;
}

static enum scram_verdict begin(struct scram_server               *server,
                                const struct scram_server_options *options,
                                const char *mechanism, struct bytes first, struct buf *out)
{
    struct scram_verifier verifier = pencil();
    enum scram_verdict    verdict;

    scram_server_init(server, options);
    verdict = scram_server_read_first(server, mechanism, first);
    if (verdict == SCRAM_GOES_ON)
        assert_int_equal(scram_server_first(server, &verifier.stretch, out, NULL), FAIL_NONE);
    return verdict;
}

static void the_exchange_is_that_of_rfc_7677(void **state)
{
    struct scram_verifier verifier = pencil();
    struct scram_server   server;
    struct buf            out = BUF_LIMIT(1000);
    uint8_t               client_key[SCRAM_KEY_LEN], stored[SCRAM_KEY_LEN];

    assert_int_equal(begin(&server, &plain, SCRAM, BYTES(CLIENT_FIRST), &out), SCRAM_GOES_ON);
    assert_buf_is(&out, BYTES("r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    assert_int_equal(
        scram_server_read_final(&server, BYTES(CLIENT_FINAL), &verifier, client_key, NULL),
        SCRAM_GOES_ON);
    assert_int_equal(sha256(stored, bytes_of(client_key, SCRAM_KEY_LEN), NULL), FAIL_NONE);
    assert_memory_equal(stored, verifier.stored_key, SCRAM_KEY_LEN);
    buf_clear(&out);
    assert_int_equal(scram_server_final(&server, &verifier, &out, NULL), FAIL_NONE);
    assert_buf_is(&out, BYTES("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    scram_server_fini(&server);
    buf_fini(&out);
}

static void first_messages_are_refused_as_postgresql_does(void **state)
{
    static const struct {
        const struct scram_server_options *options;
        const char                        *mechanism, *message, *sqlstate;
    } cases[] = {
        { &plain, PLUS, "p=tls-server-end-point,,n=,r=abc", "08P01" }, /* not offered */
        { &plain, "SCRAM-SHA-1", CLIENT_FIRST, "08P01" },
        { &plain, "", CLIENT_FIRST, "08P01" },
        { &plain, SCRAM, "", "08P01" },
        { &plain, SCRAM, "n", "08P01" },
        { &plain, SCRAM, "n,", "08P01" },
        { &plain, SCRAM, "n,,", "08P01" },
        { &plain, SCRAM, "n,,n=", "08P01" },
        { &plain, SCRAM, "n,,n=,r=", "08P01" },
        { &plain, SCRAM, "n,,r=abc", "08P01" },
        { &plain, SCRAM, "x,,n=,r=abc", "08P01" },
        { &plain, SCRAM, "n,x,n=,r=abc", "08P01" },
        { &plain, SCRAM, "n,,n=,r=a\tc", "08P01" },
        { &plain, SCRAM, "p=tls-server-end-point,,n=,r=abc", "08P01" },
        { &plain, SCRAM, "n,a=bob,n=,r=abc", "0A000" },
        { &plain, SCRAM, "n,,m=x,n=,r=abc", "0A000" },
        { &bound, SCRAM, "y,,n=,r=abc", "28000" },
        { &bound, PLUS, "n,,n=,r=abc", "08P01" },
        { &bound, PLUS, "y,,n=,r=abc", "08P01" },
        { &bound, PLUS, "p=tls-unique,,n=,r=abc", "08P01" },
        { &bound, PLUS, "p=,,n=,r=abc", "08P01" },
        { &bound, PLUS, "p=tls-server-end-point,a=bob,n=,r=abc", "0A000" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_server server;
        struct buf          out = BUF_LIMIT(1000);

        assert_int_equal(begin(&server, cases[i].options, cases[i].mechanism,
                               bytes_of_string(cases[i].message), &out),
                         SCRAM_REFUSED);
        assert_string_equal(server.refusal.sqlstate, cases[i].sqlstate);
        assert_non_null(server.refusal.message);
        scram_server_fini(&server);
        buf_fini(&out);
    }
}

static void good_first_messages_go_on(void **state)
{
    static const struct {
        const struct scram_server_options *options;
        const char                        *mechanism, *message;
    } cases[] = {
        { &plain, SCRAM, "n,,n=,r=abc" },
        { &plain, SCRAM, "y,,n=,r=abc" },
        { &plain, SCRAM, "n,,n=somebody else,r=abc" },
        { &plain, SCRAM, "n,,n=,r=abc,x=extension" },
        { &bound, SCRAM, "n,,n=,r=abc" },
        { &bound, PLUS, "p=tls-server-end-point,,n=,r=abc" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_server server;
        struct buf          out = BUF_LIMIT(1000);

        assert_int_equal(begin(&server, cases[i].options, cases[i].mechanism,
                               bytes_of_string(cases[i].message), &out),
                         SCRAM_GOES_ON);
        scram_server_fini(&server);
        buf_fini(&out);
    }
}

static void nonces_and_messages_have_a_longest_length(void **state)
{
    static char         message[2 * SCRAM_MESSAGE_MOST];
    struct scram_server server;
    struct buf          out = BUF_LIMIT(4000);

    for (size_t extra = 0; extra < 2; extra++) {
        size_t at = (size_t)sprintf(message, "n,,n=,r=");

        memset(message + at, 'x', SCRAM_NONCE_MOST + extra);
        assert_int_equal(begin(&server, &plain, SCRAM,
                               bytes_of(message, at + SCRAM_NONCE_MOST + extra), &out),
                         extra == 0 ? SCRAM_GOES_ON : SCRAM_REFUSED);
        scram_server_fini(&server);
    }
    memcpy(message, "n,,n=,r=abc,x=", 14);
    memset(message + 14, 'x', sizeof message - 14);
    assert_int_equal(begin(&server, &plain, SCRAM, bytes_of(message, SCRAM_MESSAGE_MOST), &out),
                     SCRAM_GOES_ON);
    scram_server_fini(&server);
    assert_int_equal(
        begin(&server, &plain, SCRAM, bytes_of(message, SCRAM_MESSAGE_MOST + 1), &out),
        SCRAM_REFUSED);
    assert_string_equal(server.refusal.sqlstate, "08P01");
    scram_server_fini(&server);
    assert_int_equal(begin(&server, &plain, SCRAM, BYTES("n,,n=\0,r=abc"), &out),
                     SCRAM_REFUSED);
    scram_server_fini(&server);
    buf_fini(&out);
}

static enum scram_verdict answer(struct scram_server *server, struct bytes final, bool is_known)
{
    static const uint8_t  zero[SCRAM_KEY_LEN];
    struct scram_verifier verifier = pencil();
    struct buf            out = BUF_LIMIT(1000);
    uint8_t               key[SCRAM_KEY_LEN];
    enum scram_verdict    verdict;

    memset(key, 1, sizeof key);
    assert_int_equal(begin(server, &plain, SCRAM, BYTES(CLIENT_FIRST), &out), SCRAM_GOES_ON);
    verdict = scram_server_read_final(server, final, is_known ? &verifier : NULL, key, NULL);
    if (verdict != SCRAM_GOES_ON)
        assert_memory_equal(key, zero, sizeof key);
    buf_fini(&out);
    scram_server_fini(server);
    return verdict;
}

static const char *code_of(const char *final)
{
    static struct scram_refusal last;
    struct scram_server         server;

    scram_server_init(&server, &plain);
    {
        struct scram_verifier verifier = pencil();
        struct buf            out = BUF_LIMIT(1000);
        uint8_t               key[SCRAM_KEY_LEN];

        assert_int_equal(begin(&server, &plain, SCRAM, BYTES(CLIENT_FIRST), &out),
                         SCRAM_GOES_ON);
        assert_int_equal(
            scram_server_read_final(&server, bytes_of_string(final), &verifier, key, NULL),
            SCRAM_REFUSED);
        last = server.refusal;
        buf_fini(&out);
    }
    scram_server_fini(&server);
    return last.sqlstate;
}

static void final_messages_are_refused_as_postgresql_does(void **state)
{
    static const struct {
        const char *message, *sqlstate;
    } cases[] = {
        { "", "08P01" },
        { "c=biws", "08P01" },
        { "c=biws,r=" BOTH_NONCES, "08P01" },
        { "c=biws,r=" BOTH_NONCES ",p=", "08P01" },
        { "c=biws,r=" BOTH_NONCES ",p=AAAA", "08P01" },
        { "c=biws,r=" BOTH_NONCES ",p=" PROOF ",x=y", "08P01" },
        { "c=biws,r=" BOTH_NONCES "x,p=" PROOF, "08P01" },
        { "c=biws,r=" CLIENT_NONCE ",p=" PROOF, "08P01" },
        { "c=eSws,r=" BOTH_NONCES ",p=" PROOF, "08P01" }, /* y, but it said n */
        { "c=biw=,r=" BOTH_NONCES ",p=" PROOF, "08P01" },
        { "r=" BOTH_NONCES ",c=biws,p=" PROOF, "08P01" },
        { "c=biws,r=" BOTH_NONCES ",1=x,p=" PROOF, "08P01" },
        { "c=biws,r=" BOTH_NONCES ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "28P01" },
        { "c=biws,r=" BOTH_NONCES ",x=y,p=" PROOF, "28P01" }, /* it is signed too */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(code_of(cases[i].message), cases[i].sqlstate);
}

static void every_cut_of_a_message_is_refused(void **state)
{
    struct scram_server server;

    for (size_t cut = 0; cut < BYTES(CLIENT_FINAL).len; cut++)
        assert_int_equal(answer(&server, bytes_first(BYTES(CLIENT_FINAL), cut), true),
                         SCRAM_REFUSED);
    assert_int_equal(answer(&server, BYTES(CLIENT_FINAL), true), SCRAM_GOES_ON);
}

static void nobody_has_no_password_that_fits(void **state)
{
    struct scram_server server;

    assert_int_equal(answer(&server, BYTES(CLIENT_FINAL), false), SCRAM_REFUSED);
}

/* The proof is right, but for another server's certificate. */
static void another_certificate_fails_the_binding_check(void **state)
{
    struct scram_verifier verifier = pencil();
    struct scram_server   server;
    struct buf            out = BUF_LIMIT(1000), final = BUF_LIMIT(1000);
    uint8_t               key[SCRAM_KEY_LEN];

    assert_int_equal(
        begin(&server, &bound, PLUS, BYTES("p=tls-server-end-point,,n=,r=" CLIENT_NONCE), &out),
        SCRAM_GOES_ON);
    buf_put(&final, BYTES("c="));
    scram_put_binding(&final, SCRAM_BOUND, BYTES("another hash"));
    buf_put(&final, BYTES(",r=" BOTH_NONCES ",p=" PROOF));
    assert_int_equal(scram_server_read_final(&server, buf_bytes(&final), &verifier, key, NULL),
                     SCRAM_REFUSED);
    assert_string_equal(server.refusal.sqlstate, "28000");
    assert_string_equal(server.refusal.message, "SCRAM channel binding check failed");
    scram_server_fini(&server);
    buf_fini(&out);
    buf_fini(&final);
}

static void without_memory_nobody_gets_in(void **state)
{
    unsigned n;

    for (n = 1; n < 100; n++) {
        struct scram_verifier verifier = pencil();
        struct scram_server   server;
        struct buf            out = BUF_LIMIT(1000);
        uint8_t               key[SCRAM_KEY_LEN];
        enum fail             rc;

        scram_server_init(&server, &plain);
        alloc_fail_at(n);
        assert_int_equal(scram_server_read_first(&server, SCRAM, BYTES(CLIENT_FIRST)),
                         SCRAM_GOES_ON);
        rc = scram_server_first(&server, &verifier.stretch, &out, NULL);
        if (rc == FAIL_NONE)
            rc = scram_server_read_final(&server, BYTES(CLIENT_FINAL), &verifier, key, NULL) ==
                         SCRAM_GOES_ON
                     ? FAIL_NONE
                     : FAIL_MEMORY;
        scram_server_fini(&server);
        buf_fini(&out);
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
        cmocka_unit_test(first_messages_are_refused_as_postgresql_does),
        cmocka_unit_test(good_first_messages_go_on),
        cmocka_unit_test(nonces_and_messages_have_a_longest_length),
        cmocka_unit_test(final_messages_are_refused_as_postgresql_does),
        cmocka_unit_test(every_cut_of_a_message_is_refused),
        cmocka_unit_test(nobody_has_no_password_that_fits),
        cmocka_unit_test(another_certificate_fails_the_binding_check),
        cmocka_unit_test(without_memory_nobody_gets_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

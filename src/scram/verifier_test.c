/* SPDX-License-Identifier: PostgreSQL */
#include "scram/verifier.h"

#include "base/base64.h"
#include "base/secret.h"
#include "crypto/sha256.h"
#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/memory.h"

/* The password "pencil" of RFC 7677 as PostgreSQL keeps it. */
#define PENCIL                                                                                 \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void a_verifier_is_what_its_password_makes(void **state)
{
    struct scram_verifier verifier, made;
    struct buf            text = BUF_LIMIT(SCRAM_VERIFIER_MOST);

    assert_int_equal(scram_verifier_read(&verifier, BYTES(PENCIL), NULL), FAIL_NONE);
    assert_int_equal(verifier.stretch.iterations, 4096);
    assert_int_equal(verifier.stretch.salt_len, 16);
    assert_int_equal(scram_verifier_make(&made, BYTES("pencil"), &verifier.stretch, NULL),
                     FAIL_NONE);
    scram_verifier_write(&text, &made);
    assert_buf_is(&text, BYTES(PENCIL));
    buf_fini(&text);
}

static void a_text_that_is_cut_or_longer_is_refused(void **state)
{
    struct scram_verifier verifier;
    struct failure        why = { 0 };

    for (size_t cut = 0; cut < BYTES(PENCIL).len; cut++)
        assert_int_equal(scram_verifier_read(&verifier, bytes_first(BYTES(PENCIL), cut), &why),
                         FAIL_CONFIG);
    assert_int_equal(scram_verifier_read(&verifier, BYTES(PENCIL " "), &why), FAIL_CONFIG);
    assert_null(strstr(why.text, "WG5d")); /* it goes into logs */
}

static void texts_out_of_bounds_are_refused(void **state)
{
#define KEYS                                                                                   \
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                           \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    static const char *const bad[] = {
        "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$-1:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$04096:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$1000001:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$4294967297:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$4096:" KEYS,
        "SCRAM-SHA-256$4096:W22" KEYS,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AAAA:AAAA",
        "md5f6fdffe48c908deb0f4c3bd36c032e72",
        "pencil",
    };
    struct scram_verifier verifier;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(scram_verifier_read(&verifier, bytes_of_string(bad[i]), NULL),
                         FAIL_CONFIG);
    assert_int_equal(
        scram_verifier_read(&verifier, BYTES("SCRAM-SHA-256$1000000:AA==" KEYS), NULL),
        FAIL_NONE);
}

static void a_salt_has_a_longest_length(void **state)
{
    uint8_t              salt[SCRAM_SALT_MOST + 1] = { 0 };
    struct scram_stretch stretch;

    for (size_t len = 1; len <= sizeof salt; len++) {
        struct buf text = BUF_LIMIT(400);

        base64_put(&text, bytes_of(salt, len));
        assert_int_equal(scram_stretch_read(&stretch, buf_bytes(&text), BYTES("1")),
                         len <= SCRAM_SALT_MOST);
        buf_fini(&text);
    }
}

static void stretches_are_compared_whole(void **state)
{
    struct scram_stretch a = { 4096, 3, "abc" }, b = a;

    assert_true(scram_stretch_equal(&a, &b));
    b.iterations = 4095;
    assert_false(scram_stretch_equal(&a, &b));
    b = a;
    b.salt[2] = 'd';
    assert_false(scram_stretch_equal(&a, &b));
    b = a;
    b.salt_len = 2;
    assert_false(scram_stretch_equal(&a, &b));
    b = a;
    b.salt[3] = 'x'; /* behind the salt */
    assert_true(scram_stretch_equal(&a, &b));
}

static void without_memory_there_are_no_keys(void **state)
{
    struct scram_stretch  stretch = { 1, 1, "s" };
    struct scram_verifier verifier;
    struct scram_keys     keys, zero = { 0 };

    alloc_fail_at(1);
    assert_int_equal(scram_verifier_make(&verifier, BYTES("p"), &stretch, NULL), FAIL_MEMORY);
    assert_true(alloc_has_failed());
    memset(&keys, 1, sizeof keys);
    alloc_fail_at(1);
    assert_int_equal(scram_keys_make(&keys, BYTES("p"), &stretch, NULL), FAIL_MEMORY);
    assert_true(alloc_has_failed());
    assert_memory_equal(&keys, &zero, sizeof keys);
}

static void make_keys(void *keys)
{
    const struct scram_stretch stretch = { 10, 4, "salt" };

    assert_int_equal(scram_keys_make(keys, BYTES("pencil"), &stretch, NULL), FAIL_NONE);
}

/* The salted password is as good as the password itself. */
static void what_keys_are_made_of_is_nowhere(void **state)
{
    struct scram_keys keys;
    uint8_t           salted[SCRAM_KEY_LEN];
    struct turned     wanted;

    if (memory_is_sanitized())
        skip();
    assert_int_equal(sha256_pbkdf2(salted, BYTES("pencil"), BYTES("salt"), 10, NULL),
                     FAIL_NONE);
    wanted = memory_turned(salted, sizeof salted);
    assert_true(memory_copies(wanted) >= 1);
    secret_wipe(salted, sizeof salted);
    memory_call_below(make_keys, &keys);
    assert_int_equal(memory_copies(wanted), 0);
    wanted = memory_turned(keys.client_key, SCRAM_KEY_LEN);
    scram_keys_wipe(&keys);
    assert_int_equal(memory_copies(wanted), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verifier_is_what_its_password_makes),
        cmocka_unit_test(a_text_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(texts_out_of_bounds_are_refused),
        cmocka_unit_test(a_salt_has_a_longest_length),
        cmocka_unit_test(stretches_are_compared_whole),
        cmocka_unit_test(without_memory_there_are_no_keys),
        cmocka_unit_test(what_keys_are_made_of_is_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/equal.h"
#include "crypto/md5.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

#include "harness/check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

static void assert_is_hex(const uint8_t out[SHA256_LEN], const char *hex)
{
    char text[2 * SHA256_LEN + 1];

    for (size_t i = 0; i < SHA256_LEN; i++)
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(text, hex);
}

/* FIPS 180-2 appendix B. */
static void the_hash_is_sha_256(void **state)
{
    uint8_t out[SHA256_LEN];

    assert_int_equal(sha256(out, BYTES("abc"), NULL), FAIL_NONE);
    assert_is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(out, bytes_of(NULL, 0), NULL), FAIL_NONE);
    assert_is_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231 sections 4.3 and 4.7: a short key, and one that is longer than a block. */
static void the_mac_is_that_of_the_rfc(void **state)
{
    uint8_t out[SHA256_LEN], key[131];

    assert_int_equal(
        sha256_hmac(out, BYTES("Jefe"), BYTES("what do ya want for nothing?"), NULL),
        FAIL_NONE);
    assert_is_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_int_equal(
        sha256_hmac(out, bytes_of(key, sizeof key),
                    BYTES("Test Using Larger Than Block-Size Key - Hash Key First"), NULL),
        FAIL_NONE);
    assert_is_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void assert_mac(struct bytes key, struct bytes b, const char *hex)
{
    uint8_t out[SHA256_LEN];

    assert_int_equal(sha256_hmac(out, key, b, NULL), FAIL_NONE);
    assert_is_hex(out, hex);
}

/* Of nothing with nothing, after another key, too: none is left of that. */
static void no_key_is_one_as_well(void **state)
{
    const char *of_nothing = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";

    assert_mac(bytes_of(NULL, 0), bytes_of(NULL, 0), of_nothing);
    assert_mac(BYTES("Jefe"), BYTES("what do ya want for nothing?"),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_mac(bytes_of(NULL, 0), bytes_of(NULL, 0), of_nothing);
    assert_mac(BYTES(""), BYTES(""), of_nothing);
}

/* cmocka's assertions are for the thread of the test alone. */
static void *hash_and_sign(void *right)
{
    uint8_t out[SHA256_LEN], first[SHA256_LEN] = { 0 };

    for (uint8_t i = 0; i < 100; i++) {
        struct bytes key = bytes_of(&i, 1);

        if (sha256(out, key, NULL) != FAIL_NONE ||
            sha256_hmac(out, key, BYTES("m"), NULL) != FAIL_NONE ||
            sha256_hmac(first, key, BYTES("m"), NULL) != FAIL_NONE ||
            memcmp(out, first, sizeof out) != 0)
            return NULL;
    }
    return right;
}

/* The first of all tests, so that they meet where things are looked up. */
static void threads_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];
    int       right;
    void     *answer;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_and_sign, &right), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &answer), 0);
        assert_ptr_equal(answer, &right);
    }
}

/* Nobody is found any more, and nobody is looked for. */
static void nothing_is_looked_up_twice(void **state)
{
    uint8_t out[SHA256_LEN];
    EVP_MD *found;

    assert_int_equal(sha256(out, BYTES("abc"), NULL), FAIL_NONE);
    assert_int_equal(sha256_hmac(out, BYTES("k"), BYTES("b"), NULL), FAIL_NONE);
    assert_int_equal(EVP_set_default_properties(NULL, "provider=nobody"), 1);
    found = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    EVP_MD_free(found);
    assert_null(found);
    assert_int_equal(sha256(out, BYTES("abc"), NULL), FAIL_NONE);
    assert_is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_mac(BYTES("Jefe"), BYTES("what do ya want for nothing?"),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(EVP_set_default_properties(NULL, NULL), 1);
}

/* RFC 7914 section 11, the first 32 bytes. */
static void a_password_is_stretched_as_the_rfc_says(void **state)
{
    uint8_t out[SHA256_LEN];

    assert_int_equal(sha256_pbkdf2(out, BYTES("passwd"), BYTES("salt"), 1, NULL), FAIL_NONE);
    assert_is_hex(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    assert_int_equal(sha256_pbkdf2(out, BYTES("Password"), BYTES("NaCl"), 80000, NULL),
                     FAIL_NONE);
    assert_is_hex(out, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

static void what_cannot_be_computed_is_a_failure(void **state)
{
    struct failure why = { 0 };
    uint8_t        out[SHA256_LEN];

    assert_int_equal(sha256_pbkdf2(out, BYTES("p"), BYTES("s"), UINT32_MAX, &why), FAIL_MEMORY);
    assert_int_equal(sha256_pbkdf2(out, BYTES("p"), BYTES("s"), 0, NULL), FAIL_MEMORY);
    assert_int_equal(random_fill(out, SIZE_MAX, &why), FAIL_IO);
}

static void random_bytes_differ(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    assert_int_equal(random_fill(a, sizeof a, NULL), FAIL_NONE);
    assert_int_equal(random_fill(b, sizeof b, NULL), FAIL_NONE);
    assert_memory_not_equal(a, b, sizeof a);
}

/* RFC 1321 appendix A.5. */
static void md5_is_of_both_parts_in_their_order(void **state)
{
    char hex[MD5_HEX];

    assert_int_equal(md5_hex(hex, BYTES("message "), BYTES("digest"), NULL), FAIL_NONE);
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    assert_int_equal(md5_hex(hex, BYTES(""), BYTES(""), NULL), FAIL_NONE);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
}

static void equal_bytes_are_equal(void **state)
{
    assert_true(equal_in_constant_time(BYTES(""), bytes_of(NULL, 0)));
    assert_true(equal_in_constant_time(BYTES("abc"), BYTES("abc")));
    assert_false(equal_in_constant_time(BYTES("abc"), BYTES("abd")));
    assert_false(equal_in_constant_time(BYTES("abc"), BYTES("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(the_hash_is_sha_256),
        cmocka_unit_test(the_mac_is_that_of_the_rfc),
        cmocka_unit_test(no_key_is_one_as_well),
        cmocka_unit_test(nothing_is_looked_up_twice),
        cmocka_unit_test(a_password_is_stretched_as_the_rfc_says),
        cmocka_unit_test(what_cannot_be_computed_is_a_failure),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(md5_is_of_both_parts_in_their_order),
        cmocka_unit_test(equal_bytes_are_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

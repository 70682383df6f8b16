/* SPDX-License-Identifier: PostgreSQL */
/* The derivations of our provider, beside those of OpenSSL's. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls/key_schedule.h"

#include "harness/check.h"

#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <stdlib.h>

/* ---- libcrypto's hashes, which may be wrong ---- */

static bool is_wrong_256, is_wrong_384;

typedef int (*hash_final)(unsigned char *out, void *state);

static int end_hash(const char *name, unsigned char *out, void *state, bool is_wrong)
{
    hash_final real;
    int        rc;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    rc = real(out, state);
    out[0] ^= is_wrong;
    return rc;
}

int SHA256_Final(unsigned char *out, SHA256_CTX *state)
{
    return end_hash("SHA256_Final", out, state, is_wrong_256);
}

int SHA384_Final(unsigned char *out, SHA512_CTX *state)
{
    return end_hash("SHA384_Final", out, state, is_wrong_384);
}

/* ---- questions ---- */

/* As libssl asks. */
struct question {
    int         mode;
    const char *hash;
    const char *prefix;
    const char *label;
    size_t      key_len, salt_len, data_len, out_len;
};

#define EXTRACT EVP_KDF_HKDF_MODE_EXTRACT_ONLY
#define EXPAND  EVP_KDF_HKDF_MODE_EXPAND_ONLY

static uint8_t some[300]; /* keys, salts and hashes */

static void add(OSSL_PARAM **at, const char *name, const void *data, size_t len)
{
    if (len > 0)
        *(*at)++ = OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)data, len);
}

static int derive(const char *provider, const struct question *question, uint8_t *out)
{
    int          mode = question->mode;
    OSSL_PARAM   params[8], *at = params;
    EVP_KDF     *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, provider);
    EVP_KDF_CTX *context;
    int          rc;

    assert_non_null(kdf);
    context = EVP_KDF_CTX_new(kdf);
    EVP_KDF_free(kdf);
    *at++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    if (question->hash != NULL)
        *at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 (char *)(uintptr_t)question->hash, 0);
    add(&at, OSSL_KDF_PARAM_KEY, some, question->key_len);
    add(&at, OSSL_KDF_PARAM_SALT, some + 1, question->salt_len);
    add(&at, OSSL_KDF_PARAM_PREFIX, question->prefix, strlen(question->prefix));
    add(&at, OSSL_KDF_PARAM_LABEL, question->label, strlen(question->label));
    add(&at, OSSL_KDF_PARAM_DATA, some + 2, question->data_len);
    *at = OSSL_PARAM_construct_end();
    rc = EVP_KDF_derive(context, out, question->out_len, params);
    EVP_KDF_CTX_free(context);
    return rc;
}

static void agrees(const struct question *question)
{
    uint8_t ours[300] = { 0 }, theirs[300] = { 0 };

    assert_int_equal(derive("provider=default", question, theirs), 1);
    assert_int_equal(derive("provider=pgtls", question, ours), 1);
    assert_memory_equal(ours, theirs, sizeof ours);
}

static const struct {
    const char *name;
    size_t      bytes;
} hashes[] = { { "SHA2-256", 32 }, { "SHA256", 32 }, { "SHA2-384", 48 }, { "SHA384", 48 } };

#define HASHES (sizeof hashes / sizeof hashes[0])

static void labels_expand_as_openssl_expands_them(void **state)
{
    static const char *const labels[] = { "c hs traffic", "s ap traffic", "key", "iv",
                                          "finished",     "traffic upd",  "x" };

    for (size_t h = 0; h < HASHES; h++) {
        for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
            for (size_t out = 1; out < 300; out += 11)
                agrees(&(struct question){ EXPAND, hashes[h].name, "tls13 ", labels[i],
                                           hashes[h].bytes, 0, i % 2 ? hashes[h].bytes : 0,
                                           out });
        }
    }
}

/* At the top of the schedule, in the middle, and at its end; X25519, P-521, ffdhe2048. */
static void secrets_follow_as_openssl_has_them_follow(void **state)
{
    static const size_t materials[] = { 0, 32, 66, 256 };

    for (size_t h = 0; h < HASHES; h++) {
        for (size_t i = 0; i < sizeof materials / sizeof materials[0]; i++) {
            struct question question = { EXTRACT,   hashes[h].name, "tls13 ",
                                         "derived", materials[i],   0,
                                         0,         hashes[h].bytes };

            agrees(&question);
            question.salt_len = hashes[h].bytes;
            agrees(&question);
        }
    }
}

static void the_self_test_agrees_with_openssl(void **state)
{
    assert_true(tls_key_schedule_is_right("provider=default"));
    assert_true(tls_key_schedule_is_right(tls_key_schedule_properties()));
    assert_false(tls_key_schedule_is_right("provider=nobody"));
}

/* RFC 8448 3: "extract secret "early"", of nothing. */
static void the_first_secret_is_that_of_rfc_8448(void **state)
{
    static const char early[] = "\x33\xad\x0a\x1c\x60\x7e\xc0\x3b\x09\xe6\xcd\x98\x93\x68\x0c"
                                "\xe2\x10\xad\xf3\x00\xaa\x1f\x26\x60\xe1\xb2\x2e\x10\xf1\x70"
                                "\xf9\x2a";
    uint8_t           out[32];

    assert_int_equal(
        derive("provider=pgtls",
               &(struct question){ EXTRACT, "SHA256", "tls13 ", "derived", 0, 0, 0, 32 }, out),
        1);
    assert_memory_equal(out, early, 32);
}

static void what_is_not_of_tls_is_refused(void **state)
{
    static char           long_label[252];
    const struct question good = { EXPAND, "SHA256", "tls13 ", "key", 32, 0, 0, 32 };
    struct question       bad[8];
    uint8_t               out[300];

    memset(long_label, 'x', sizeof long_label - 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        bad[i] = good;
    bad[0].hash = NULL;
    bad[1].hash = "SHA512";
    bad[2].hash = "SHA2-2567";
    bad[3].mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    bad[4].key_len = 0;
    bad[5].label = long_label; /* and "tls13 ": 257 bytes */
    bad[6].data_len = 256;
    bad[7].mode = EXTRACT;
    bad[7].out_len = 31;
    assert_int_equal(derive("provider=pgtls", &good, out), 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(derive("provider=pgtls", &bad[i], out), 0);
}

/* Where an algorithm must be of FIPS, ours is none; who looks up without a wish gets OpenSSL's
 * own, and the rest of its default provider is still there. */
static void nobody_else_gets_it(void **state)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_MD  *md = EVP_MD_fetch(NULL, "SHA256", tls_key_schedule_properties());

    assert_non_null(kdf);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf)), "default");
    EVP_KDF_free(kdf);
    assert_non_null(md);
    EVP_MD_free(md);
    assert_null(EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, "provider=pgtls,fips=yes"));
}

/* ---- starting: once a process, so that these are the first tests ---- */

static void is_refused(const char *why)
{
    assert_false(tls_key_schedule_start());
    assert_null(tls_key_schedule_properties());
    assert_non_null(strstr(tls_key_schedule_refusal(), why));
}

static void who_does_not_start_it_has_openssl_s(void **state)
{
    assert_null(tls_key_schedule_properties());
    assert_string_equal(tls_key_schedule_refusal(), "nothing else was asked for");
}

static void where_fips_must_have_its_say_it_does_not_start(void **state)
{
    assert_int_equal(EVP_set_default_properties(NULL, "fips=yes"), 1);
    is_refused("another provider");
    assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
}

static void a_wrong_result_leaves_it_to_openssl(void **state)
{
    is_wrong_256 = true;
    is_refused("a self-test against RFC 8448 failed");
    is_wrong_256 = false;
    is_wrong_384 = true;
    is_refused("a self-test against RFC 8448 failed");
    is_wrong_384 = false;
}

static void it_starts_where_all_is_well(void **state)
{
    for (int again = 0; again < 2; again++) {
        assert_true(tls_key_schedule_start());
        assert_non_null(tls_key_schedule_properties());
        assert_null(tls_key_schedule_refusal());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_start_it_has_openssl_s),
        cmocka_unit_test(where_fips_must_have_its_say_it_does_not_start),
        cmocka_unit_test(a_wrong_result_leaves_it_to_openssl),
        cmocka_unit_test(it_starts_where_all_is_well),
        cmocka_unit_test(labels_expand_as_openssl_expands_them),
        cmocka_unit_test(secrets_follow_as_openssl_has_them_follow),
        cmocka_unit_test(the_self_test_agrees_with_openssl),
        cmocka_unit_test(the_first_secret_is_that_of_rfc_8448),
        cmocka_unit_test(what_is_not_of_tls_is_refused),
        cmocka_unit_test(nobody_else_gets_it),
    };

    for (size_t i = 0; i < sizeof some; i++)
        some[i] = (uint8_t)(i * 11 + 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

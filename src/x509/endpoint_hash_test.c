/* SPDX-License-Identifier: PostgreSQL */
#include "x509/endpoint_hash.h"

#include "harness/certs.h"
#include "harness/check.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

/* Signs again, as openssl's -sigopt would; a copy, since OpenSSL remembers the first signature.
 */
static X509 *signed_by(X509 *certificate, EVP_PKEY *key, const char *hash, bool is_pss)
{
    EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    const EVP_MD *md = hash != NULL ? EVP_get_digestbyname(hash) : NULL;

    assert_int_equal(EVP_DigestSignInit(ctx, &key_ctx, md, NULL, key), 1);
    if (is_pss)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING), 1);
    assert_true(X509_sign_ctx(certificate, ctx) > 0);
    EVP_MD_CTX_free(ctx);
    return X509_dup(certificate);
}

/* The hash that is taken, by hand; frees the certificate. */
static void assert_hashed_by(X509 *certificate, const char *hash)
{
    struct endpoint_hash out;
    uint8_t              want[EVP_MAX_MD_SIZE];
    unsigned             len = 0;

    endpoint_hash_make(&out, certificate);
    assert_int_equal(X509_digest(certificate, EVP_get_digestbyname(hash), want, &len), 1);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.hash, want, len);
    assert_int_equal(endpoint_hash_bytes(&out).len, len);
    X509_free(certificate);
}

static const struct {
    const char *signed_by, *hashed_by;
} rows[] = {
    { "MD5", "SHA256" },    { "SHA1", "SHA256" },   { "SHA224", "SHA224" },
    { "SHA256", "SHA256" }, { "SHA384", "SHA384" }, { "SHA512", "SHA512" },
};

static void rsa_signatures_are_hashed_by_their_hash(void **state)
{
    struct cert cert =
        cert_make(&(struct cert_spec){ .common_name = "x", .is_rsa = true }, NULL);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_hashed_by(signed_by(cert.x509, cert.key, rows[i].signed_by, false),
                         rows[i].hashed_by);
    }
    cert_free(&cert);
}

static void rsa_pss_is_hashed_by_its_parameters(void **state)
{
    struct cert cert =
        cert_make(&(struct cert_spec){ .common_name = "x", .is_rsa = true }, NULL);

    for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++) {
        assert_hashed_by(signed_by(cert.x509, cert.key, rows[i].signed_by, true),
                         rows[i].hashed_by);
    }
    cert_free(&cert);
}

static void ecdsa_signatures_are_hashed_by_their_hash(void **state)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);

    for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++) {
        assert_hashed_by(signed_by(cert.x509, cert.key, rows[i].signed_by, false),
                         rows[i].hashed_by);
    }
    cert_free(&cert);
}

/* It is the signature that counts, not the key that is certified. */
static void what_has_no_single_hash_has_none(void **state)
{
    static const char *const kinds[] = { "ED25519", "ED448" };
    struct cert              cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        EVP_PKEY            *key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[i]);
        struct endpoint_hash out;
        X509                *again;

        assert_non_null(key);
        again = signed_by(cert.x509, key, NULL, false);
        endpoint_hash_make(&out, again);
        assert_int_equal(out.len, 0);
        assert_string_equal(out.signature, kinds[i]);
        EVP_PKEY_free(key);
        X509_free(again);
    }
    cert_free(&cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_signatures_are_hashed_by_their_hash),
        cmocka_unit_test(rsa_pss_is_hashed_by_its_parameters),
        cmocka_unit_test(ecdsa_signatures_are_hashed_by_their_hash),
        cmocka_unit_test(what_has_no_single_hash_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

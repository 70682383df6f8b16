/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/hkdf.h"

#include "harness/check.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static bool expand(enum hkdf_hash hash, struct bytes secret, struct bytes info, uint8_t *out,
                   size_t len)
{
    struct hkdf_secret prepared;

    hkdf_secret_set(&prepared, hash, secret);
    return hkdf_expand(&prepared, info, out, len);
}

/* RFC 5869 A.1 and A.3 */
static void sha_256_is_that_of_the_rfc(void **state)
{
    static const uint8_t secret[22] = "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                                      "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b";
    static const uint8_t with_salt[42] =
        "\x3c\xb2\x5f\x25\xfa\xac\xd5\x7a\x90\x43\x4f\x64\xd0\x36\x2f\x2a\x2d\x2d\x0a\x90\xcf"
        "\x1a\x5a\x4c\x5d\xb0\x2d\x56\xec\xc4\xc5\xbf\x34\x00\x72\x08\xd5\xb8\x87\x18\x58\x65";
    static const uint8_t without[42] =
        "\x8d\xa4\xe7\x75\xa5\x63\xc1\x8f\x71\x5f\x80\x2a\x06\x3c\x5a\x31\xb8\xa1\x1f\x5c\x5e"
        "\xe1\x87\x9e\xc3\x45\x4e\x5f\x3c\x73\x8d\x2d\x9d\x20\x13\x95\xfa\xa4\xb6\x1a\x96\xc8";
    uint8_t middle[HKDF_LONGEST_HASH], out[42];

    hkdf_extract(HKDF_SHA256, BYTES("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"),
                 bytes_of(secret, sizeof secret), middle);
    assert_true(expand(HKDF_SHA256, bytes_of(middle, 32),
                       BYTES("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9"), out, 42));
    assert_memory_equal(out, with_salt, 42);
    hkdf_extract(HKDF_SHA256, BYTES(""), bytes_of(secret, sizeof secret), middle);
    assert_true(expand(HKDF_SHA256, bytes_of(middle, 32), BYTES(""), out, 42));
    assert_memory_equal(out, without, 42);
}

static const struct {
    const char    *name;
    enum hkdf_hash hash;
} kinds[] = { { "SHA256", HKDF_SHA256 }, { "SHA384", HKDF_SHA384 } };

/* OpenSSL's, of the same; `mode` says of which half. */
static void openssl_makes(int mode, const char *hash, struct bytes key, struct bytes other,
                          uint8_t *out, size_t len)
{
    bool       extracts = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)hash, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.p,
                                          key.len),
        OSSL_PARAM_construct_octet_string(extracts ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO,
                                          (void *)(uintptr_t)other.p, other.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF     *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    assert_int_equal(EVP_KDF_derive(context, out, len, params), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

/* Keys shorter and longer than a block, output of part of a hash and of several. */
static void both_hashes_agree_with_openssl(void **state)
{
    static const size_t keys[] = { 1, 32, 48, 64, 65, 128, 129, 200 };
    uint8_t             key[200], ours[300], theirs[300];

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 7);
    for (size_t k = 0; k < 2; k++) {
        size_t bytes = hkdf_hash_bytes(kinds[k].hash);

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            struct bytes secret = bytes_of(key, keys[i]), other = bytes_of(key + 3, 180);

            hkdf_extract(kinds[k].hash, other, secret, ours);
            openssl_makes(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, kinds[k].name, secret, other, theirs,
                          bytes);
            assert_memory_equal(ours, theirs, bytes);
            for (size_t len = 1; len <= sizeof ours; len += 13) {
                assert_true(expand(kinds[k].hash, secret, other, ours, len));
                openssl_makes(EVP_KDF_HKDF_MODE_EXPAND_ONLY, kinds[k].name, secret, other,
                              theirs, len);
                assert_memory_equal(ours, theirs, len);
            }
        }
    }
}

static void no_more_than_255_hashes(void **state)
{
    static uint8_t out[255 * 48 + 1];

    assert_true(expand(HKDF_SHA384, BYTES("key"), BYTES("info"), out, 255 * 48));
    assert_false(expand(HKDF_SHA384, BYTES("key"), BYTES("info"), out, 255 * 48 + 1));
    assert_false(expand(HKDF_SHA256, BYTES("key"), BYTES("info"), out, 255 * 32 + 1));
}

static void nothing_has_a_hash(void **state)
{
    uint8_t out[HKDF_LONGEST_HASH];

    hkdf_hash_of_nothing(HKDF_SHA256, out);
    assert_memory_equal(out, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
    hkdf_hash_of_nothing(HKDF_SHA384, out);
    assert_memory_equal(out, "\x38\xb0\x60\xa7\x51\xac\x96\x38", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha_256_is_that_of_the_rfc),
        cmocka_unit_test(both_hashes_agree_with_openssl),
        cmocka_unit_test(no_more_than_255_hashes),
        cmocka_unit_test(nothing_has_a_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

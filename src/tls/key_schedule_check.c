/* SPDX-License-Identifier: PostgreSQL */
/*
 * Whether derivations are right, as OpenSSL asks for them: tried before a handshake goes by
 * them.
 */
#include "tls/key_schedule.h"

#include "base/bytes.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define LONGEST 48u

/* RFC 8448 3: "IKM" of the key exchange, the hash of all up to the server's Finished, and the
 * secret of the client's data that follows from them.  With SHA-384 it has none: that one is
 * what the same gives by Python's hmac. */
static const uint8_t shared[] = {
    0x8b, 0xd4, 0x05, 0x4f, 0xb5, 0x5b, 0x9d, 0x63, 0xfd, 0xfb, 0xac,
    0xf9, 0xf0, 0x4b, 0x9f, 0x0d, 0x35, 0xe6, 0xd6, 0x3f, 0x53, 0x75,
    0x63, 0xef, 0xd4, 0x62, 0x72, 0x90, 0x0f, 0x89, 0x49, 0x2d,
};
static const uint8_t messages[] = {
    0x96, 0x08, 0x10, 0x2a, 0x0f, 0x1c, 0xcc, 0x6d, 0xb6, 0x25, 0x0b,
    0x7b, 0x7e, 0x41, 0x7b, 0x1a, 0x00, 0x0e, 0xaa, 0xda, 0x3d, 0xaa,
    0xe4, 0x77, 0x7a, 0x76, 0x86, 0xc9, 0xff, 0x83, 0xdf, 0x13,
};
static const uint8_t secret_with_sha_256[] = {
    0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0, 0x5a, 0xf8,
    0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf,
    0x00, 0x87, 0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5,
};

static const uint8_t secret_with_sha_384[] = {
    0xc5, 0xa0, 0x25, 0xda, 0x96, 0xb1, 0x6c, 0x8b, 0x09, 0xa1, 0x54, 0x8b,
    0xb3, 0x06, 0xc9, 0xa4, 0x32, 0x94, 0x9b, 0x38, 0x0a, 0x91, 0x9d, 0x2a,
    0xa9, 0xa3, 0xf3, 0xc3, 0x2a, 0x01, 0x8f, 0x49, 0xf4, 0x6b, 0xf6, 0xbf,
    0x29, 0x92, 0x81, 0xa4, 0x28, 0xb9, 0x58, 0xd8, 0x19, 0x52, 0xcd, 0x57,
};

struct derivations {
    EVP_KDF_CTX *context;
    const char  *hash;
    size_t       bytes; /* of it */
};

struct question {
    int          mode;
    const char  *label;
    struct bytes key, salt, data;
};

static void put(OSSL_PARAM **at, const char *name, struct bytes value)
{
    if (value.len > 0)
        *(*at)++ =
            OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)value.p, value.len);
}

static bool derive(const struct derivations *with, const struct question *question,
                   uint8_t *out)
{
    int        mode = question->mode;
    OSSL_PARAM params[8], *at = params;

    *at++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                             (char *)(uintptr_t)with->hash, 0);
    put(&at, OSSL_KDF_PARAM_KEY, question->key);
    put(&at, OSSL_KDF_PARAM_SALT, question->salt);
    put(&at, OSSL_KDF_PARAM_PREFIX, BYTES("tls13 "));
    put(&at, OSSL_KDF_PARAM_LABEL, bytes_of_string(question->label));
    put(&at, OSSL_KDF_PARAM_DATA, question->data);
    *at = OSSL_PARAM_construct_end();
    EVP_KDF_CTX_reset(with->context);
    return EVP_KDF_derive(with->context, out, with->bytes, params) == 1;
}

/* Down the picture of RFC 8446 7.1: Early Secret, Handshake Secret, Master Secret, and
 * client_application_traffic_secret_0. */
static bool follow(const struct derivations *with, uint8_t *out)
{
    uint8_t secrets[3][LONGEST];

    return derive(with, &(struct question){ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "derived" },
                  secrets[0]) &&
           derive(with,
                  &(struct question){ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "derived",
                                      .key = bytes_of(shared, sizeof shared),
                                      .salt = bytes_of(secrets[0], with->bytes) },
                  secrets[1]) &&
           derive(with,
                  &(struct question){ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "derived",
                                      .salt = bytes_of(secrets[1], with->bytes) },
                  secrets[2]) &&
           derive(with,
                  &(struct question){ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "c ap traffic",
                                      .key = bytes_of(secrets[2], with->bytes),
                                      .data = bytes_of(messages, sizeof messages) },
                  out);
}

static bool is_right(const char *properties, const char *hash, struct bytes expected)
{
    EVP_KDF           *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, properties);
    struct derivations with = { kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL, hash, expected.len };
    uint8_t            got[LONGEST];
    bool               good = with.context != NULL && follow(&with, got) &&
                memcmp(got, expected.p, expected.len) == 0;

    EVP_KDF_CTX_free(with.context);
    EVP_KDF_free(kdf);
    return good;
}

bool tls_key_schedule_is_right(const char *properties)
{
    return is_right(properties, "SHA256",
                    bytes_of(secret_with_sha_256, sizeof secret_with_sha_256)) &&
           is_right(properties, "SHA384",
                    bytes_of(secret_with_sha_384, sizeof secret_with_sha_384));
}

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/aeads.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define LONGEST_LABEL 12u /* "traffic upd" */

/*
 * RFC 8446 5.5: "For AES-GCM, up to 2^24.5 full-size records (about 24 million) may be
 * encrypted on a given connection while keeping a safety margin of approximately 2^-57".
 * ChaCha20 would do for ever; one rule is simpler.
 */
#define RECORDS_PER_KEY ((uint64_t)1 << 23)

/* RFC 8446 5.2: "An AEAD algorithm used in TLS 1.3 MUST NOT produce an expansion greater than
 * 255 octets."  5.3: "An AEAD algorithm where N_MAX is less than 8 bytes MUST NOT be used with
 * TLS." */
_Static_assert(TLS_TAG_BYTES <= 255 && TLS_NONCE_BYTES >= 8, "of all three");

static const struct suite {
    unsigned    number;
    const char *name;
    const char *cipher;
    const char *digest;
    uint8_t     key_bytes;
    uint8_t     secret_bytes;
} suites[TLS_SUITES] = {
    [TLS_SUITE_NONE] = { 0, NULL, NULL, NULL, 0, 0 },
    [TLS_SUITE_AES_128_GCM_SHA256] = { 0x1301, "TLS_AES_128_GCM_SHA256", "AES-128-GCM",
                                       "SHA256", 16, 32 },
    [TLS_SUITE_AES_256_GCM_SHA384] = { 0x1302, "TLS_AES_256_GCM_SHA384", "AES-256-GCM",
                                       "SHA384", 32, 48 },
    [TLS_SUITE_CHACHA20_POLY1305_SHA256] = { 0x1303, "TLS_CHACHA20_POLY1305_SHA256",
                                             "ChaCha20-Poly1305", "SHA256", 32, 32 },
};

/* Remembers its key: the records of one turn are mostly of one connection. */
struct cipher {
    EVP_CIPHER_CTX *context;
    uint8_t         key[TLS_LONGEST_KEY];
    bool            keyed;
};

struct tls_aeads {
    unsigned      holders; /* of one thread */
    uint64_t      records_per_key;
    struct cipher ciphers[TLS_SUITES][2];
    EVP_MAC_CTX  *hmac[TLS_SUITES];
};

enum tls_suite tls_suite_find(unsigned number)
{
    for (int i = TLS_SUITE_NONE + 1; i < TLS_SUITES; i++) {
        if (suites[i].number == number)
            return (enum tls_suite)i;
    }
    return TLS_SUITE_NONE;
}

const char *tls_suite_name(enum tls_suite suite)
{
    return suites[suite].name;
}

size_t tls_suite_key_bytes(enum tls_suite suite)
{
    return suites[suite].key_bytes;
}

size_t tls_suite_secret_bytes(enum tls_suite suite)
{
    return suites[suite].secret_bytes;
}

struct tls_aeads *tls_aeads_new(void)
{
    struct tls_aeads *aeads = calloc(1, sizeof *aeads);

    if (aeads != NULL) {
        aeads->holders = 1;
        aeads->records_per_key = RECORDS_PER_KEY;
    }
    return aeads;
}

struct tls_aeads *tls_aeads_hold(struct tls_aeads *aeads)
{
    aeads->holders++;
    return aeads;
}

void tls_aeads_release(struct tls_aeads *aeads)
{
    if (aeads == NULL || --aeads->holders > 0)
        return;
    for (int i = 0; i < TLS_SUITES; i++) {
        EVP_CIPHER_CTX_free(aeads->ciphers[i][TLS_OPENS].context);
        EVP_CIPHER_CTX_free(aeads->ciphers[i][TLS_SEALS].context);
        EVP_MAC_CTX_free(aeads->hmac[i]);
    }
    OPENSSL_cleanse(aeads, sizeof *aeads);
    free(aeads);
}

/* With the default properties, so that a FIPS configuration has its say. */
static bool make_cipher(struct cipher *cipher, const struct suite *suite, int seals)
{
    EVP_CIPHER *method;

    if (cipher->context != NULL)
        return true;
    if ((method = EVP_CIPHER_fetch(NULL, suite->cipher, NULL)) == NULL)
        return false;
    cipher->context = EVP_CIPHER_CTX_new();
    if (cipher->context != NULL &&
        EVP_CipherInit_ex2(cipher->context, method, NULL, NULL, seals, NULL) != 1) {
        EVP_CIPHER_CTX_free(cipher->context);
        cipher->context = NULL;
    }
    EVP_CIPHER_free(method);
    return cipher->context != NULL;
}

static EVP_MAC_CTX *new_hmac(const struct suite *suite)
{
    char         digest[8];
    OSSL_PARAM   params[2] = { OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end() };
    EVP_MAC     *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = method != NULL ? EVP_MAC_CTX_new(method) : NULL;

    EVP_MAC_free(method);
    strcpy(digest, suite->digest);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    if (context != NULL && EVP_MAC_CTX_set_params(context, params) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

bool tls_aeads_prepare(struct tls_aeads *aeads, enum tls_suite suite)
{
    if (aeads->hmac[suite] == NULL)
        aeads->hmac[suite] = new_hmac(&suites[suite]);
    return aeads->hmac[suite] != NULL &&
           make_cipher(&aeads->ciphers[suite][TLS_OPENS], &suites[suite], 0) &&
           make_cipher(&aeads->ciphers[suite][TLS_SEALS], &suites[suite], 1);
}

EVP_CIPHER_CTX *tls_aeads_take(struct tls_aeads *aeads, enum tls_suite suite,
                               enum tls_direction direction, const uint8_t *key,
                               const uint8_t *nonce)
{
    struct cipher *cipher = &aeads->ciphers[suite][direction];
    size_t         key_bytes = suites[suite].key_bytes;
    bool           has_it = cipher->keyed && CRYPTO_memcmp(cipher->key, key, key_bytes) == 0;

    /* naming the cipher again would cost another 100 ns */
    if (EVP_CipherInit_ex(cipher->context, NULL, NULL, has_it ? NULL : key, nonce, -1) != 1) {
        cipher->keyed = false;
        return NULL;
    }
    if (!has_it)
        memcpy(cipher->key, key, key_bytes);
    cipher->keyed = true;
    return cipher->context;
}

void tls_aeads_forget(struct tls_aeads *aeads, enum tls_suite suite, const uint8_t *key)
{
    static const uint8_t zeros[TLS_LONGEST_KEY];

    for (int direction = TLS_OPENS; direction <= TLS_SEALS; direction++) {
        struct cipher *cipher = &aeads->ciphers[suite][direction];

        if (!cipher->keyed || CRYPTO_memcmp(cipher->key, key, suites[suite].key_bytes) != 0)
            continue;
        EVP_CipherInit_ex(cipher->context, NULL, NULL, zeros, zeros, -1);
        OPENSSL_cleanse(cipher->key, sizeof cipher->key);
        cipher->keyed = false;
    }
}

bool tls_aeads_expand(struct tls_aeads *aeads, enum tls_suite suite, const uint8_t *secret,
                      const char *label, uint8_t *to, size_t len)
{
    size_t       label_len = strlen(label);
    uint8_t      info[4 + 6 + LONGEST_LABEL + 1]; /* struct HkdfLabel, and HKDF's counter */
    uint8_t      block[TLS_LONGEST_SECRET];
    size_t       got = 0;
    EVP_MAC_CTX *hmac = aeads->hmac[suite];
    bool         good;

    assert(label_len <= LONGEST_LABEL && len <= suites[suite].secret_bytes);
    info[0] = 0;
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + label_len);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_len);
    info[9 + label_len] = 0;  /* no context */
    info[10 + label_len] = 1; /* RFC 5869 2.3: T(1), and no more is needed */
    good = EVP_MAC_init(hmac, secret, suites[suite].secret_bytes, NULL) == 1 &&
           EVP_MAC_update(hmac, info, 11 + label_len) == 1 &&
           EVP_MAC_final(hmac, block, &got, sizeof block) == 1 && got >= len;
    if (good)
        memcpy(to, block, len);
    OPENSSL_cleanse(block, sizeof block);
    return good;
}

void tls_aeads_forget_secret(struct tls_aeads *aeads, enum tls_suite suite)
{
    static const uint8_t zeros[TLS_LONGEST_SECRET];

    EVP_MAC_init(aeads->hmac[suite], zeros, suites[suite].secret_bytes, NULL);
}

uint64_t tls_aeads_records_per_key(const struct tls_aeads *aeads)
{
    return aeads->records_per_key;
}

void tls_aeads_set_records_per_key(struct tls_aeads *aeads, uint64_t records)
{
    aeads->records_per_key = records;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/traffic.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* Below this a second call of the cipher costs more than the copy that spares it. */
#define COPIED_BYTES 512u

static enum tls_suite suite_of(const struct tls_traffic *traffic)
{
    return (enum tls_suite)traffic->suite;
}

/* RFC 8446 7.3 */
static bool derive(struct tls_traffic *traffic, struct tls_aeads *aeads)
{
    enum tls_suite suite = suite_of(traffic);
    bool           good =
        tls_aeads_expand(aeads, suite, traffic->secret, "key", traffic->key,
                         tls_suite_key_bytes(suite)) &&
        tls_aeads_expand(aeads, suite, traffic->secret, "iv", traffic->iv, sizeof traffic->iv);

    /* 5.3: "Each sequence number is set to zero at the beginning of a connection and
     * whenever the key is changed; the first record transmitted under a particular traffic
     * key MUST use sequence number 0." */
    traffic->sequence = 0;
    return good;
}

bool tls_traffic_start(struct tls_traffic *traffic, struct tls_aeads *aeads)
{
    bool good = derive(traffic, aeads);

    tls_aeads_forget_secret(aeads, suite_of(traffic));
    return good;
}

/* RFC 8446 7.2 */
bool tls_traffic_update(struct tls_traffic *traffic, struct tls_aeads *aeads)
{
    enum tls_suite suite = suite_of(traffic);
    uint8_t        next[TLS_LONGEST_SECRET];
    bool           good;

    tls_aeads_forget(aeads, suite, traffic->key);
    good = tls_aeads_expand(aeads, suite, traffic->secret, "traffic upd", next,
                            tls_suite_secret_bytes(suite));
    /* "Once client_/server_application_traffic_secret_N+1 and its associated traffic keys
     * have been computed, implementations SHOULD delete [..._N] and its associated traffic
     * keys." */
    if (good)
        memcpy(traffic->secret, next, tls_suite_secret_bytes(suite));
    OPENSSL_cleanse(next, sizeof next);
    good = good && derive(traffic, aeads);
    tls_aeads_forget_secret(aeads, suite);
    return good;
}

void tls_traffic_wipe(struct tls_traffic *traffic, struct tls_aeads *aeads)
{
    if (traffic->suite != TLS_SUITE_NONE)
        tls_aeads_forget(aeads, suite_of(traffic), traffic->key);
    OPENSSL_cleanse(traffic, sizeof *traffic);
}

/*
 * RFC 8446 5.3: the sequence number, "padded to the left with zeros to iv_length", "XORed
 * with either the static client_write_iv or server_write_iv".
 */
static EVP_CIPHER_CTX *take(struct tls_traffic *traffic, struct tls_aeads *aeads,
                            enum tls_direction direction)
{
    uint8_t  nonce[TLS_NONCE_BYTES];
    uint64_t sequence = traffic->sequence;

    /* 5.3: "Because the size of sequence numbers is 64-bit, they should not wrap.  If a TLS
     * implementation would need to wrap a sequence number, it MUST either rekey (Section
     * 4.6.3) or terminate the connection." */
    if (sequence == UINT64_MAX)
        return NULL;
    traffic->sequence = sequence + 1; /* used up, whatever comes of this record */
    memcpy(nonce, traffic->iv, sizeof nonce);
    for (size_t i = TLS_NONCE_BYTES; sequence != 0; sequence >>= 8)
        nonce[--i] ^= (uint8_t)sequence;
    return tls_aeads_take(aeads, suite_of(traffic), direction, traffic->key, nonce);
}

/* Encrypts content and type, the struct TLSInnerPlaintext of 5.2. */
static bool encrypt(EVP_CIPHER_CTX *cipher, struct bytes plain, uint8_t type, uint8_t *to)
{
    int n, m;

    if (plain.len > COPIED_BYTES)
        return EVP_CipherUpdate(cipher, to, &n, plain.p, (int)plain.len) == 1 &&
               EVP_CipherUpdate(cipher, to + n, &m, &type, 1) == 1 &&
               (size_t)n + (size_t)m == plain.len + 1;
    if (plain.len > 0)
        memcpy(to, plain.p, plain.len);
    to[plain.len] = type;
    return EVP_CipherUpdate(cipher, to, &n, to, (int)plain.len + 1) == 1 &&
           (size_t)n == plain.len + 1;
}

bool tls_traffic_seal(struct tls_traffic *traffic, struct tls_aeads *aeads,
                      enum tls_content type, struct bytes plain, uint8_t *to)
{
    size_t          sealed = plain.len + 1 + TLS_TAG_BYTES;
    EVP_CIPHER_CTX *cipher = take(traffic, aeads, TLS_SEALS);
    int             n;

    if (cipher == NULL)
        return false;
    /* 5.2: "The outer opaque_type field of a TLSCiphertext record is always set to the value
     * 23 (application_data)"; legacy_record_version "is always 0x0303" */
    to[0] = TLS_CONTENT_DATA;
    to[1] = 3;
    to[2] = 3;
    to[3] = (uint8_t)(sealed >> 8);
    to[4] = (uint8_t)sealed;
    /* "additional_data = TLSCiphertext.opaque_type || legacy_record_version || length" */
    return EVP_CipherUpdate(cipher, NULL, &n, to, TLS_HEADER_BYTES) == 1 &&
           encrypt(cipher, plain, (uint8_t)type, to + TLS_HEADER_BYTES) &&
           EVP_CipherFinal_ex(cipher, to + TLS_HEADER_BYTES + plain.len + 1, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES,
                               to + TLS_HEADER_BYTES + plain.len + 1) == 1;
}

bool tls_traffic_open(struct tls_traffic *traffic, struct tls_aeads *aeads, struct bytes record,
                      uint8_t *to)
{
    struct bytes body =
        bytes_of(record.p + TLS_HEADER_BYTES, record.len - TLS_HEADER_BYTES - TLS_TAG_BYTES);
    uint8_t         tag[TLS_TAG_BYTES];
    EVP_CIPHER_CTX *cipher = take(traffic, aeads, TLS_OPENS);
    int             n;

    memcpy(tag, body.p + body.len, sizeof tag);
    return cipher != NULL &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &n, record.p, TLS_HEADER_BYTES) == 1 &&
           (body.len == 0 || EVP_CipherUpdate(cipher, to, &n, body.p, (int)body.len) == 1) &&
           EVP_CipherFinal_ex(cipher, to + body.len, &n) == 1;
}

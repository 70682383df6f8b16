/* SPDX-License-Identifier: PostgreSQL */
/*
 * crypto/hkdf.h - HKDF (RFC 5869) with the hashes of TLS 1.3
 *
 * Nothing is allocated, looked up or able to fail: it works on the stack, which it wipes.  A
 * struct hkdf_secret is its caller's to wipe.
 */
#ifndef PGTLS_CRYPTO_HKDF_H
#define PGTLS_CRYPTO_HKDF_H

#include "base/bytes.h"
#include "base/fail.h"

#include <openssl/sha.h>

enum hkdf_hash { HKDF_SHA256, HKDF_SHA384, HKDF_HASHES };

enum { HKDF_LONGEST_HASH = 48 };

size_t hkdf_hash_bytes(enum hkdf_hash hash);

/* The hash itself, of no bytes: what "derived" secrets of TLS are bound to. */
void hkdf_hash_of_nothing(enum hkdf_hash hash, uint8_t out[static HKDF_LONGEST_HASH]);

/* `out` gets hkdf_hash_bytes(). */
void hkdf_extract(enum hkdf_hash hash, struct bytes salt, struct bytes secret,
                  uint8_t out[static HKDF_LONGEST_HASH]);

/* A secret to be expanded, once or often: the two hashes of HMAC, behind their first block. */
struct hkdf_secret {
    enum hkdf_hash hash;
    union hkdf_state {
        SHA256_CTX sha256;
        SHA512_CTX sha384;
    } inner, outer;
};

void hkdf_secret_set(struct hkdf_secret *secret, enum hkdf_hash hash, struct bytes from);

/* `len` bytes; false where RFC 5869 2.3 gives no such many: 255 hashes. */
bool hkdf_expand(const struct hkdf_secret *secret, struct bytes info, uint8_t *out,
                 size_t len) WARN_UNUSED;

#endif

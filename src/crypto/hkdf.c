/* SPDX-License-Identifier: PostgreSQL */
/* The hashes by their first names: EVP would allocate and look up for each of them, and costs
 * more than the hashing.  Who must have a FIPS module does not come here (key_schedule.c). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hkdf.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

union state {
    SHA256_CTX sha256;
    SHA512_CTX sha384;
};

static int start_sha256(union state *s)
{
    return SHA256_Init(&s->sha256);
}

static int feed_sha256(union state *s, const void *p, size_t len)
{
    return SHA256_Update(&s->sha256, p, len);
}

static int end_sha256(union state *s, uint8_t *out)
{
    return SHA256_Final(out, &s->sha256);
}

static int start_sha384(union state *s)
{
    return SHA384_Init(&s->sha384);
}

static int feed_sha384(union state *s, const void *p, size_t len)
{
    return SHA384_Update(&s->sha384, p, len);
}

static int end_sha384(union state *s, uint8_t *out)
{
    return SHA384_Final(out, &s->sha384);
}

/* None of these fails: there is nothing that could. */
static const struct hash {
    int (*start)(union state *s);
    int (*feed)(union state *s, const void *p, size_t len);
    int (*end)(union state *s, uint8_t *out);
    size_t bytes;
    size_t block_bytes;
} hashes[HKDF_HASHES] = {
    [HKDF_SHA256] = { start_sha256, feed_sha256, end_sha256, 32, 64 },
    [HKDF_SHA384] = { start_sha384, feed_sha384, end_sha384, 48, 128 },
};

#define LONGEST_BLOCK 128

size_t hkdf_hash_bytes(enum hkdf_hash hash)
{
    return hashes[hash].bytes;
}

void hkdf_hash_of_nothing(enum hkdf_hash hash, uint8_t out[static HKDF_LONGEST_HASH])
{
    union state s;

    hashes[hash].start(&s);
    hashes[hash].end(&s, out);
}

/* ---- HMAC: RFC 2104 ---- */

/* The two hashes of it, behind their first block, which is the key. */
struct hmac {
    const struct hash *hash;
    union state        inner, outer;
};

static void set_key(struct hmac *hmac, const struct hash *hash, struct bytes key)
{
    uint8_t block[LONGEST_BLOCK] = { 0 };

    hmac->hash = hash;
    if (key.len > hash->block_bytes) {
        hash->start(&hmac->inner);
        hash->feed(&hmac->inner, key.p, key.len);
        hash->end(&hmac->inner, block);
    } else if (key.len > 0) {
        memcpy(block, key.p, key.len);
    }
    for (size_t i = 0; i < hash->block_bytes; i++)
        block[i] ^= 0x36;
    hash->start(&hmac->inner);
    hash->feed(&hmac->inner, block, hash->block_bytes);
    for (size_t i = 0; i < hash->block_bytes; i++)
        block[i] ^= 0x36 ^ 0x5c;
    hash->start(&hmac->outer);
    hash->feed(&hmac->outer, block, hash->block_bytes);
    OPENSSL_cleanse(block, sizeof block);
}

/* Of `a` and `b`, one behind the other. */
static void make(const struct hmac *hmac, struct bytes a, struct bytes b, struct bytes c,
                 uint8_t *out)
{
    const struct hash *hash = hmac->hash;
    union state        inner = hmac->inner, outer = hmac->outer;

    hash->feed(&inner, a.p, a.len);
    hash->feed(&inner, b.p, b.len);
    hash->feed(&inner, c.p, c.len);
    hash->end(&inner, out);
    hash->feed(&outer, out, hash->bytes);
    hash->end(&outer, out);
    OPENSSL_cleanse(&inner, sizeof inner);
    OPENSSL_cleanse(&outer, sizeof outer);
}

/* ---- HKDF: RFC 5869 ---- */

void hkdf_extract(enum hkdf_hash hash, struct bytes salt, struct bytes secret,
                  uint8_t out[static HKDF_LONGEST_HASH])
{
    const struct bytes nothing = { NULL, 0 };
    struct hmac        hmac;

    set_key(&hmac, &hashes[hash], salt);
    make(&hmac, secret, nothing, nothing, out);
    OPENSSL_cleanse(&hmac, sizeof hmac);
}

bool hkdf_expand(enum hkdf_hash hash, struct bytes secret, struct bytes info, uint8_t *out,
                 size_t len)
{
    struct hmac  hmac;
    uint8_t      block[HKDF_LONGEST_HASH];
    struct bytes before = { NULL, 0 };

    if (len > 255 * hashes[hash].bytes)
        return false;
    set_key(&hmac, &hashes[hash], secret);
    for (uint8_t count = 1; len > 0; count++) {
        size_t part = len < hashes[hash].bytes ? len : hashes[hash].bytes;

        make(&hmac, before, info, bytes_of(&count, 1), block);
        before = bytes_of(block, hashes[hash].bytes);
        memcpy(out, block, part);
        out += part;
        len -= part;
    }
    OPENSSL_cleanse(&hmac, sizeof hmac);
    OPENSSL_cleanse(block, sizeof block);
    return true;
}

/* SPDX-License-Identifier: PostgreSQL */
/* The hashes by their first names: EVP would allocate and look up for each of them, and costs
 * more than the hashing.  Who must have a FIPS module does not come here (key_schedule.c). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hkdf.h"

#include "base/secret.h"

static int start_sha256(union hkdf_state *s)
{
    return SHA256_Init(&s->sha256);
}

static int feed_sha256(union hkdf_state *s, const void *p, size_t len)
{
    return SHA256_Update(&s->sha256, p, len);
}

static int end_sha256(union hkdf_state *s, uint8_t *out)
{
    return SHA256_Final(out, &s->sha256);
}

static int start_sha384(union hkdf_state *s)
{
    return SHA384_Init(&s->sha384);
}

static int feed_sha384(union hkdf_state *s, const void *p, size_t len)
{
    return SHA384_Update(&s->sha384, p, len);
}

static int end_sha384(union hkdf_state *s, uint8_t *out)
{
    return SHA384_Final(out, &s->sha384);
}

/* None of these fails: there is nothing that could. */
static const struct hash {
    int (*start)(union hkdf_state *s);
    int (*feed)(union hkdf_state *s, const void *p, size_t len);
    int (*end)(union hkdf_state *s, uint8_t *out);
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
    union hkdf_state s;

    hashes[hash].start(&s);
    hashes[hash].end(&s, out);
}

/* ---- HMAC: RFC 2104 ---- */

void hkdf_secret_set(struct hkdf_secret *secret, enum hkdf_hash which, struct bytes from)
{
    const struct hash *hash = &hashes[which];
    uint8_t            block[LONGEST_BLOCK] = { 0 };

    secret->hash = which;
    if (from.len > hash->block_bytes) {
        hash->start(&secret->inner);
        hash->feed(&secret->inner, from.p, from.len);
        hash->end(&secret->inner, block);
    } else if (from.len > 0) {
        memcpy(block, from.p, from.len);
    }
    for (size_t i = 0; i < LONGEST_BLOCK; i++)
        block[i] ^= 0x36;
    hash->start(&secret->inner);
    hash->feed(&secret->inner, block, hash->block_bytes);
    for (size_t i = 0; i < LONGEST_BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5c;
    hash->start(&secret->outer);
    hash->feed(&secret->outer, block, hash->block_bytes);
    secret_wipe(block, sizeof block);
}

/* Of `a`, `b` and `c`, one behind the other. */
static void hmac(const struct hkdf_secret *secret, struct bytes a, struct bytes b,
                 struct bytes c, uint8_t *out)
{
    const struct hash *hash = &hashes[secret->hash];
    union hkdf_state   inner = secret->inner, outer = secret->outer;

    hash->feed(&inner, a.p, a.len);
    hash->feed(&inner, b.p, b.len);
    hash->feed(&inner, c.p, c.len);
    hash->end(&inner, out);
    hash->feed(&outer, out, hash->bytes);
    hash->end(&outer, out);
    secret_wipe(&inner, sizeof inner);
    secret_wipe(&outer, sizeof outer);
}

/* ---- HKDF: RFC 5869 ---- */

void hkdf_extract(enum hkdf_hash hash, struct bytes salt, struct bytes secret,
                  uint8_t out[static HKDF_LONGEST_HASH])
{
    const struct bytes nothing = { NULL, 0 };
    struct hkdf_secret key;

    hkdf_secret_set(&key, hash, salt);
    hmac(&key, secret, nothing, nothing, out);
    secret_wipe(&key, sizeof key);
}

bool hkdf_expand(const struct hkdf_secret *secret, struct bytes info, uint8_t *out, size_t len)
{
    size_t       bytes = hashes[secret->hash].bytes;
    uint8_t      block[HKDF_LONGEST_HASH];
    struct bytes before = { NULL, 0 };

    if (len > 255 * bytes)
        return false;
    for (uint8_t count = 1; len > 0; count++) {
        size_t part = len < bytes ? len : bytes;

        hmac(secret, before, info, bytes_of(&count, 1), block);
        before = bytes_of(block, bytes);
        memcpy(out, block, part);
        out += part;
        len -= part;
    }
    secret_wipe(block, sizeof block);
    return true;
}

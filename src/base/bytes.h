/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/bytes.h - a look at memory that somebody else owns
 *
 * Passed by value.  How long the memory lives is said by whoever lends it.
 */
#ifndef PGTLS_BASE_BYTES_H
#define PGTLS_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *p;
    size_t         len;
};

/* The bytes of a string literal, without its final NUL. */
#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

/* The same as an initialiser of static tables. */
#define BYTES_INIT(literal)                                                                    \
    {                                                                                          \
        (const uint8_t *)(literal), sizeof(literal) - 1                                        \
    }

static inline struct bytes bytes_of(const void *p, size_t len)
{
    return (struct bytes){ (const uint8_t *)p, len };
}

static inline struct bytes bytes_of_string(const char *s)
{
    return bytes_of(s, strlen(s));
}

/* The first `n` bytes, or all of them where there are fewer. */
static inline struct bytes bytes_first(struct bytes b, size_t n)
{
    return bytes_of(b.p, n < b.len ? n : b.len);
}

/* Takes `n` bytes off the front; more than there are empties it. */
static inline void bytes_skip(struct bytes *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n > 0)
        b->p += n;
    b->len -= n;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Where FNV-1a begins: any other number, a random one for instance, gives another hash. */
#define BYTES_HASH_START UINT64_C(14695981039346656037)

/* FNV-1a, which may go on with the next piece.  Who knows `hash` can make keys that collide. */
static inline uint64_t bytes_hash(uint64_t hash, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        hash = (hash ^ b.p[i]) * UINT64_C(1099511628211);
    return hash;
}

/* Numbers on the wire are big-endian.  The caller has checked that they are there. */
static inline uint16_t bytes_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t bytes_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif

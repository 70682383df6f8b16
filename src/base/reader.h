/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/reader.h - parsing as a flat list of reads
 *
 * A read past the end gives zero or nothing and marks the reader failed; every
 * later read does the same.  One reader_ok() at the end tells.
 */
#ifndef PGTLS_BASE_READER_H
#define PGTLS_BASE_READER_H

#include "base/bytes.h"

struct reader {
    struct bytes left;
    bool         failed;
};

static inline struct reader reader_of(struct bytes b)
{
    return (struct reader){ b, false };
}

static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}

/* The next `n` bytes, borrowed from the memory under the reader. */
static inline struct bytes reader_bytes(struct reader *r, size_t n)
{
    struct bytes taken;

    if (r->failed || n > r->left.len) {
        r->failed = true;
        return (struct bytes){ NULL, 0 };
    }
    taken = bytes_first(r->left, n);
    bytes_skip(&r->left, n);
    return taken;
}

static inline uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_bytes(r, 1);

    return b.p ? b.p[0] : 0;
}

static inline uint16_t reader_u16(struct reader *r)
{
    struct bytes b = reader_bytes(r, 2);

    return b.p ? bytes_u16(b.p) : 0;
}

static inline uint32_t reader_u32(struct reader *r)
{
    struct bytes b = reader_bytes(r, 4);

    return b.p ? bytes_u32(b.p) : 0;
}

/* A NUL-terminated string, borrowed; "" after a failure. */
static inline const char *reader_string(struct reader *r)
{
    const uint8_t *end =
        r->failed || r->left.len == 0 ? NULL : memchr(r->left.p, 0, r->left.len);
    const char *s = (const char *)r->left.p;

    if (end == NULL) {
        r->failed = true;
        return "";
    }
    bytes_skip(&r->left, (size_t)(end - r->left.p) + 1);
    return s;
}

#endif

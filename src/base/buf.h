/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/buf.h - bytes that wait: appended at the end, taken off the front
 *
 * A buf owns its memory and grows up to a limit given at init, so no peer can
 * choose an allocation size.  A put that would pass the limit, or finds no
 * memory, appends nothing and marks the buf failed; the mark stays, so that a
 * message is a flat list of puts with one buf_ok() at the end.
 *
 * An empty buf keeps no memory after buf_release(); idle connections call it.
 */
#ifndef PGTLS_BASE_BUF_H
#define PGTLS_BASE_BUF_H

#include "base/bytes.h"
#include "base/fail.h"

struct buf {
    uint8_t *memory;
    size_t   head; /* where the waiting bytes begin */
    size_t   len;  /* how many wait */
    size_t   capacity;
    size_t   limit_bytes;
    bool     failed;
    bool     lacks_memory; /* why it failed; else the limit was reached */
};

#define BUF_LIMIT(bytes) ((struct buf){ .limit_bytes = (bytes) })

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_fini(struct buf *buf); /* frees the memory; an all-zero buf is fine */

/* Frees the memory if nothing waits in it. */
void buf_release(struct buf *buf);

/* Makes room for `n` more bytes and returns where they go; NULL marks it failed.
 * Tell what was written there with buf_wrote(). */
uint8_t *buf_reserve(struct buf *buf, size_t n);
void     buf_wrote(struct buf *buf, size_t n);

void buf_put(struct buf *buf, struct bytes b);
void buf_put_u8(struct buf *buf, uint8_t v);
void buf_put_u16(struct buf *buf, uint16_t v);
void buf_put_u32(struct buf *buf, uint32_t v);
void buf_put_string(struct buf *buf, const char *s); /* with its final NUL */
void buf_put_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Overwrites 4 bytes `at` bytes behind the front: lengths known only later. */
void buf_patch_u32(struct buf *buf, size_t at, uint32_t v);

/* Takes `n` bytes off the front. */
void buf_skip(struct buf *buf, size_t n);
void buf_clear(struct buf *buf); /* empties it and forgets a failure; keeps the memory */

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->memory ? buf->memory + buf->head : NULL, buf->len);
}

static inline bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

/* Records why it failed: FAIL_MEMORY, or `kind` and `text` where the limit was reached. */
enum fail buf_failure(const struct buf *buf, enum fail kind, const char *text,
                      struct failure *why);

/* Room left before the limit. */
static inline size_t buf_room(const struct buf *buf)
{
    return buf->limit_bytes - buf->len;
}

#endif

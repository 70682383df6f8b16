/* SPDX-License-Identifier: PostgreSQL */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALLEST 64u

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = BUF_LIMIT(limit_bytes);
}

void buf_fini(struct buf *buf)
{
    free(buf->memory);
    *buf = BUF_LIMIT(buf->limit_bytes);
}

void buf_release(struct buf *buf)
{
    if (buf->len == 0 && buf->memory != NULL) {
        free(buf->memory);
        buf->memory = NULL;
        buf->capacity = 0;
        buf->head = 0;
    }
}

/* The next capacity that holds `need` bytes: doubling, but never past the limit. */
static size_t grown(const struct buf *buf, size_t need)
{
    size_t capacity = buf->capacity < SMALLEST ? SMALLEST : buf->capacity;

    while (capacity < need)
        capacity *= 2;
    return capacity < buf->limit_bytes ? capacity : buf->limit_bytes;
}

uint8_t *buf_reserve(struct buf *buf, size_t n)
{
    if (buf->failed || n > buf_room(buf)) {
        buf->failed = true;
        return NULL;
    }
    if (buf->head > 0 && (buf->len == 0 || buf->head + buf->len + n > buf->capacity)) {
        if (buf->len > 0)
            memmove(buf->memory, buf->memory + buf->head, buf->len);
        buf->head = 0;
    }
    if (buf->len + n > buf->capacity) {
        size_t   capacity = grown(buf, buf->len + n);
        uint8_t *memory = realloc(buf->memory, capacity);

        if (memory == NULL) {
            buf->failed = buf->lacks_memory = true;
            return NULL;
        }
        buf->memory = memory;
        buf->capacity = capacity;
    }
    return buf->memory + buf->head + buf->len;
}

enum fail buf_failure(const struct buf *buf, enum fail kind, const char *text,
                      struct failure *why)
{
    return buf->lacks_memory ? fail(why, FAIL_MEMORY, "out of memory")
                             : fail(why, kind, "%s", text);
}

void buf_wrote(struct buf *buf, size_t n)
{
    assert(buf->head + buf->len + n <= buf->capacity);
    buf->len += n;
}

void buf_put(struct buf *buf, struct bytes b)
{
    uint8_t *at;

    if (b.len == 0 || (at = buf_reserve(buf, b.len)) == NULL)
        return;
    memcpy(at, b.p, b.len);
    buf->len += b.len;
}

void buf_put_u8(struct buf *buf, uint8_t v)
{
    buf_put(buf, bytes_of(&v, 1));
}

void buf_put_u16(struct buf *buf, uint16_t v)
{
    uint8_t wire[2] = { (uint8_t)(v >> 8), (uint8_t)v };

    buf_put(buf, bytes_of(wire, sizeof wire));
}

static void to_wire(uint8_t wire[4], uint32_t v)
{
    wire[0] = (uint8_t)(v >> 24);
    wire[1] = (uint8_t)(v >> 16);
    wire[2] = (uint8_t)(v >> 8);
    wire[3] = (uint8_t)v;
}

void buf_put_u32(struct buf *buf, uint32_t v)
{
    uint8_t wire[4];

    to_wire(wire, v);
    buf_put(buf, bytes_of(wire, sizeof wire));
}

void buf_put_string(struct buf *buf, const char *s)
{
    buf_put(buf, bytes_of(s, strlen(s) + 1));
}

void buf_put_format(struct buf *buf, const char *format, ...)
{
    va_list  args;
    int      n;
    uint8_t *at;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* one more than will stay: vsnprintf writes a final NUL */
    if (n < 0 || (at = buf_reserve(buf, (size_t)n + 1)) == NULL) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf((char *)at, (size_t)n + 1, format, args);
    va_end(args);
    buf->len += (size_t)n;
}

void buf_patch_u32(struct buf *buf, size_t at, uint32_t v)
{
    if (buf->failed)
        return;
    assert(at + 4 <= buf->len);
    to_wire(buf->memory + buf->head + at, v);
}

void buf_skip(struct buf *buf, size_t n)
{
    assert(n <= buf->len);
    buf->len -= n;
    buf->head = buf->len == 0 ? 0 : buf->head + n;
}

void buf_clear(struct buf *buf)
{
    buf->head = 0;
    buf->len = 0;
    buf->failed = buf->lacks_memory = false;
}

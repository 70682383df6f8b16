/* SPDX-License-Identifier: PostgreSQL */
#include "base/base64.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, struct bytes b)
{
    for (; b.len > 0; bytes_skip(&b, 3)) {
        uint32_t group = (uint32_t)b.p[0] << 16;

        if (b.len > 1)
            group |= (uint32_t)b.p[1] << 8;
        if (b.len > 2)
            group |= b.p[2];
        buf_put_u8(out, (uint8_t)letters[group >> 18]);
        buf_put_u8(out, (uint8_t)letters[group >> 12 & 63]);
        buf_put_u8(out, (uint8_t)(b.len > 1 ? letters[group >> 6 & 63] : '='));
        buf_put_u8(out, (uint8_t)(b.len > 2 ? letters[group & 63] : '='));
    }
}

/* 0 to 63, or 64 for what is no letter. */
static uint32_t value_of(uint8_t c)
{
    const char *at = c != 0 ? strchr(letters, c) : NULL;

    return at != NULL ? (uint32_t)(at - letters) : 64;
}

/* Four letters, of which the last ones may be padding; how many bytes, 0 where they are bad. */
static size_t read_group(uint8_t out[3], const uint8_t *text, bool is_last)
{
    size_t   n = !is_last || text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
    uint32_t group = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i <= n ? value_of(text[i]) : 0;

        if (value == 64)
            return 0;
        group = group << 6 | value;
    }
    if ((group & (n == 1 ? 0xffffu : n == 2 ? 0xffu : 0)) != 0)
        return 0; /* bits that stand for nothing: two texts would mean the same */
    out[0] = (uint8_t)(group >> 16);
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
    return n;
}

bool base64_read(uint8_t *out, size_t room, size_t *len, struct bytes text)
{
    size_t written = 0;

    if (text.len % 4 != 0)
        return false;
    for (; text.len > 0; bytes_skip(&text, 4)) {
        uint8_t group[3];
        size_t  n = read_group(group, text.p, text.len == 4);

        if (n == 0 || n > room - written)
            return false;
        memcpy(out + written, group, n);
        written += n;
    }
    *len = written;
    return true;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "pg/collector.h"

#include "base/secret.h"
#include "pg/frame.h"

void collector_init(struct collector *collector, size_t limit_bytes)
{
    *collector = (struct collector){ .held = BUF_LIMIT(limit_bytes) };
}

void collector_fini(struct collector *collector)
{
    secret_wipe_buf(&collector->held);
}

static enum collected hold(struct collector *collector, struct bytes *in, size_t n)
{
    buf_put(&collector->held, bytes_first(*in, n));
    bytes_skip(in, n);
    return buf_ok(&collector->held) ? COLLECTED_NOTHING : COLLECTED_BROKEN;
}

/* Of the message at the front, its type included; 0 where it is no length. */
static size_t length_of(const struct collector *collector, struct bytes in)
{
    struct bytes held = buf_bytes(&collector->held);
    uint8_t      header[FRAME_HEADER_LEN];
    size_t       there = held.len < sizeof header ? held.len : sizeof header;

    if (there > 0)
        memcpy(header, held.p, there);
    if (there < sizeof header)
        memcpy(header + there, in.p, sizeof header - there);
    return frame_length_is_legal(bytes_u32(header + 1)) ? (size_t)bytes_u32(header + 1) + 1 : 0;
}

enum collected collector_next(struct collector *collector, struct bytes *in,
                              struct bytes *message)
{
    struct buf *held = &collector->held;
    size_t      whole;

    if (collector->lent)
        buf_clear(held);
    collector->lent = false;
    if (held->len + in->len < FRAME_HEADER_LEN)
        return hold(collector, in, in->len);
    whole = length_of(collector, *in);
    if (whole == 0 || whole > held->limit_bytes)
        return COLLECTED_BROKEN;
    if (held->len + in->len < whole)
        return hold(collector, in, in->len);
    if (held->len == 0) {
        *message = bytes_first(*in, whole);
        bytes_skip(in, whole);
        return COLLECTED_MESSAGE;
    }
    if (hold(collector, in, whole - held->len) == COLLECTED_BROKEN)
        return COLLECTED_BROKEN;
    collector->lent = true;
    *message = buf_bytes(held);
    return COLLECTED_MESSAGE;
}

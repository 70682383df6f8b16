/* SPDX-License-Identifier: PostgreSQL */
#include "pg/opening.h"

enum { TLS_RECORD_HANDSHAKE = 0x16, PROTOCOL_MAJOR = 3 };

static enum opening kind_of(uint32_t code, uint32_t length)
{
    switch (code) {
    case OPENING_CODE_SSL: return length == OPENING_REQUEST_LEN ? OPENING_SSL : OPENING_BAD;
    case OPENING_CODE_GSS: return length == OPENING_REQUEST_LEN ? OPENING_GSS : OPENING_BAD;
    case OPENING_CODE_CANCEL:
        return length >= CANCEL_LEAST && length <= CANCEL_MOST ? OPENING_CANCEL : OPENING_BAD;
    }
    return code >> 16 == PROTOCOL_MAJOR ? OPENING_STARTUP : OPENING_UNSUPPORTED;
}

enum opening opening_peek(struct bytes in)
{
    enum opening kind;
    size_t       length;

    if (in.len > 0 && in.p[0] == TLS_RECORD_HANDSHAKE)
        return OPENING_TLS_HELLO;
    if (in.len < 4)
        return OPENING_SHORT;
    length = opening_length(in);
    if (length < OPENING_REQUEST_LEN || length > OPENING_MOST)
        return OPENING_BAD;
    if (in.len < OPENING_REQUEST_LEN)
        return OPENING_SHORT;
    kind = kind_of(opening_code(in), (uint32_t)length);
    return kind != OPENING_BAD && in.len < length ? OPENING_SHORT : kind;
}

size_t opening_length(struct bytes in)
{
    return bytes_u32(in.p);
}

uint32_t opening_code(struct bytes in)
{
    return bytes_u32(in.p + 4);
}

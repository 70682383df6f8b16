/* SPDX-License-Identifier: PostgreSQL */
#include "pg/error_response.h"

#include "base/reader.h"
#include "pg/frame.h"

static size_t field_len(const char *value)
{
    return value ? 1 + strlen(value) + 1 : 0;
}

static void put_field(struct buf *out, char type, const char *value)
{
    if (value == NULL)
        return;
    buf_put_u8(out, (uint8_t)type);
    buf_put_string(out, value);
}

void error_response_write(struct buf *out, const struct error_response *error)
{
    size_t length = 4 + 2 * field_len(error->severity) + field_len(error->code) +
                    field_len(error->message) + field_len(error->detail) +
                    field_len(error->hint) + 1;

    if (buf_reserve(out, 1 + length) == NULL)
        return;
    buf_put_u8(out, 'E');
    buf_put_u32(out, (uint32_t)length);
    put_field(out, 'S', error->severity);
    put_field(out, 'V', error->severity);
    put_field(out, 'C', error->code);
    put_field(out, 'M', error->message);
    put_field(out, 'D', error->detail);
    put_field(out, 'H', error->hint);
    buf_put_u8(out, 0);
}

struct fields {
    struct error_response known;
    const char           *severity_translated;
};

static void keep_field(struct fields *fields, uint8_t type, const char *value)
{
    switch (type) {
    case 'S': fields->severity_translated = value; break;
    case 'V': fields->known.severity = value; break;
    case 'C': fields->known.code = value; break;
    case 'M': fields->known.message = value; break;
    case 'D': fields->known.detail = value; break;
    case 'H': fields->known.hint = value; break;
    }
}

bool error_response_read(struct error_response *out, struct bytes message)
{
    struct fields fields = { 0 };
    struct reader r = reader_of(message);
    uint8_t       type;

    if (!frame_is_whole(message, 'E'))
        return false;
    reader_bytes(&r, FRAME_HEADER_LEN);
    while ((type = reader_u8(&r)) != 0)
        keep_field(&fields, type, reader_string(&r));
    if (!reader_ok(&r) || r.left.len > 0)
        return false;
    if (fields.known.severity == NULL)
        fields.known.severity = fields.severity_translated;
    *out = fields.known;
    return true;
}

void error_response_add_hint(struct buf *out, struct bytes message, const char *hint)
{
    struct error_response error;
    size_t                at, added;
    bool                  is_first;

    if (!error_response_read(&error, message)) {
        buf_put(out, message);
        return;
    }
    is_first = error.hint == NULL;
    at = is_first ? message.len - 1
                  : (size_t)((const uint8_t *)error.hint - message.p) + strlen(error.hint);
    added = 1 + strlen(hint) + (is_first ? 1 : 0);
    if (buf_reserve(out, message.len + added) == NULL)
        return;
    buf_put_u8(out, 'E');
    buf_put_u32(out, (uint32_t)(message.len - 1 + added));
    buf_put(out, bytes_of(message.p + FRAME_HEADER_LEN, at - FRAME_HEADER_LEN));
    buf_put_u8(out, is_first ? 'H' : '\n');
    buf_put(out, bytes_of(hint, strlen(hint) + (is_first ? 1 : 0)));
    buf_put(out, bytes_of(message.p + at, message.len - at));
}

bool error_response_has_code(const struct error_response *error, const char *sqlstate)
{
    return error->code != NULL && strcmp(error->code, sqlstate) == 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "pg/sasl.h"

#include "base/reader.h"
#include "pg/frame.h"

enum { LIST_AT = FRAME_HEADER_LEN + 4 };

int64_t auth_code(struct bytes message)
{
    if (!frame_is_whole(message, 'R') || message.len < LIST_AT)
        return -1;
    return bytes_u32(message.p + FRAME_HEADER_LEN);
}

static bool is_plus(const char *mechanism)
{
    static const char suffix[] = "-PLUS";
    size_t            len = strlen(mechanism);

    return len >= sizeof suffix - 1 &&
           strcmp(mechanism + len - (sizeof suffix - 1), suffix) == 0;
}

/* How many bytes of the list are of either kind, final NULs included; its end not counted. */
struct measure {
    size_t plus, others;
};

/* False where the list is broken or the message is another one. */
static bool list_measure(struct measure *out, struct bytes message)
{
    struct reader r = reader_of(message);
    const char   *name;

    *out = (struct measure){ 0, 0 };
    if (auth_code(message) != AUTH_SASL)
        return false;
    reader_bytes(&r, LIST_AT);
    while (*(name = reader_string(&r)) != '\0')
        *(is_plus(name) ? &out->plus : &out->others) += strlen(name) + 1;
    return reader_ok(&r);
}

bool sasl_offers_plus(struct bytes message)
{
    struct measure list;

    return list_measure(&list, message) && list.plus > 0;
}

bool sasl_strip_plus(struct buf *out, struct bytes message)
{
    struct reader  r = reader_of(message);
    struct measure list;
    const char    *name;

    if (!list_measure(&list, message) || list.plus == 0 || list.others == 0) {
        buf_put(out, message);
        return false;
    }
    if (buf_reserve(out, message.len - list.plus) == NULL)
        return false;
    buf_put_u8(out, 'R');
    buf_put_u32(out, (uint32_t)(message.len - list.plus - 1));
    buf_put_u32(out, AUTH_SASL);
    reader_bytes(&r, LIST_AT);
    while (*(name = reader_string(&r)) != '\0')
        if (!is_plus(name))
            buf_put_string(out, name);
    buf_put_u8(out, 0);
    buf_put(out, r.left);
    return true;
}

bool sasl_offers(struct bytes message, const char *mechanism)
{
    struct reader  r = reader_of(message);
    struct measure list;
    const char    *name;

    if (!list_measure(&list, message))
        return false;
    reader_bytes(&r, LIST_AT);
    while (*(name = reader_string(&r)) != '\0')
        if (strcmp(name, mechanism) == 0)
            return true;
    return false;
}

struct bytes auth_body(struct bytes message)
{
    bytes_skip(&message, LIST_AT);
    return message;
}

void auth_write(struct buf *out, uint32_t code, struct bytes body)
{
    if (buf_reserve(out, LIST_AT + body.len) == NULL)
        return;
    buf_put_u8(out, 'R');
    buf_put_u32(out, (uint32_t)(4 + 4 + body.len));
    buf_put_u32(out, code);
    buf_put(out, body);
}

void sasl_write_list(struct buf *out, bool with_plus)
{
    auth_write(out, AUTH_SASL,
               with_plus ? BYTES("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
                         : BYTES("SCRAM-SHA-256\0\0"));
}

void sasl_write_initial(struct buf *out, const char *mechanism, struct bytes body)
{
    size_t len = strlen(mechanism) + 1 + 4 + body.len;

    if (buf_reserve(out, FRAME_HEADER_LEN + len) == NULL)
        return;
    buf_put_u8(out, 'p');
    buf_put_u32(out, (uint32_t)(4 + len));
    buf_put_string(out, mechanism);
    buf_put_u32(out, (uint32_t)body.len);
    buf_put(out, body);
}

void sasl_write_response(struct buf *out, struct bytes body)
{
    if (buf_reserve(out, FRAME_HEADER_LEN + body.len) == NULL)
        return;
    buf_put_u8(out, 'p');
    buf_put_u32(out, (uint32_t)(4 + body.len));
    buf_put(out, body);
}

bool sasl_read_initial(struct sasl_initial *out, struct bytes message)
{
    struct reader r = reader_of(message);
    uint32_t      len;

    if (!frame_is_whole(message, 'p'))
        return false;
    reader_bytes(&r, FRAME_HEADER_LEN);
    out->mechanism = reader_string(&r);
    len = reader_u32(&r);
    out->has_body = len != UINT32_MAX;
    out->body = reader_bytes(&r, out->has_body ? len : 0);
    return reader_ok(&r) && r.left.len == 0;
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * Records that the kernel protects: frames in their place (tls/kernel.h).
 *
 * What they hold, and what is legal when, is the same for these as for our own.
 */
#include "tls/kernel.h"
#include "tls/record_layer.h"
#include "tls/record_own.h"

#include <errno.h>

/*
 * RFC 8446 5.5 has its limit in full-size records, that is in blocks of AES; with those of the
 * type and the tag.  A kernel that cannot change keys should not end a connection of many
 * small records for a limit that they come nowhere near.
 */
#define BLOCKS(content_bytes) (((content_bytes) + 1 + 15) / 16 + 2)

static void count_for_the_limit(struct tls_engine *engine, size_t content_bytes)
{
    size_t blocks = engine->kernel.blocks + BLOCKS(content_bytes);

    engine->session.write.sequence += blocks / BLOCKS(TLS_LONGEST_CONTENT);
    engine->kernel.blocks = (uint16_t)(blocks % BLOCKS(TLS_LONGEST_CONTENT));
}

bool tls_frame_put(struct tls_engine *engine, uint8_t type, struct bytes content)
{
    uint8_t header[TLS_FRAME_HEADER] = { type, 3, 3, (uint8_t)(content.len >> 8),
                                         (uint8_t)content.len };

    buf_put(engine->out, bytes_of(header, sizeof header));
    buf_put(engine->out, content);
    if (type != TLS_FRAME_KEY)
        count_for_the_limit(engine, content.len);
    return buf_ok(engine->out);
}

/* The next key is derived when the socket gets here, so that more than one may be due; what is
 * counted for its limit begins now. */
bool tls_frame_key(struct tls_engine *engine)
{
    engine->kernel.keys_due++;
    engine->session.write.sequence = 0;
    return tls_frame_put(engine, TLS_FRAME_KEY, bytes_of(NULL, 0));
}

/* Documentation/networking/tls.rst, "Receiving TLS application data": EBADMSG, EMSGSIZE and
 * EINVAL, and what each of them means. */
static enum tls_step stopped_reading(struct tls_engine *engine, struct bytes content)
{
    int error = content.len == 2 ? bytes_u16(content.p) : 0;

    switch (error) {
    case EBADMSG:
        return tls_record_refuse(engine, TLS_BAD_RECORD_MAC,
                                 "a record that cannot be decrypted");
    case EMSGSIZE:
        return tls_record_refuse(engine, TLS_RECORD_OVERFLOW, "a record that is too long");
    case EINVAL:
        return tls_record_refuse(engine, TLS_DECODE_ERROR, "a record of another version");
    default:
        return tls_record_refuse(engine, TLS_INTERNAL_ERROR, "what the kernel cannot read");
    }
}

static enum tls_step begin_frame(struct tls_engine *engine)
{
    struct bytes *in = engine->in;
    uint8_t       type = in->p[0];
    struct bytes  content;
    enum tls_step step;

    content = bytes_first(bytes_of(in->p + TLS_FRAME_HEADER, in->len - TLS_FRAME_HEADER),
                          bytes_u16(in->p + 3));
    if (type == TLS_FRAME_ERROR)
        return stopped_reading(engine, content);
    engine->session.read.sequence++;
    step = tls_record_content(engine, type, content);
    bytes_skip(in, TLS_FRAME_HEADER);
    if (type == TLS_CONTENT_DATA && step == STEP_ON)
        engine->kernel.left = (uint16_t)content.len;
    else
        bytes_skip(in, content.len);
    return step;
}

enum tls_step tls_frame_next(struct tls_engine *engine, struct tls_sink *sink)
{
    struct bytes  part;
    enum tls_step step;

    if (engine->kernel.left == 0) {
        if (engine->in->len < TLS_FRAME_HEADER)
            return STEP_MORE;
        if (sink->room == 0)
            return STEP_FULL;
        if ((step = begin_frame(engine)) != STEP_ON)
            return step;
    }
    part = bytes_first(*engine->in, engine->kernel.left);
    part = bytes_first(part, sink->room);
    if (part.len > 0)
        memcpy(sink->at, part.p, part.len);
    sink->at += part.len;
    sink->room -= part.len;
    bytes_skip(engine->in, part.len);
    engine->kernel.left = (uint16_t)(engine->kernel.left - part.len);
    return engine->kernel.left > 0 ? STEP_FULL : STEP_ON;
}

bool tls_record_cannot_update(struct tls_engine *engine, const char *what)
{
    tls_engine_need_failure(engine);
    if (engine->failure != NULL)
        fail_hint(engine->failure,
                  "Linux 6.14 can; or leave records to pgtls: record_layer \"record\"");
    fail(engine->failure, FAIL_TLS, "%s, and the kernel cannot change keys", what);
    tls_record_alert(engine, TLS_ALERT_FATAL, TLS_INTERNAL_ERROR);
    return false;
}

const struct tls_record_layer tls_record_kernel = {
    .name = "kernel",
    .read = tls_record_read,
    .write = tls_record_write,
    .sealed_size = tls_record_sealed_size,
    .close = tls_record_close,
};

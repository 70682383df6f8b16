/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"

#define ALERT_RECORD 7u /* header, level, number */

static int wire_read(BIO *bio, char *to, size_t room, size_t *got)
{
    struct tls_engine *engine = BIO_get_data(bio);
    struct bytes       taken;

    BIO_clear_retry_flags(bio);
    if (engine->in == NULL || engine->in->len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    taken = bytes_first(*engine->in, room);
    if (engine->first_byte < 0)
        engine->first_byte = taken.p[0];
    memcpy(to, taken.p, taken.len);
    bytes_skip(engine->in, taken.len);
    *got = taken.len;
    return 1;
}

/* A fatal alert in the clear whose number must be another: see engine_parts.h. */
static bool is_alert_to_replace(const struct tls_engine *engine, const char *from, size_t len)
{
    return engine->alert_wanted >= 0 && len == ALERT_RECORD && from[0] == 0x15;
}

static int wire_write(BIO *bio, const char *from, size_t len, size_t *put)
{
    struct tls_engine *engine = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (engine->out == NULL)
        return 0;
    if (engine->closed) { /* RFC 8446 6.1: OpenSSL would still answer a KeyUpdate */
        *put = len;
        return 1;
    }
    if (len > buf_room(engine->out)) {
        tls_engine_need_failure(engine);
        fail(engine->failure, FAIL_LIMIT, "no room for what must be sent");
    }
    buf_put(engine->out, bytes_of(from, len));
    if (!buf_ok(engine->out)) {
        tls_engine_need_failure(engine);
        fail(engine->failure, FAIL_MEMORY, "out of memory");
        return 0;
    }
    if (is_alert_to_replace(engine, from, len))
        engine->out->memory[engine->out->head + engine->out->len - 1] =
            (uint8_t)engine->alert_wanted;
    *put = len;
    return 1;
}

/* Everything else, kTLS and the like, is declined. */
static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_wire_method_new(void)
{
    /* no BIO_get_new_index(): it counts to 127 for the whole process, and reloads add up */
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pgtls wire");

    if (method == NULL)
        return NULL;
    if (BIO_meth_set_read_ex(method, wire_read) == 1 &&
        BIO_meth_set_write_ex(method, wire_write) == 1 &&
        BIO_meth_set_ctrl(method, wire_ctrl) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * TLS 1.3 records of our own: what we send.  What we receive is in record_read.c.
 *
 * RFC 8446 5.4 lets a sender pad; we do not.  5.1: "Implementations MUST NOT send zero-length
 * fragments of Handshake types": ours have a message or two bytes of alert.
 */
#include "tls/record_own.h"

#include "tls/kernel.h"
#include "tls/record_layer.h"
#include "tls/unpaid.h"

#include <openssl/crypto.h>

static bool seal(struct tls_engine *engine, enum tls_content type, struct bytes plain)
{
    uint8_t *to;

    if (engine->kernel.sends)
        return tls_frame_put(engine, (uint8_t)type, plain);
    to = buf_reserve(engine->out, plain.len + TLS_RECORD_OVERHEAD);
    if (to == NULL || !tls_traffic_seal(&engine->session.write,
                                        tls_context_aeads(engine->context), type, plain, to))
        return false;
    buf_wrote(engine->out, plain.len + TLS_RECORD_OVERHEAD);
    return true;
}

void tls_record_alert(struct tls_engine *engine, int level, int alert)
{
    uint8_t message[2] = { (uint8_t)level, (uint8_t)alert };

    /* RFC 8446 6.1: nothing follows our close_notify */
    if (engine->closed || buf_room(engine->out) < sizeof message + TLS_RECORD_OVERHEAD)
        return;
    if (seal(engine, TLS_CONTENT_ALERT, bytes_of(message, sizeof message)) && alert != 0)
        engine->alert_sent = (int16_t)alert;
}

bool tls_record_update(struct tls_engine *engine, bool request)
{
    struct tls_session *session = &engine->session;
    bool                is_kernels = engine->kernel.sends;
    uint8_t             message[] = { TLS_KEY_UPDATE, 0, 0, 1, request ? 1 : 0 };

    if (is_kernels && !engine_policy(engine)->kernel.rekeys)
        return tls_record_cannot_update(engine, session->answer_due
                                                    ? "the peer asks for a new key"
                                                    : "the key has protected enough");
    /* RFC 8446 4.6.3: "Both sender and receiver MUST encrypt their KeyUpdate messages with
     * the old keys"; "After sending a KeyUpdate message, the sender SHALL send all its traffic
     * using the next generation of keys".  5.1: "implementations MUST send these messages in
     * alignment with a record boundary." */
    if (!seal(engine, TLS_CONTENT_HANDSHAKE, bytes_of(message, sizeof message)) ||
        !(is_kernels ? tls_frame_key(engine)
                     : tls_traffic_update(&session->write, tls_context_aeads(engine->context))))
        return false;
    session->answer_due = false;
    session->answered = true;
    session->requested = session->requested || request;
    return true;
}

static enum fail cannot_seal(struct tls_engine *engine)
{
    tls_engine_need_failure(engine);
    fail(engine->failure, FAIL_TLS, "a record cannot be sealed");
    tls_engine_fail(engine);
    tls_record_wipe(engine);
    return FAIL_TLS;
}

static bool must_update(const struct tls_engine *engine)
{
    return engine->session.answer_due ||
           engine->session.write.sequence >=
               tls_aeads_records_per_key(tls_context_aeads(engine->context));
}

enum fail tls_record_write(struct tls_engine *engine, struct bytes plain)
{
    while (plain.len > 0) {
        /* RFC 8446 5.1: "The length MUST NOT exceed 2^14 bytes."  "Application Data records
         * MUST NOT be written to the wire unprotected".  5.4: "the full encoded
         * TLSInnerPlaintext MUST NOT exceed 2^14 + 1 octets." */
        struct bytes part = bytes_first(plain, engine->session.most_written);

        /* 4.6.3: "the receiver MUST send a KeyUpdate of its own with request_update set to
         * "update_not_requested" prior to sending its next Application Data record."
         * 5.5: "Implementations SHOULD do a key update [...] prior to reaching these limits."
         */
        if (must_update(engine) && !tls_record_update(engine, false))
            return cannot_seal(engine);
        if (!seal(engine, TLS_CONTENT_DATA, part))
            return cannot_seal(engine);
        tls_unpaid_pay(&engine->session.unpaid, 1);
        bytes_skip(&plain, part.len);
    }
    return FAIL_NONE;
}

size_t tls_record_sealed_size(const struct tls_engine *engine, size_t plain_bytes)
{
    const struct tls_session *session = &engine->session;
    uint64_t limit = tls_aeads_records_per_key(tls_context_aeads(engine->context));
    size_t   records = (plain_bytes + session->most_written - 1) / session->most_written;
    size_t   updates =
        (size_t)((session->write.sequence + records - 1) / limit) + session->answer_due;

    return plain_bytes + records * TLS_RECORD_OVERHEAD + updates * TLS_KEY_UPDATE_RECORD;
}

/* Not what keys are made of that the kernel has yet to get, for what waits in front of our last
 * words. */
static void wipe_write(struct tls_engine *engine)
{
    if (engine->kernel.keys_due == 0)
        tls_traffic_wipe(&engine->session.write, tls_context_aeads(engine->context));
}

/* RFC 8446 6.1: "Each party MUST send a "close_notify" alert before closing its write side
 * of the connection, unless it has already sent some error alert." */
void tls_record_close(struct tls_engine *engine)
{
    tls_record_alert(engine, TLS_ALERT_WARNING, 0);
    wipe_write(engine);
}

void tls_record_wipe(struct tls_engine *engine)
{
    tls_traffic_wipe(&engine->session.read, tls_context_aeads(engine->context));
    wipe_write(engine);
    tls_held_free(&engine->held);
}

const struct tls_record_layer tls_record_own = {
    .name = "record",
    .read = tls_record_read,
    .write = tls_record_write,
    .sealed_size = tls_record_sealed_size,
    .close = tls_record_close,
};

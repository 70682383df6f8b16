/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"
#include "tls/record_layer.h"
#include "tls/unpaid.h"

/* Header, inner type and tag; in TLS 1.2 an explicit nonce instead of the type. */
#define OVERHEAD_1_3 (5u + 1u + 16u)
#define OVERHEAD_1_2 (5u + 8u + 16u)

/* OpenSSL is on its way from a message behind the handshake back to data. */
static bool has_taken_message(OSSL_HANDSHAKE_STATE state)
{
    return state == TLS_ST_SR_KEY_UPDATE || state == TLS_ST_CR_KEY_UPDATE ||
           state == TLS_ST_CR_SESSION_TICKET;
}

/* One call of OpenSSL would take thousands of messages: where there are too many it finds no
 * more bytes. */
void tls_library_charge(struct tls_engine *engine)
{
    if (!tls_unpaid_charge(&engine->session.unpaid))
        engine->in = NULL;
}

void tls_library_steps(struct tls_engine *engine)
{
    if (engine->state == ENGINE_OPEN && has_taken_message(SSL_get_state(engine->ssl)))
        tls_library_charge(engine);
}

/* OpenSSL has no call for an alert of ours.  With TLS 1.3 it sends one for a record that is not
 * encrypted, and the same that our own records would: RFC 8446 5, "unexpected_message". */
static void alert(struct tls_engine *engine)
{
    struct bytes record = BYTES("\x16\x03\x03\x00\x01");
    size_t       n;

    engine->in = &record;
    (void)SSL_read_ex(engine->ssl, &(char){ 0 }, 1, &n);
    engine->in = NULL;
}

/* With TLS 1.2 the peer has had an alert for each. */
static enum tls_verdict refuse_messages(struct tls_engine *engine)
{
    tls_explain_sent(engine, TLS_TOO_MANY_UNPAID);
    if (SSL_version(engine->ssl) == TLS1_3_VERSION)
        alert(engine);
    return tls_engine_fail(engine);
}

static enum tls_verdict read_stopped(struct tls_engine *engine)
{
    switch (SSL_get_error(engine->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return engine->in == NULL ? refuse_messages(engine) : TLS_WANT_MORE;
    case SSL_ERROR_ZERO_RETURN:
        engine->state = ENGINE_PEER_CLOSED;
        bytes_skip(engine->in, engine->in->len); /* RFC 8446 6.1: ignored */
        return TLS_CLOSED;
    default: return tls_engine_fail(engine);
    }
}

static enum tls_verdict read_records(struct tls_engine *engine, uint8_t *plain, size_t room,
                                     size_t *got)
{
    while (*got < room) {
        size_t n = 0;

        if (SSL_read_ex(engine->ssl, plain + *got, room - *got, &n) != 1)
            return read_stopped(engine);
        *got += n;
        tls_unpaid_pay(&engine->session.unpaid, 1);
        /* asking once more would only make OpenSSL allocate its buffer again */
        if (engine->in != NULL && engine->in->len == 0 && SSL_has_pending(engine->ssl) == 0)
            return TLS_WANT_MORE;
    }
    return TLS_DONE;
}

/* OpenSSL answers a KeyUpdate with its next write, which may be hours away: it is made here. */
static bool answer_key_update(struct tls_engine *engine)
{
    size_t n;

    if (SSL_get_key_update_type(engine->ssl) == SSL_KEY_UPDATE_NONE || engine->closed)
        return true;
    return SSL_write_ex(engine->ssl, "", 0, &n) == 1;
}

static enum tls_verdict library_read(struct tls_engine *engine, uint8_t *plain, size_t room,
                                     size_t *got)
{
    enum tls_verdict verdict = read_records(engine, plain, room, got);

    if (verdict != TLS_FAILED && !answer_key_update(engine))
        return tls_engine_fail(engine);
    return verdict;
}

/* RFC 6066 4: the peer may have asked for less than our policy allows. */
static size_t record_bytes(const struct tls_engine *engine)
{
    size_t ours = engine_policy(engine)->max_record_bytes;
    size_t theirs = tls_fragment_limit(engine->ssl);

    return theirs < ours ? theirs : ours;
}

static size_t records_of(const struct tls_engine *engine, size_t plain_bytes)
{
    size_t most = record_bytes(engine);

    return (plain_bytes + most - 1) / most;
}

/* Counted only where something is unpaid: OpenSSL is asked for the size of records. */
static void pay(struct tls_engine *engine, size_t written_bytes)
{
    if (engine->session.unpaid > 0)
        tls_unpaid_pay(&engine->session.unpaid, records_of(engine, written_bytes));
}

static enum fail library_write(struct tls_engine *engine, struct bytes plain)
{
    size_t n;

    if (SSL_write_ex(engine->ssl, plain.p, plain.len, &n) == 1) {
        pay(engine, plain.len);
        return FAIL_NONE;
    }
    tls_engine_fail(engine);
    return tls_engine_failure(engine)->kind;
}

static size_t library_sealed_size(const struct tls_engine *engine, size_t plain_bytes)
{
    return plain_bytes +
           records_of(engine, plain_bytes) *
               (SSL_version(engine->ssl) == TLS1_3_VERSION ? OVERHEAD_1_3 : OVERHEAD_1_2);
}

static void library_close(struct tls_engine *engine)
{
    if (SSL_shutdown(engine->ssl) < 0)
        tls_engine_fail(engine);
}

const struct tls_record_layer tls_record_library = {
    .name = "library",
    .read = library_read,
    .write = library_write,
    .sealed_size = library_sealed_size,
    .close = library_close,
};

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"
#include "tls/record_layer.h"

/* Header, inner type and tag; in TLS 1.2 an explicit nonce instead of the type. */
#define OVERHEAD_1_3 (5u + 1u + 16u)
#define OVERHEAD_1_2 (5u + 8u + 16u)

static enum tls_verdict read_stopped(struct tls_engine *engine)
{
    switch (SSL_get_error(engine->ssl, 0)) {
    case SSL_ERROR_WANT_READ: return TLS_WANT_MORE;
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
        /* asking once more would only make OpenSSL allocate its buffer again */
        if (engine->in->len == 0 && SSL_has_pending(engine->ssl) == 0)
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

static enum fail library_write(struct tls_engine *engine, struct bytes plain)
{
    size_t n;

    if (SSL_write_ex(engine->ssl, plain.p, plain.len, &n) == 1)
        return FAIL_NONE;
    tls_engine_fail(engine);
    return tls_engine_failure(engine)->kind;
}

/* RFC 6066 4: the peer may have asked for less than our policy allows. */
static size_t record_bytes(const struct tls_engine *engine)
{
    size_t ours = engine_policy(engine)->max_record_bytes;
    size_t theirs = tls_fragment_limit(engine->ssl);

    return theirs < ours ? theirs : ours;
}

static size_t library_sealed_size(const struct tls_engine *engine, size_t plain_bytes)
{
    size_t most = record_bytes(engine);
    size_t records = (plain_bytes + most - 1) / most;

    return plain_bytes +
           records * (SSL_version(engine->ssl) == TLS1_3_VERSION ? OVERHEAD_1_3 : OVERHEAD_1_2);
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

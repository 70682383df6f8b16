/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine.h"

#include "tls/engine_parts.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"
#include "x509/certificate.h"
#include "x509/name_match.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

/* OpenSSL 3.0 frees 32 strings to clear a queue, also an empty one: a tenth of what a small
 * query costs us. */
static void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* A call of OpenSSL sees the caller's bytes, and an error queue that is its own. */
static void lend(struct tls_engine *engine, struct bytes *in, struct buf *out)
{
    engine->in = in;
    engine->out = out;
    engine->handover.marked = false;
    clear_errors();
}

static void take_back(struct tls_engine *engine)
{
    engine->in = NULL;
    engine->out = NULL;
    clear_errors();
}

/* As libpq does, after the handshake: the server hears a close_notify, not an alert. */
static enum fail check_name(struct tls_engine *engine)
{
    if (engine_policy(engine)->peer_check != TLS_PEER_NAME)
        return FAIL_NONE;
    if (engine->facts.peer_verified &&
        name_match(engine->peer, engine->verify_name, engine->failure) == FAIL_NONE)
        return FAIL_NONE;
    SSL_shutdown(engine->ssl);
    return fail(engine->failure, FAIL_CERT, "the server's certificate was not verified");
}

/* The first OpenSSL 3.0 takes any answer, also to what was never offered. */
static enum fail check_selected_alpn(struct tls_engine *engine)
{
    const unsigned char *p = NULL;
    unsigned             len = 0;

    SSL_get0_alpn_selected(engine->ssl, &p, &len);
    if (engine_role(engine) == TLS_SERVER || (len == 0 && !engine->alpn_required))
        return FAIL_NONE;
    if (len > 0 && engine->alpn != NULL &&
        bytes_equal(bytes_of(p, len), bytes_of_string(engine->alpn)))
        return FAIL_NONE;
    SSL_shutdown(engine->ssl);
    if (len > 0)
        return fail(engine->failure, FAIL_TLS,
                    "the server selected a protocol (ALPN) that was not offered");
    fail_hint(engine->failure, "direct TLS needs PostgreSQL 17 or later");
    return fail(engine->failure, FAIL_TLS, "the server selected no protocol (ALPN)");
}

static void empty(struct stack_st_X509 *certificates)
{
    X509 *certificate;

    while (certificates != NULL && (certificate = sk_X509_pop(certificates)) != NULL)
        X509_free(certificate);
}

/* OpenSSL keeps the peer's chain twice, for as long as the connection: 4 KB for each
 * certificate in it.  Only the leaf is asked for from here on, and that it holds apart. */
static void forget_chains(struct tls_engine *engine)
{
    empty(SSL_get_peer_cert_chain(engine->ssl));
    empty(SSL_get0_verified_chain(engine->ssl));
}

static enum fail keep_chain(struct tls_engine *engine)
{
    struct stack_st_X509 *sent = SSL_get_peer_cert_chain(engine->ssl);

    if (!engine->keep_chain || sk_X509_num(sent) <= 0)
        return FAIL_NONE;
    engine->chain = chain_new(sent, engine->failure);
    return engine->chain != NULL ? FAIL_NONE : FAIL_MEMORY;
}

static enum tls_verdict cannot_hand_over(struct tls_engine *engine)
{
    SSL_shutdown(engine->ssl);
    fail_hint(engine->failure, "record_layer \"auto\" leaves it to OpenSSL");
    fail(engine->failure, FAIL_TLS, "no record layer of our own for %s with %s",
         engine->facts.version, engine->facts.cipher);
    return tls_engine_fail(engine);
}

/* In a handshake each record would allocate and wipe its buffer anew: 100 KB in all.
 * (Newer libraries are told earlier: context.c.) */
static void stay_with_library(SSL *ssl)
{
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
}

static enum tls_verdict finish_handshake(struct tls_engine *engine)
{
    if (keep_chain(engine) != FAIL_NONE || tls_facts_collect(engine) != FAIL_NONE ||
        check_name(engine) != FAIL_NONE || check_selected_alpn(engine) != FAIL_NONE)
        return tls_engine_fail(engine);
    tls_engine_forget_names(engine);
    forget_chains(engine);
    if (!tls_handover(engine)) {
        if (engine_policy(engine)->record_layer == TLS_RECORDS_OWN)
            return cannot_hand_over(engine);
        stay_with_library(engine->ssl);
    }
    free(engine->failure);
    engine->failure = NULL;
    engine->facts.record_layer = engine->records->name;
    engine->state = ENGINE_OPEN;
    return TLS_DONE;
}

/* A server that ends the handshake for want of a client certificate has sent its own by then.
 */
static enum tls_verdict fail_handshake(struct tls_engine *engine)
{
    enum tls_verdict verdict = tls_engine_fail(engine);

    (void)keep_chain(engine);
    return verdict;
}

static enum tls_verdict step(struct tls_engine *engine)
{
    int rc;

    tls_handover_listen(engine);
    tls_key_schedule_tell(engine);
    rc = SSL_do_handshake(engine->ssl);
    tls_key_schedule_tell(NULL);
    if (rc == 1)
        return finish_handshake(engine);
    if (SSL_get_error(engine->ssl, rc) == SSL_ERROR_WANT_READ)
        return TLS_WANT_MORE;
    return fail_handshake(engine);
}

enum tls_verdict tls_engine_handshake(struct tls_engine *engine, struct bytes *in,
                                      struct buf *out)
{
    enum tls_verdict verdict;

    if (engine->state == ENGINE_FAILED)
        return TLS_FAILED;
    assert(engine->state == ENGINE_HANDSHAKE);
    lend(engine, in, out);
    verdict = step(engine);
    take_back(engine);
    return verdict;
}

enum tls_verdict tls_engine_read(struct tls_engine *engine, struct bytes *in, uint8_t *plain,
                                 size_t room, size_t *got, struct buf *out)
{
    enum tls_verdict verdict;

    *got = 0;
    assert(engine->state != ENGINE_HANDSHAKE);
    if (engine->state == ENGINE_PEER_CLOSED)
        return TLS_CLOSED;
    if (engine->state != ENGINE_OPEN)
        return TLS_FAILED;
    lend(engine, in, out);
    verdict = engine->records->read(engine, plain, room, got);
    take_back(engine);
    return verdict;
}

enum fail tls_engine_write(struct tls_engine *engine, struct bytes plain, struct buf *out)
{
    size_t    sealed;
    enum fail rc;

    assert(engine->state != ENGINE_HANDSHAKE);
    if (engine->state == ENGINE_FAILED || engine->closed)
        return FAIL_CLOSED;
    if (plain.len == 0)
        return FAIL_NONE;
    /* a write that broke off would be lost with the whole connection: room first */
    sealed = engine->records->sealed_size(engine, plain.len);
    if (sealed > buf_room(out))
        return FAIL_LIMIT;
    if (buf_reserve(out, sealed) == NULL)
        return FAIL_MEMORY;
    lend(engine, NULL, out);
    rc = engine->records->write(engine, plain);
    take_back(engine);
    return rc;
}

size_t tls_engine_sealed_size(const struct tls_engine *engine, size_t plain_bytes)
{
    return engine->records->sealed_size(engine, plain_bytes);
}

void tls_engine_close(struct tls_engine *engine, struct buf *out)
{
    if (engine->closed || engine->state == ENGINE_HANDSHAKE || engine->state == ENGINE_FAILED)
        return;
    lend(engine, NULL, out);
    engine->records->close(engine);
    take_back(engine);
    engine->closed = true;
}

void tls_engine_eof(struct tls_engine *engine)
{
    if (engine->state != ENGINE_HANDSHAKE && engine->state != ENGINE_OPEN)
        return;
    tls_explain_eof(engine);
    engine->state = engine->state == ENGINE_OPEN ? ENGINE_TRUNCATED : ENGINE_FAILED;
}

const struct tls_facts *tls_engine_facts(const struct tls_engine *engine)
{
    return &engine->facts;
}

const struct failure *tls_engine_failure(const struct tls_engine *engine)
{
    static const struct failure none = { .kind = FAIL_NONE };
    static const struct failure no_memory = { .kind = FAIL_MEMORY, .text = "out of memory" };

    if (engine->failure != NULL)
        return engine->failure;
    return engine->state == ENGINE_FAILED || engine->state == ENGINE_TRUNCATED ? &no_memory
                                                                               : &none;
}

void tls_engine_need_failure(struct tls_engine *engine)
{
    if (engine->failure == NULL)
        engine->failure = calloc(1, sizeof *engine->failure);
}

int tls_engine_host(const struct tls_engine *engine)
{
    return engine->host;
}

const struct identity *tls_engine_own_identity(const struct tls_engine *engine)
{
    return engine->own;
}

int tls_engine_alert_received(const struct tls_engine *engine)
{
    return engine->alert_received;
}

int tls_engine_alert_sent(const struct tls_engine *engine)
{
    return engine->alert_sent;
}

int tls_engine_first_byte(const struct tls_engine *engine)
{
    return engine->first_byte;
}

struct chain *tls_engine_take_chain(struct tls_engine *engine)
{
    struct chain *chain = engine->chain;

    engine->chain = NULL;
    return chain;
}

enum fail tls_engine_peer_names(const struct tls_engine   *engine,
                                enum certificate_name_kind kind, struct certificate_names *out,
                                struct failure *why)
{
    *out = (struct certificate_names){ 0 };
    if (!engine->facts.peer_verified || engine->peer == NULL)
        return FAIL_NONE;
    return certificate_names_read(out, engine->peer, kind, why);
}

void tls_engine_forget_peer(struct tls_engine *engine)
{
    X509_free(engine->peer);
    engine->peer = NULL;
}

bool tls_engine_peer_is(const struct tls_engine *engine, struct bytes leaf_der)
{
    unsigned char *der = NULL;
    int            len = engine->peer != NULL ? i2d_X509(engine->peer, &der) : 0;
    bool           same = len > 0 && bytes_equal(bytes_of(der, (size_t)len), leaf_der);

    OPENSSL_free(der);
    ERR_clear_error();
    return same;
}

/* SPDX-License-Identifier: PostgreSQL */
/* How an engine is made, and freed. */
#include "tls/engine_parts.h"
#include "tls/record_layer.h"
#include "tls/record_own.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

static enum fail copy_string(char **to, const char *from, struct failure *why)
{
    size_t size;

    if (from == NULL)
        return FAIL_NONE;
    size = strlen(from) + 1;
    if ((*to = malloc(size)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    memcpy(*to, from, size);
    return FAIL_NONE;
}

/* libpq's rule for what is never announced: digits and dots only, or a colon. */
static bool is_announced(const char *sni)
{
    return sni != NULL && *sni != '\0' && strspn(sni, "0123456789.") != strlen(sni) &&
           strchr(sni, ':') == NULL;
}

static enum fail offer_alpn(SSL *ssl, const char *alpn, struct failure *why)
{
    size_t        len = alpn != NULL ? strlen(alpn) : 0;
    unsigned char list[256];

    if (len == 0)
        return FAIL_NONE;
    if (len > sizeof list - 1)
        return fail(why, FAIL_CONFIG, "the ALPN name is longer than 255 bytes");
    list[0] = (unsigned char)len;
    memcpy(list + 1, alpn, len);
    if (SSL_set_alpn_protos(ssl, list, (unsigned)len + 1) != 0)
        return fail(why, FAIL_MEMORY, "out of memory");
    return FAIL_NONE;
}

static enum fail start_client(struct tls_engine               *engine,
                              const struct tls_engine_options *options, struct failure *why)
{
    SSL_set_connect_state(engine->ssl);
    if (is_announced(options->sni) && SSL_set_tlsext_host_name(engine->ssl, options->sni) != 1)
        return fail(why, FAIL_CONFIG, "the name to announce (SNI) is longer than 255 bytes");
    return offer_alpn(engine->ssl, options->alpn, why);
}

static enum fail start_library(struct tls_engine               *engine,
                               const struct tls_engine_options *options, struct failure *why)
{
    BIO *wire = BIO_new(tls_context_wire(engine->context));

    engine->ssl = SSL_new(tls_context_library(engine->context));
    if (wire == NULL || engine->ssl == NULL) {
        BIO_free(wire);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    BIO_set_data(wire, engine);
    BIO_set_init(wire, 1);
    SSL_set_bio(engine->ssl, wire, wire);
    SSL_set_app_data(engine->ssl, engine);
    if (tls_context_hosts(engine->context) == NULL &&
        !tls_context_adopt(engine->context, engine->ssl, options->wall_s))
        return fail(why, FAIL_MEMORY, "out of memory");
    if (engine_role(engine) == TLS_CLIENT)
        return start_client(engine, options, why);
    SSL_set_accept_state(engine->ssl);
    return FAIL_NONE;
}

static enum fail start(struct tls_engine *engine, const struct tls_engine_options *options,
                       struct failure *why)
{
    enum fail rc;

    if (engine_policy(engine)->peer_check == TLS_PEER_NAME &&
        (options->verify_name == NULL || *options->verify_name == '\0'))
        return fail(why, FAIL_CONFIG, "no host name to compare the server certificate with");
    if (options->alpn_required && options->alpn == NULL)
        return fail(why, FAIL_CONFIG, "a protocol (ALPN) is required, and none is named");
    if (engine->failure == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if ((rc = copy_string(&engine->verify_name, options->verify_name, why)) != FAIL_NONE ||
        (rc = copy_string(&engine->alpn, options->alpn, why)) != FAIL_NONE)
        return rc;
    return start_library(engine, options, why);
}

struct tls_engine *tls_engine_new_raw(struct tls_context *context)
{
    struct tls_engine *engine = calloc(1, sizeof *engine);

    if (engine == NULL)
        return NULL;
    engine->chosen = engine->context = tls_context_hold(context);
    engine->host = -1;
    engine->records = &tls_record_library;
    engine->first_byte = engine->alert_received = engine->alert_sent = -1;
    engine->alert_wanted = -1;
    return engine;
}

struct tls_engine *tls_engine_new(struct tls_context              *context,
                                  const struct tls_engine_options *options, struct failure *why)
{
    struct tls_engine *engine = tls_engine_new_raw(context);
    enum fail          rc;

    if (engine == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    engine->wall_s = options->wall_s;
    engine->alpn_required = options->alpn_required;
    engine->keep_chain = options->keep_chain;
    tls_engine_need_failure(engine);
    rc = start(engine, options, why);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return engine;
    tls_engine_free(engine);
    return NULL;
}

void tls_engine_forget_names(struct tls_engine *engine)
{
    free(engine->verify_name);
    free(engine->alpn);
    free(engine->announced);
    engine->verify_name = NULL;
    engine->alpn = NULL;
    engine->announced = NULL;
}

void tls_engine_free(struct tls_engine *engine)
{
    if (engine == NULL)
        return;
    SSL_free(engine->ssl);
    X509_free(engine->peer);
    chain_free(engine->chain);
    tls_engine_forget_names(engine);
    free(engine->texts);
    free(engine->endpoint);
    free(engine->failure);
    if (engine->records != &tls_record_library)
        tls_record_wipe(engine);
    OPENSSL_cleanse(&engine->session, sizeof engine->session);
    tls_context_release(engine->context);
    free(engine);
}

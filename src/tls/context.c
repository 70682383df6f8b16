/* SPDX-License-Identifier: PostgreSQL */
#include "tls/context.h"

#include "tls/engine_parts.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* TLS 1.2: forward secrecy and AEAD only.  TLS 1.3's suites are all of that kind. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context {
    unsigned           holders; /* of one thread */
    struct tls_policy *policy;
    SSL_CTX           *library;
    BIO_METHOD        *wire;
};

static int on_verify(int is_good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

    if (!is_good)
        tls_explain_certificate(engine_of(ssl), store);
    return is_good;
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_engine *engine = engine_of(ssl);
    int16_t            alert = (int16_t)(value & 0xff);

    if ((where & SSL_CB_ALERT) == 0 || alert == SSL3_AD_CLOSE_NOTIFY)
        return;
    if ((where & SSL_CB_READ) != 0)
        engine->alert_received = alert;
    else
        engine->alert_sent = alert;
}

/* RFC 7301 3.2: without a common protocol the server refuses with no_application_protocol. */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                   const unsigned char *offer, unsigned offer_len, void *unused)
{
    const char *ours = engine_of(ssl)->alpn;

    if (ours == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned at = 0; at < offer_len; at += 1u + offer[at]) {
        if (!bytes_equal(bytes_of(offer + at + 1, offer[at]), bytes_of_string(ours)))
            continue;
        *chosen = offer + at + 1;
        *chosen_len = offer[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_options(SSL_CTX *library)
{
    SSL_CTX_set_options(library, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* openssl.cnf may have set these: a truncation must be seen, and kTLS wants a socket */
    SSL_CTX_clear_options(library, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS |
                                       SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    SSL_CTX_set_mode(library, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(library, 0); /* what follows the handshake stays the caller's */
    SSL_CTX_set_session_cache_mode(library, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_info_callback(library, on_info);
    SSL_CTX_set_alpn_select_cb(library, on_alpn, NULL);
}

static bool set_protocol(SSL_CTX *library, const struct tls_policy_options *options)
{
    /* openssl.cnf may ask for more than TLS 1.2, not for less */
    if (SSL_CTX_get_min_proto_version(library) < TLS1_2_VERSION &&
        SSL_CTX_set_min_proto_version(library, TLS1_2_VERSION) != 1)
        return false;
    return SSL_CTX_set_cipher_list(library, CIPHERS_1_2) == 1 &&
           SSL_CTX_set_num_tickets(library, 0) == 1 &&
           SSL_CTX_set_block_padding(library, 0) == 1 &&
           SSL_CTX_set_max_send_fragment(library, (long)options->max_record_bytes) == 1 &&
           SSL_CTX_set_session_id_context(library, (const unsigned char *)"pgtls", 5) == 1;
}

static enum fail set_identity(SSL_CTX *library, const struct identity *identity,
                              struct failure *why)
{
    if (identity == NULL ||
        SSL_CTX_use_cert_and_key(library, identity_leaf(identity), identity_key(identity),
                                 identity_intermediates(identity), 1) == 1)
        return FAIL_NONE;
    fail_hint(why,
              "OpenSSL's security level asks for RSA keys of 2048 bits or more and SHA-256");
    return fail(why, FAIL_CERT, "the certificate cannot be used for TLS: %s",
                tls_library_error_text(tls_library_error()));
}

static enum fail set_trust(SSL_CTX *library, const struct tls_policy_options *options,
                           struct failure *why)
{
    bool        is_server = options->role == TLS_SERVER;
    X509_STORE *store;

    if (options->peer_check == TLS_PEER_ANY)
        return FAIL_NONE;
    if ((store = trust_new_store(options->trust, why)) == NULL)
        return FAIL_CERT;
    SSL_CTX_set_cert_store(library, store);
    if (is_server)
        SSL_CTX_set0_CA_list(library, trust_new_names(options->trust));
    if (SSL_CTX_set_purpose(library,
                            is_server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER) != 1)
        return fail(why, FAIL_MEMORY, "out of memory");
    /* a client without a certificate gets an error in its own protocol, not an alert */
    SSL_CTX_set_verify(library, SSL_VERIFY_PEER, on_verify);
    return FAIL_NONE;
}

static enum fail build(struct tls_context *context, struct failure *why)
{
    const struct tls_policy_options *options = tls_policy_options(context->policy);
    enum fail                        rc;

    context->wire = tls_wire_method_new();
    context->library =
        SSL_CTX_new(options->role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (context->wire == NULL || context->library == NULL ||
        !set_protocol(context->library, options))
        return fail(why, FAIL_TLS, "no TLS context can be made: %s",
                    tls_library_error_text(tls_library_error()));
    set_options(context->library);
    if ((rc = set_identity(context->library, options->identity, why)) != FAIL_NONE)
        return rc;
    return set_trust(context->library, options, why);
}

struct tls_context *tls_context_new(struct tls_policy *policy, struct failure *why)
{
    struct tls_context *context = calloc(1, sizeof *context);
    enum fail           rc;

    if (context == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    context->holders = 1;
    context->policy = tls_policy_hold(policy);
    ERR_clear_error();
    rc = build(context, why);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return context;
    tls_context_release(context);
    return NULL;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    context->holders++;
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context == NULL || --context->holders > 0)
        return;
    SSL_CTX_free(context->library);
    BIO_meth_free(context->wire);
    tls_policy_release(context->policy);
    free(context);
}

const struct tls_policy *tls_context_policy(const struct tls_context *context)
{
    return context->policy;
}

SSL_CTX *tls_context_library(const struct tls_context *context)
{
    return context->library;
}

const BIO_METHOD *tls_context_wire(const struct tls_context *context)
{
    return context->wire;
}

const char *tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

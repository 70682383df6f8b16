/* SPDX-License-Identifier: PostgreSQL */
#include "tls/context.h"

#include "tls/engine_parts.h"
#include "tls/key_schedule.h"
#include "tls/parameters.h"
#include "tls/seen.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define TICKETS 1 /* that a client gets after a full handshake in TLS 1.3 */

/* RFC 8446 4.6.1: "Servers MUST NOT use any value greater than 604800 seconds (7 days)." */
#define TICKET_LIFETIME_S 7200

struct tls_context {
    unsigned             holders; /* of one thread */
    struct tls_policy   *policy;
    SSL_CTX             *library;
    BIO_METHOD          *wire;
    struct tls_aeads    *aeads;
    struct tls_hosts    *hosts; /* NULL: one policy for all */
    struct tls_context **of_hosts;
    struct trust_pool   *pool; /* while it is made; or NULL */
    struct tls_seen      seen;
};

static int on_verify(int is_good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

    if (!is_good)
        tls_explain_certificate(engine_of(ssl), store);
    return is_good;
}

/*
 * Since OpenSSL 3.2 what protects the records that we send learns when it is made, which is
 * when keys change, whether its buffer is to be kept.  So connections that stay with OpenSSL
 * tell it in the handshake: those of TLS 1.2, and all where `record_layer` says so.
 */
static void release_buffers(SSL *ssl)
{
    if (OpenSSL_version_num() >= 0x30200000L &&
        (SSL_version(ssl) < TLS1_3_VERSION ||
         engine_policy(engine_of(ssl))->record_layer == TLS_RECORDS_LIBRARY))
        SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_engine *engine = engine_of(ssl);
    int16_t            alert = (int16_t)(value & 0xff);

    if ((where & SSL_CB_LOOP) != 0) {
        release_buffers((SSL *)(uintptr_t)ssl);
        tls_handover_passes(engine, SSL_get_state(ssl));
        tls_library_steps(engine);
    }
    if ((where & SSL_CB_ALERT) == 0 || alert == SSL3_AD_CLOSE_NOTIFY ||
        alert == SSL_AD_USER_CANCELLED) /* says nothing by itself: RFC 8446 6.1 */
        return;
    if ((where & SSL_CB_READ) != 0) {
        engine->alert_received = alert;
        return;
    }
    engine->alert_sent = engine->alert_wanted >= 0 ? engine->alert_wanted : alert;
    if (alert == SSL_AD_NO_RENEGOTIATION)
        tls_library_charge(engine);
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

/* A client comes here when the server asks for a certificate, whether there is one or not. */
static int on_certificate_asked_for(SSL *ssl, void *unused)
{
    engine_of(ssl)->facts.asked_for_certificate = true;
    return 1;
}

static void set_options(SSL_CTX *library)
{
    SSL_CTX_set_options(library,
                        SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* openssl.cnf may have set these: a truncation must be seen, and kTLS wants a socket */
    SSL_CTX_clear_options(library, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS |
                                       SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    SSL_CTX_set_mode(library, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(library, 0); /* what follows the handshake stays the caller's */
    SSL_CTX_set_session_cache_mode(library, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(library, TICKET_LIFETIME_S);
    SSL_CTX_set_info_callback(library, on_info);
    SSL_CTX_set_alpn_select_cb(library, on_alpn, NULL);
}

static bool set_limits(SSL_CTX *library)
{
    return SSL_CTX_set_num_tickets(library, 0) == 1 &&
           SSL_CTX_set_block_padding(library, 0) == 1 &&
           SSL_CTX_set_max_early_data(library, 0) == 1;
}

/* What one SSL_CTX does not carry over to an SSL that was begun with another: both the engines
 * of one policy and those of hosts get it here, so that there is one list of it. */
static bool adopt_policy(SSL *ssl, const struct tls_policy *policy)
{
    const struct tls_policy_options *options = tls_policy_options(policy);
    const SSL_CTX                   *library = SSL_get_SSL_CTX(ssl);

    if (options->ticket_keys != NULL) {
        SSL_clear_options(ssl, SSL_OP_NO_TICKET);
        if (SSL_set_num_tickets(ssl, TICKETS) != 1)
            return false;
    }
    if ((SSL_CTX_get_options(library) & SSL_OP_CIPHER_SERVER_PREFERENCE) == 0)
        SSL_clear_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    else
        SSL_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(library), SSL_CTX_get_verify_callback(library));
    return SSL_set_session_id_context(ssl, tls_policy_session_context(policy),
                                      TLS_SESSION_CONTEXT_BYTES) == 1 &&
           SSL_set_max_send_fragment(ssl, (long)options->max_record_bytes) == 1;
}

/* The rest of it, which an SSL has from the start where it was begun with this context.  Groups
 * are text each time: by numbers some cannot be named, nor what 3.5 lets a list prefer. */
static bool carry_over(SSL *ssl, SSL_CTX *library, const char *groups)
{
    /* brings certificates, ciphers, DH, security level, store and names of CAs */
    return SSL_set_SSL_CTX(ssl, library) != NULL &&
           SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(library)) == 1 &&
           SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(library)) == 1 &&
           (groups == NULL || SSL_set1_groups_list(ssl, groups) == 1);
}

bool tls_context_adopt(const struct tls_context *context, SSL *ssl, int64_t wall_s)
{
    const struct tls_policy_options *options = tls_policy_options(context->policy);

    if (SSL_get_SSL_CTX(ssl) != context->library &&
        !carry_over(ssl, context->library, options->groups))
        return false;
    X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)wall_s);
    return adopt_policy(ssl, context->policy);
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

static enum fail set_identities(SSL_CTX *library, const struct tls_policy_options *options,
                                struct failure *why)
{
    enum fail rc = set_identity(library, options->identity, why);

    for (size_t i = 0; rc == FAIL_NONE && i < TLS_MOST_IDENTITIES - 1; i++)
        rc = set_identity(library, options->more_identities[i], why);
    return rc;
}

static enum fail set_trust(const struct tls_context *context, struct failure *why)
{
    const struct tls_policy_options *options = tls_policy_options(context->policy);
    SSL_CTX                         *library = context->library;
    bool                             is_server = options->role == TLS_SERVER;
    X509_STORE                      *store;

    if (options->peer_check == TLS_PEER_ANY)
        return FAIL_NONE;
    if ((store = trust_pool_store(context->pool, options->trust, why)) == NULL)
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

static enum fail new_library(struct tls_context *context, struct failure *why)
{
    const struct tls_policy_options *options = tls_policy_options(context->policy);
    bool                             is_server = options->role == TLS_SERVER;

    if ((context->aeads = tls_aeads_new()) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    context->wire = tls_wire_method_new();
    context->library = SSL_CTX_new_ex(NULL, tls_key_schedule_properties(),
                                      is_server ? TLS_server_method() : TLS_client_method());
    if (context->wire == NULL || context->library == NULL || !set_limits(context->library))
        return fail(why, FAIL_TLS, "no TLS context can be made: %s",
                    tls_library_error_text(tls_library_error()));
    set_options(context->library);
    if (!is_server)
        SSL_CTX_set_cert_cb(context->library, on_certificate_asked_for, NULL);
    if (is_server) {
        SSL_CTX_set_client_hello_cb(context->library, tls_hello_received, NULL);
        tls_tickets_install(context->library);
    }
    return FAIL_NONE;
}

static enum fail build(struct tls_context *context, struct failure *why)
{
    const struct tls_policy_options *options = tls_policy_options(context->policy);
    enum fail                        rc;

    if ((rc = new_library(context, why)) != FAIL_NONE ||
        (rc = tls_parameters_apply(context->library, options, tls_policy_dh(context->policy),
                                   why)) != FAIL_NONE ||
        (rc = set_identities(context->library, options, why)) != FAIL_NONE)
        return rc;
    return set_trust(context, why);
}

/* An SSL begins with a context that has nothing set, and is then made one of a host. */
static enum fail build_for_hosts(struct tls_context *context, struct failure *why)
{
    static const struct tls_policy_options plain = { .role = TLS_SERVER };
    size_t                                 count = tls_hosts_count(context->hosts);
    enum fail                              rc = new_library(context, why);

    if (rc == FAIL_NONE)
        rc = tls_parameters_apply(context->library, &plain, NULL, why);
    if (rc != FAIL_NONE)
        return rc;
    if ((context->of_hosts = calloc(count, sizeof(struct tls_context *))) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        context->of_hosts[i] =
            tls_context_new_in(tls_hosts_policy(context->hosts, i), context->pool, why);
        if (context->of_hosts[i] == NULL)
            return FAIL_TLS;
    }
    return FAIL_NONE;
}

static struct tls_context *new_context(struct tls_policy *policy, struct tls_hosts *hosts,
                                       struct trust_pool *pool, struct failure *why)
{
    struct tls_context *context = calloc(1, sizeof *context);
    enum fail           rc;

    if (context == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    context->holders = 1;
    context->policy = tls_policy_hold(policy);
    context->hosts = hosts != NULL ? tls_hosts_hold(hosts) : NULL;
    context->pool = pool;
    ERR_clear_error();
    rc = hosts != NULL ? build_for_hosts(context, why) : build(context, why);
    context->pool = NULL;
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return context;
    tls_context_release(context);
    return NULL;
}

struct tls_context *tls_context_new(struct tls_policy *policy, struct failure *why)
{
    return new_context(policy, NULL, NULL, why);
}

struct tls_context *tls_context_new_in(struct tls_policy *policy, struct trust_pool *pool,
                                       struct failure *why)
{
    return new_context(policy, NULL, pool, why);
}

struct tls_context *tls_context_new_for_hosts(struct tls_hosts *hosts, struct trust_pool *pool,
                                              struct failure *why)
{
    return new_context(tls_hosts_policy(hosts, 0), hosts, pool, why);
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
    for (size_t i = 0; context->of_hosts != NULL && i < tls_hosts_count(context->hosts); i++)
        tls_context_release(context->of_hosts[i]);
    free(context->of_hosts);
    tls_hosts_release(context->hosts);
    SSL_CTX_free(context->library);
    BIO_meth_free(context->wire);
    tls_aeads_release(context->aeads);
    tls_seen_fini(&context->seen);
    tls_policy_release(context->policy);
    free(context);
}

void tls_context_share(struct tls_context *context, struct tls_aeads *aeads)
{
    tls_aeads_release(context->aeads);
    context->aeads = tls_aeads_hold(aeads);
    for (size_t i = 0; context->of_hosts != NULL && i < tls_hosts_count(context->hosts); i++)
        tls_context_share(context->of_hosts[i], aeads);
}

struct tls_aeads *tls_context_aeads(const struct tls_context *context)
{
    return context->aeads;
}

struct tls_seen *tls_context_seen(struct tls_context *context)
{
    return &context->seen;
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

const struct tls_hosts *tls_context_hosts(const struct tls_context *context)
{
    return context->hosts;
}

const struct tls_context *tls_context_of_host(const struct tls_context *context, size_t host)
{
    return context->of_hosts[host];
}

int tls_context_security_level(const struct tls_context *context)
{
    return SSL_CTX_get_security_level(context->library);
}

const char *tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

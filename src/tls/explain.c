/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"
#include "x509/certificate.h"
#include "x509/verify_hint.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

/* From OpenSSL 3.2: stands in front of the reason that says something. */
#ifndef SSL_R_RECORD_LAYER_FAILURE
#define SSL_R_RECORD_LAYER_FAILURE 313
#endif

#define TLS_FIRST_BYTE_HANDSHAKE 0x16
#define TLS_FIRST_BYTE_ALERT     0x15

/* RFC 8446 6 and, for TLS 1.2, RFC 5246 7.2.  The hint is for whoever received it. */
static const struct alert {
    int         number;
    const char *name;
    const char *hint;
} alerts[] = {
    { 0, "close_notify", NULL },
    { 10, "unexpected_message", NULL },
    { 20, "bad_record_mac", NULL },
    { 22, "record_overflow", NULL },
    { 40, "handshake_failure",
      "no cipher, group or kind of certificate in common, or a client certificate is "
      "demanded" },
    { 42, "bad_certificate", "the peer refuses our certificate; its log says why" },
    { 43, "unsupported_certificate",
      "our certificate is not of a kind or for a purpose that the peer takes" },
    { 44, "certificate_revoked", "our certificate has been revoked" },
    { 45, "certificate_expired", "our certificate has expired by the peer's clock" },
    { 46, "certificate_unknown", "the peer refuses our certificate; its log says why" },
    { 47, "illegal_parameter", NULL },
    { 48, "unknown_ca",
      "the peer does not trust the CA of our certificate: does it have the root "
      "certificate, and do we send every intermediate one" },
    { 49, "access_denied", NULL },
    { 50, "decode_error", NULL },
    { 51, "decrypt_error", NULL },
    { 70, "protocol_version", "TLS 1.2 and 1.3 are spoken here, and the peer knows neither" },
    { 71, "insufficient_security", NULL },
    { 80, "internal_error", "the peer's log says why" },
    { 86, "inappropriate_fallback", NULL },
    { 90, "user_canceled", NULL },
    { 100, "no_renegotiation", NULL },
    { 109, "missing_extension", "the peer wants to be told a server name (SNI)" },
    { 110, "unsupported_extension", NULL },
    { 112, "unrecognized_name", "the peer does not know the server name (SNI) that was sent" },
    { 113, "bad_certificate_status_response", NULL },
    { 115, "unknown_psk_identity", NULL },
    { 116, "certificate_required", "the peer demands a client certificate, and none was sent" },
    { 120, "no_application_protocol", "the peer does not speak the protocol offered by ALPN" },
};

static const struct {
    int         reason;
    const char *hint;
} reason_hints[] = {
    { SSL_R_NO_SHARED_CIPHER,
      "the peer offers none of our ciphers (TLS 1.2: ECDHE with AES-GCM or ChaCha20, unless "
      "ciphers says others), or none for our certificate's kind of key" },
    { SSL_R_UNSUPPORTED_PROTOCOL, "the peer must speak TLS 1.2 or later" },
    { SSL_R_VERSION_TOO_LOW, "the peer must speak TLS 1.2 or later" },
    { SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS, or a version long gone" },
    { SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
      "the peer takes no signature that our certificate's key can make" },
    { SSL_R_NO_SHARED_GROUPS, "the peer offers no key exchange group of ours" },
    { SSL_R_NO_SUITABLE_GROUPS, "the peer offers no key exchange group of ours" },
    { SSL_R_NO_SUITABLE_KEY_SHARE, "the peer offers no key exchange group of ours" },
    { SSL_R_NO_APPLICATION_PROTOCOL,
      "the ALPN list of the peer must have the protocol spoken here" },
    { SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
      "the peer's TLS library is from before 2010" },
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const struct alert *find_alert(int number)
{
    for (size_t i = 0; i < COUNT(alerts); i++) {
        if (alerts[i].number == number)
            return &alerts[i];
    }
    return NULL;
}

const char *tls_alert_name(int alert)
{
    const struct alert *known = find_alert(alert);

    return known != NULL ? known->name : NULL;
}

static const char *name_or_unknown(int alert)
{
    const char *name = tls_alert_name(alert);

    return name != NULL ? name : "unknown";
}

unsigned long tls_library_error(void)
{
    unsigned long chosen = 0, error;

    while ((error = ERR_get_error()) != 0) {
        bool says_something = ERR_GET_LIB(error) == ERR_LIB_SSL &&
                              ERR_GET_REASON(error) != SSL_R_RECORD_LAYER_FAILURE;

        if (chosen == 0 || (says_something && ERR_GET_LIB(chosen) != ERR_LIB_SSL) ||
            (says_something && ERR_GET_REASON(chosen) == SSL_R_RECORD_LAYER_FAILURE))
            chosen = error;
    }
    return chosen;
}

const char *tls_library_error_text(unsigned long error)
{
    const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;

    return text != NULL ? text : "OpenSSL does not say why";
}

static const char *peer_word(const struct tls_engine *engine)
{
    return engine_role(engine) == TLS_SERVER ? "client" : "server";
}

void tls_explain_certificate(struct tls_engine *engine, X509_STORE_CTX *store)
{
    int                      error = X509_STORE_CTX_get_error(store);
    X509                    *x509 = X509_STORE_CTX_get_current_cert(store);
    struct certificate_facts about = { 0 };
    const char              *what = X509_verify_cert_error_string(error);

    if (verify_hint(error) != NULL)
        fail_hint(engine->failure, "%s", verify_hint(error));
    if (x509 == NULL || certificate_facts_init(&about, x509, NULL) != FAIL_NONE)
        fail(engine->failure, FAIL_CERT, "%s's certificate: %s", peer_word(engine), what);
    else
        fail(engine->failure, FAIL_CERT,
             "%s's certificate: %s (depth %d, serial %.40s, subject %.64s, issuer %.64s)",
             peer_word(engine), what, X509_STORE_CTX_get_error_depth(store), about.serial,
             about.subject, about.issuer);
    certificate_facts_fini(&about);
}

static void explain_alert(struct tls_engine *engine)
{
    const struct alert *alert = find_alert(engine->alert_received);

    fail(engine->failure, FAIL_TLS, "the %s sent alert %d %s", peer_word(engine),
         engine->alert_received, name_or_unknown(engine->alert_received));
    if (alert != NULL && alert->hint != NULL)
        fail_hint(engine->failure, "%s", alert->hint);
}

static bool peer_spoke_no_tls(const struct tls_engine *engine)
{
    return engine->first_byte >= 0 && engine->first_byte != TLS_FIRST_BYTE_HANDSHAKE &&
           engine->first_byte != TLS_FIRST_BYTE_ALERT;
}

static void explain_reason(struct tls_engine *engine)
{
    unsigned long error = tls_library_error();

    if (error == 0 && engine->ssl != NULL &&
        SSL_get_shutdown(engine->ssl) & SSL_RECEIVED_SHUTDOWN) {
        fail(engine->failure, FAIL_CLOSED, "the %s ended it with close_notify",
             peer_word(engine));
        return;
    }
    fail(engine->failure, FAIL_TLS, "%s", tls_library_error_text(error));
    for (size_t i = 0; ERR_GET_LIB(error) == ERR_LIB_SSL && i < COUNT(reason_hints); i++) {
        if (reason_hints[i].reason == ERR_GET_REASON(error))
            fail_hint(engine->failure, "%s", reason_hints[i].hint);
    }
}

/* "TLS handshake (alert 45 certificate_expired sent): ..." */
static void add_phase(struct tls_engine *engine)
{
    const char *phase = engine->state == ENGINE_HANDSHAKE ? "TLS handshake" : "TLS";

    if (engine->alert_sent >= 0)
        fail_context(engine->failure, "%s (alert %d %s sent)", phase, engine->alert_sent,
                     name_or_unknown(engine->alert_sent));
    else
        fail_context(engine->failure, "%s", phase);
}

enum tls_verdict tls_engine_fail(struct tls_engine *engine)
{
    if (engine->state == ENGINE_FAILED)
        return TLS_FAILED;
    tls_engine_need_failure(engine);
    if (engine->failure != NULL && failed(engine->failure))
        ; /* a callback knew better */
    else if (engine->alert_received >= 0)
        explain_alert(engine);
    else if (engine->state == ENGINE_HANDSHAKE && peer_spoke_no_tls(engine)) {
        fail(engine->failure, FAIL_TLS, "the %s does not speak TLS: it began with byte 0x%02x",
             peer_word(engine), (unsigned)engine->first_byte);
        fail_hint(engine->failure, "plaintext was sent where TLS is expected");
    } else
        explain_reason(engine);
    add_phase(engine);
    tls_facts_collect_sni(engine);
    engine->state = ENGINE_FAILED;
    return TLS_FAILED;
}

void tls_explain_sent(struct tls_engine *engine, const char *what)
{
    tls_engine_need_failure(engine);
    fail(engine->failure, FAIL_TLS, "the %s sent %s", peer_word(engine), what);
}

void tls_explain_eof(struct tls_engine *engine)
{
    struct failure *why;

    tls_engine_need_failure(engine);
    why = engine->failure;
    if (engine->state != ENGINE_HANDSHAKE)
        fail(why, FAIL_CLOSED, "the %s closed the connection without close_notify",
             peer_word(engine));
    else if (engine->first_byte < 0)
        fail(why, FAIL_CLOSED, "the %s closed the connection without a word",
             peer_word(engine));
    else
        fail(why, FAIL_CLOSED, "the %s closed the connection in the middle", peer_word(engine));
    if (engine->state == ENGINE_HANDSHAKE)
        fail_hint(why, engine_role(engine) == TLS_SERVER
                           ? "the client's own error message says why it gave up"
                           : "the server's log says why; it may want no TLS, or another kind");
    add_phase(engine);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "x509/issue.h"

#include "x509/authority.h"
#include "x509/certificate.h"
#include "x509/key_kind.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define SERIAL_BITS   128
#define SECONDS_A_DAY 86400

static bool set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool    good = number != NULL &&
                BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;

    BN_free(number);
    return good;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* `issuer` is NULL for those who sign themselves. */
static bool set_dates(X509 *certificate, const struct issue_order *order, const X509 *issuer)
{
    int64_t from = order->now - ISSUE_BACKDATING_S;
    int64_t to = order->now + (int64_t)order->days * SECONDS_A_DAY;

    if (issuer != NULL) {
        from = most(from, certificate_seconds(X509_get0_notBefore(issuer)));
        to = least(to, certificate_seconds(X509_get0_notAfter(issuer)));
    }
    return ASN1_TIME_set(X509_getm_notBefore(certificate), from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), to) != NULL;
}

/* ---- extensions ---- */

static bool add_text(X509 *certificate, X509 *issuer, int nid, const char *text)
{
    X509V3_CTX      context;
    X509_EXTENSION *extension;
    bool            good;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_nconf_nid(NULL, &context, nid, text);
    good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool add_constraints(X509 *certificate, const struct issue_order *order)
{
    char text[64] = "critical,CA:FALSE";

    if (order->purpose == ISSUE_AUTHORITY && order->path_length == ISSUE_ANY_PATH)
        snprintf(text, sizeof text, "critical,CA:TRUE");
    else if (order->purpose == ISSUE_AUTHORITY)
        snprintf(text, sizeof text, "critical,CA:TRUE,pathlen:%d", order->path_length);
    return add_text(certificate, NULL, NID_basic_constraints, text);
}

/* RSA keys of servers may also be used by TLS 1.2 without ECDHE (RFC 5246 7.4.2). */
static bool add_usage(X509 *certificate, const struct issue_order *order)
{
    const char *text = "critical,digitalSignature";

    if (order->purpose == ISSUE_AUTHORITY)
        text = "critical,keyCertSign,cRLSign";
    else if (order->purpose == ISSUE_SERVER && EVP_PKEY_is_a(order->key, "RSA"))
        text = "critical,digitalSignature,keyEncipherment";
    return add_text(certificate, NULL, NID_key_usage, text);
}

static bool add_purpose(X509 *certificate, const struct issue_order *order)
{
    switch (order->purpose) {
    case ISSUE_SERVER: return add_text(certificate, NULL, NID_ext_key_usage, "serverAuth");
    case ISSUE_CLIENT: return add_text(certificate, NULL, NID_ext_key_usage, "clientAuth");
    case ISSUE_AUTHORITY: break;
    }
    return true;
}

static bool add_names(X509 *certificate, const struct issue_order *order)
{
    /* RFC 5280 4.2.1.6: critical where the subject is empty */
    int is_critical = X509_NAME_entry_count(order->subject) == 0;

    if (order->names == NULL || sk_GENERAL_NAME_num(order->names) == 0)
        return true;
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, order->names, is_critical,
                             X509V3_ADD_DEFAULT) == 1;
}

static bool add_identifiers(X509 *certificate, X509 *issuer)
{
    if (!add_text(certificate, NULL, NID_subject_key_identifier, "hash"))
        return false;
    return issuer == NULL ||
           add_text(certificate, issuer, NID_authority_key_identifier, "keyid,issuer");
}

/* ---- certificates ---- */

static bool fill(X509 *certificate, const struct issue_order *order, X509 *issuer)
{
    X509_NAME *issuer_name = issuer != NULL ? X509_get_subject_name(issuer) : order->subject;

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_set_subject_name(certificate, order->subject) == 1 &&
           X509_set_issuer_name(certificate, issuer_name) == 1 &&
           X509_set_pubkey(certificate, order->key) == 1 &&
           set_dates(certificate, order, issuer) && add_constraints(certificate, order) &&
           add_usage(certificate, order) && add_purpose(certificate, order) &&
           add_names(certificate, order) && add_identifiers(certificate, issuer);
}

static X509 *make(const struct issue_order *order, X509 *issuer, EVP_PKEY *by,
                  struct failure *why)
{
    X509 *certificate = X509_new();

    if (certificate == NULL || !fill(certificate, order, issuer) ||
        X509_sign(certificate, by, key_kind_hash(by)) <= 0) {
        fail(why, FAIL_CERT, "the certificate cannot be made: %s",
             ERR_peek_last_error() != 0 ? ERR_reason_error_string(ERR_peek_last_error())
                                        : "out of memory");
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

X509 *issue_self_signed(const struct issue_order *order, struct failure *why)
{
    return make(order, NULL, order->key, why);
}

void issue_free(X509 *certificate)
{
    X509_free(certificate);
}

static enum fail check_path(const struct issue_order *order, X509 *issuer, struct failure *why)
{
    long room = X509_get_pathlen(issuer); /* -1: without limit */

    if (order->purpose != ISSUE_AUTHORITY || room < 0)
        return FAIL_NONE;
    if (room == 0) {
        fail_hint(why, "make it again with --path-length 1 or more, or use one above it");
        return fail(why, FAIL_CERT,
                    "the authority may have no authority below it (path length 0)");
    }
    if (order->path_length == ISSUE_ANY_PATH || order->path_length >= room) {
        fail_hint(why, "--path-length %ld is the most below this authority", room - 1);
        return fail(why, FAIL_CERT, "the authority's own path length is %ld", room);
    }
    return FAIL_NONE;
}

X509 *issue_signed(const struct issue_order *order, const struct authority *authority,
                   struct failure *why)
{
    X509 *issuer = authority_certificate(authority);

    if (check_path(order, issuer, why) != FAIL_NONE)
        return NULL;
    return make(order, issuer, authority_key(authority), why);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "x509/revoke.h"

#include "x509/authority.h"
#include "x509/certificate.h"
#include "x509/issue.h"
#include "x509/key_kind.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define SECONDS_A_DAY 86400

static const char *const reasons[] = {
    "unspecified", "keyCompromise",        "CACompromise",    "affiliationChanged",
    "superseded",  "cessationOfOperation", "certificateHold", NULL,
};

const char *const *revoke_reasons(void)
{
    return reasons;
}

static ASN1_INTEGER *read_integer(const char *hex)
{
    BIGNUM       *number = NULL;
    ASN1_INTEGER *integer = NULL;

    if (*hex != '\0' && (size_t)BN_hex2bn(&number, hex) == strlen(hex))
        integer = BN_to_ASN1_INTEGER(number, NULL);
    BN_free(number);
    return integer;
}

/* RFC 5280 5.3.1: a reason that says nothing is left out. */
static bool add_reason(X509_REVOKED *entry, const char *reason)
{
    ASN1_ENUMERATED *code;
    bool             good;
    long             n = 0;

    while (reason != NULL && reasons[n] != NULL && strcmp(reasons[n], reason) != 0)
        n++;
    if (reason == NULL || reasons[n] == NULL || n == 0)
        return true;
    code = ASN1_ENUMERATED_new();
    good = code != NULL && ASN1_ENUMERATED_set(code, n) == 1 &&
           X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, code, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_ENUMERATED_free(code);
    return good;
}

static bool add_entry(X509_CRL *crl, const struct revoked *revoked)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = read_integer(revoked->serial);
    ASN1_TIME    *at = ASN1_TIME_set(NULL, revoked->at);
    bool          good = entry != NULL && serial != NULL && at != NULL &&
                X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                X509_REVOKED_set_revocationDate(entry, at) == 1 &&
                add_reason(entry, revoked->reason) && X509_CRL_add0_revoked(crl, entry) == 1;

    if (!good)
        X509_REVOKED_free(entry);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(at);
    return good;
}

static bool set_dates(X509_CRL *crl, const struct revoke_order *order, const X509 *issuer)
{
    int64_t start = certificate_seconds(X509_get0_notBefore(issuer));
    int64_t from = order->now - ISSUE_BACKDATING_S;
    ASN1_TIME *this = ASN1_TIME_set(NULL, from > start ? from : start);
    ASN1_TIME *next = ASN1_TIME_set(NULL, order->now + (int64_t)order->days * SECONDS_A_DAY);
    bool good = this != NULL && next != NULL && X509_CRL_set1_lastUpdate(crl, this) == 1 &&
                X509_CRL_set1_nextUpdate(crl, next) == 1;

    ASN1_TIME_free(this);
    ASN1_TIME_free(next);
    return good;
}

static bool add_extensions(X509_CRL *crl, const char *number, X509 *issuer)
{
    X509V3_CTX      context;
    X509_EXTENSION *key_identifier;
    ASN1_INTEGER   *integer = read_integer(number);
    bool            good;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    key_identifier =
        X509V3_EXT_nconf_nid(NULL, &context, NID_authority_key_identifier, "keyid,issuer");
    good = integer != NULL && key_identifier != NULL &&
           X509_CRL_add_ext(crl, key_identifier, -1) == 1 &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, integer, 0, X509V3_ADD_DEFAULT) == 1;
    X509_EXTENSION_free(key_identifier);
    ASN1_INTEGER_free(integer);
    return good;
}

static bool fill(X509_CRL *crl, const struct revoke_order *order, X509 *issuer)
{
    bool good = X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
                set_dates(crl, order, issuer);

    for (size_t i = 0; good && i < order->count; i++)
        good = add_entry(crl, &order->items[i]);
    return good && X509_CRL_sort(crl) == 1 && add_extensions(crl, order->number, issuer);
}

static enum fail check_may_sign(X509 *issuer, struct failure *why)
{
    uint32_t usage = X509_get_key_usage(issuer);

    if (usage == UINT32_MAX || (usage & KU_CRL_SIGN) != 0)
        return FAIL_NONE;
    return fail(why, FAIL_CERT, "the authority may not sign revocation lists (key usage)");
}

X509_CRL *revoke_make_crl(const struct revoke_order *order, const struct authority *authority,
                          struct failure *why)
{
    X509     *issuer = authority_certificate(authority);
    EVP_PKEY *key = authority_key(authority);
    X509_CRL *crl;

    if (check_may_sign(issuer, why) != FAIL_NONE)
        return NULL;
    crl = X509_CRL_new();
    if (crl == NULL || !fill(crl, order, issuer) ||
        X509_CRL_sign(crl, key, key_kind_hash(key)) <= 0) {
        fail(why, FAIL_CERT, "the revocation list cannot be made");
        X509_CRL_free(crl);
        crl = NULL;
    }
    ERR_clear_error();
    return crl;
}

void revoke_free_crl(X509_CRL *crl)
{
    X509_CRL_free(crl);
}

/* ---- notes ---- */

static char *serial_text(X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(certificate), NULL);
    char   *hex = number != NULL ? BN_bn2hex(number) : NULL;
    char   *copy = hex != NULL ? certificate_copy_text(hex) : NULL;

    OPENSSL_free(hex);
    BN_free(number);
    return copy;
}

static char *subject_text(X509 *certificate)
{
    char *line = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
    char *copy = line != NULL ? certificate_copy_text(line) : NULL;

    OPENSSL_free(line);
    return copy;
}

enum fail revoke_note_init(struct revoke_note *out, X509 *certificate, struct failure *why)
{
    struct revoke_note note = {
        .serial = serial_text(certificate),
        .subject = subject_text(certificate),
        .not_after = certificate_seconds(X509_get0_notAfter(certificate)),
    };

    ERR_clear_error();
    if (note.serial == NULL || note.subject == NULL) {
        revoke_note_fini(&note);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    *out = note;
    return FAIL_NONE;
}

void revoke_note_fini(struct revoke_note *note)
{
    free(note->serial);
    free(note->subject);
    *note = (struct revoke_note){ 0 };
}

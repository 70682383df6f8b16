/* SPDX-License-Identifier: PostgreSQL */
#include "x509/certificate.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A peer's certificate may be 100 KB of names: what is kept of a text is bounded. */
#define LONGEST_TEXT   1024u
#define LONGEST_NAME   256u
#define LONGEST_SERIAL 64u
#define SECONDS_A_DAY  86400

/* RFC 2253, but bytes past ASCII stay as they are: text_escape does them once. */
#define NAME_FLAGS                                                                             \
    (XN_FLAG_RFC2253 & ~(unsigned long)(ASN1_STRFLGS_ESC_MSB | ASN1_STRFLGS_ESC_CTRL))

char *certificate_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char  *copy = malloc(size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

static char *escaped_copy(struct bytes text)
{
    char escaped[LONGEST_TEXT];

    text_escape(escaped, sizeof escaped, text);
    return certificate_copy_text(escaped);
}

char *certificate_name_text(const X509_NAME *name)
{
    BIO  *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    char *data;
    long  len;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, NAME_FLAGS) >= 0) {
        len = BIO_get_mem_data(bio, &data);
        text = escaped_copy(bytes_of(data, len > 0 ? (size_t)len : 0));
    }
    BIO_free(bio);
    return text;
}

static void hex(char *out, struct bytes b)
{
    *out = '\0';
    for (size_t i = 0; i < b.len; i++)
        snprintf(out + 2 * i, 3, "%02x", b.p[i]);
}

static struct bytes string_bytes(const ASN1_STRING *s)
{
    return bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

char *certificate_hex(struct bytes b)
{
    char *text = malloc(2 * b.len + 1);

    if (text != NULL)
        hex(text, b);
    return text;
}

static char *serial_text(const ASN1_INTEGER *serial)
{
    char text[1 + 2 * LONGEST_SERIAL + 1] = "-";
    bool negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;

    hex(text + (negative ? 1 : 0), bytes_first(string_bytes(serial), LONGEST_SERIAL));
    return certificate_copy_text(text);
}

static char *fingerprint_text(X509 *certificate)
{
    uint8_t  digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1)
        return NULL;
    return certificate_hex(bytes_of(digest, len));
}

static void address_text(char *out, size_t size, struct bytes address)
{
    const void *p = address.p;

    if (address.len != 4 && address.len != 16)
        snprintf(out, size, "(%zu bytes)", address.len);
    else if (inet_ntop(address.len == 4 ? AF_INET : AF_INET6, p, out, (socklen_t)size) == NULL)
        *out = '\0';
}

static void alternative_name_text(char *out, size_t size, const GENERAL_NAME *name)
{
    const char *kind = NULL;
    char        text[LONGEST_NAME] = "";

    switch (name->type) {
    case GEN_DNS: kind = "DNS"; break;
    case GEN_EMAIL: kind = "email"; break;
    case GEN_URI: kind = "URI"; break;
    case GEN_IPADD:
        address_text(text, sizeof text, string_bytes(name->d.iPAddress));
        snprintf(out, size, "IP:%s", text);
        return;
    default: snprintf(out, size, "(another kind)"); return;
    }
    text_escape(text, sizeof text, string_bytes(name->d.ia5));
    snprintf(out, size, "%s:%s", kind, text);
}

char *certificate_names_text(const GENERAL_NAMES *names)
{
    char   all[LONGEST_TEXT + 8] = "";
    size_t at = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char one[LONGEST_NAME + 16];

        alternative_name_text(one, sizeof one, sk_GENERAL_NAME_value(names, i));
        if (at + strlen(one) + 3 > LONGEST_TEXT) {
            snprintf(all + at, sizeof all - at, ", ...");
            break;
        }
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", at > 0 ? ", " : "", one);
    }
    return certificate_copy_text(all);
}

static char *alternative_names_text(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char          *text = certificate_names_text(names);

    GENERAL_NAMES_free(names);
    return text;
}

static char *key_text(X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char     *kind = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    const char     *curve = NULL;
    char            group[64], text[128];

    if (kind == NULL)
        return certificate_copy_text("unknown");
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
        (curve = EC_curve_nid2nist(OBJ_sn2nid(group))) == NULL)
        curve = group;
    if (curve != NULL)
        snprintf(text, sizeof text, "%s %s", kind, curve);
    else if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        snprintf(text, sizeof text, "%s %d", kind, EVP_PKEY_get_bits(key));
    else
        snprintf(text, sizeof text, "%s", kind);
    return certificate_copy_text(text);
}

const char *certificate_date(int64_t seconds, char out[static CERTIFICATE_DATE])
{
    time_t    at = (time_t)seconds;
    struct tm utc;

    gmtime_r(&at, &utc);
    if (strftime(out, CERTIFICATE_DATE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        *out = '\0';
    return out;
}

int64_t certificate_seconds(const ASN1_TIME *date)
{
    struct tm parts;

    return ASN1_TIME_to_tm(date, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

enum fail certificate_facts_init(struct certificate_facts *out, X509 *certificate,
                                 struct failure *why)
{
    struct certificate_facts facts = {
        .subject = certificate_name_text(X509_get_subject_name(certificate)),
        .issuer = certificate_name_text(X509_get_issuer_name(certificate)),
        .serial = serial_text(X509_get0_serialNumber(certificate)),
        .fingerprint = fingerprint_text(certificate),
        .names = alternative_names_text(certificate),
        .key = key_text(certificate),
        .not_before = certificate_seconds(X509_get0_notBefore(certificate)),
        .not_after = certificate_seconds(X509_get0_notAfter(certificate)),
    };

    ERR_clear_error();
    if (facts.subject == NULL || facts.issuer == NULL || facts.serial == NULL ||
        facts.fingerprint == NULL || facts.names == NULL || facts.key == NULL) {
        certificate_facts_fini(&facts);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    *out = facts;
    return FAIL_NONE;
}

void certificate_facts_fini(struct certificate_facts *facts)
{
    free(facts->subject);
    free(facts->issuer);
    free(facts->serial);
    free(facts->fingerprint);
    free(facts->names);
    free(facts->key);
    *facts = (struct certificate_facts){ 0 };
}

int64_t certificate_days_left(int64_t not_after, int64_t now)
{
    int64_t left = not_after - now;

    return left >= 0 ? left / SECONDS_A_DAY : -((-left + SECONDS_A_DAY - 1) / SECONDS_A_DAY);
}

/* Where the only common name stands; negative where there is none, or more than one. */
static int only_common_name(const X509_NAME *subject)
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return -1;
    return at;
}

bool certificate_has_common_name(X509 *certificate, const char *name)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int              at = only_common_name(subject);
    ASN1_STRING     *text;

    if (at < 0 || *name == '\0')
        return false;
    /* equal lengths also mean that no NUL hides in it: CVE-2009-4034 */
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return bytes_equal(bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
                       bytes_of_string(name));
}

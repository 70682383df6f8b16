/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/certificate.h - what a certificate says, as strings for people
 *
 * Text that came from the certificate is escaped (base/text.h).
 */
#ifndef PGTLS_X509_CERTIFICATE_H
#define PGTLS_X509_CERTIFICATE_H

#include "base/bytes.h"
#include "base/fail.h"

struct x509_st;
struct X509_name_st;
struct asn1_string_st;
struct stack_st_GENERAL_NAME;

struct certificate_facts {
    char   *subject; /* RFC 2253 order and escapes, then text_escape'd */
    char   *issuer;
    char   *serial;      /* hexadecimal, lower case, no separators */
    char   *fingerprint; /* SHA-256 of the DER, hexadecimal */
    char   *names;       /* "DNS:a, IP:10.0.0.1"; "" where there are none */
    char   *key;         /* "EC P-256", "RSA 2048", "ED25519" */
    int64_t not_before;  /* seconds since 1970 */
    int64_t not_after;
};

/* Fills `out`, to be freed with certificate_facts_fini; FAIL_MEMORY otherwise. */
enum fail certificate_facts_init(struct certificate_facts *out, struct x509_st *certificate,
                                 struct failure *why) WARN_UNUSED;
void      certificate_facts_fini(struct certificate_facts *facts); /* all-zero is fine */

#define CERTIFICATE_DATE 24
/* "2026-12-01T00:00:00Z"; returns `out`. */
const char *certificate_date(int64_t seconds, char out[static CERTIFICATE_DATE]);

/* Whole days until `not_after`; negative once it has passed. */
int64_t certificate_days_left(int64_t not_after, int64_t now);

/* What verify-full compares with the user: the values of client_name. */
enum certificate_name_kind {
    CERTIFICATE_CN,
    CERTIFICATE_DN, /* RFC 2253, as PostgreSQL's clientname=DN writes it */
    CERTIFICATE_SAN_DNS,
    CERTIFICATE_SAN_URI,
    CERTIFICATE_SAN_EMAIL,
};

struct certificate_names {
    char **items; /* raw, not escaped: to be compared, not to be logged */
    size_t count;
};

/*
 * All names of that kind, as they stand; none is no failure.  FAIL_CERT: a NUL hides in one of
 * them, the alternative names cannot be read, or there is more than one common name (PostgreSQL
 * would take the first).  End with certificate_names_fini, whatever was returned.
 */
enum fail certificate_names_read(struct certificate_names *out, struct x509_st *certificate,
                                 enum certificate_name_kind kind,
                                 struct failure            *why) WARN_UNUSED;
void      certificate_names_fini(struct certificate_names *names);

/* Exact, byte for byte. */
bool certificate_names_have(const struct certificate_names *names, const char *name);

/*
 * Whether the one common name of the certificate is exactly `name`: byte for
 * byte, no wildcards, no case folding.  A NUL inside the name, no
 * common name or more than one: no.  PostgreSQL takes the first CN of several
 * for logins; we refuse.
 */
bool certificate_has_common_name(struct x509_st *certificate, const char *name);

/* For the files of x509/: copies that the caller frees, NULL when out of memory; a date that
 * cannot be read is 1970. */
char   *certificate_copy_text(const char *text);
char   *certificate_name_text(const struct X509_name_st *name); /* RFC 2253, escaped */
char   *certificate_names_text(const struct stack_st_GENERAL_NAME *names); /* escaped */
char   *certificate_hex(struct bytes b);
int64_t certificate_seconds(const struct asn1_string_st *date);

#endif

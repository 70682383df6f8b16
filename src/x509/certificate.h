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

struct certificate_facts {
    char   *subject; /* RFC 2253 order and escapes, then text_escape'd */
    char   *issuer;
    char   *serial;      /* hexadecimal, lower case, no separators */
    char   *fingerprint; /* SHA-256 of the DER, hexadecimal */
    char   *names;       /* "DNS:a, IP:10.0.0.1"; "" where there are none */
    int64_t not_before;  /* seconds since 1970 */
    int64_t not_after;
};

/* Fills `out`, to be freed with certificate_facts_fini; FAIL_MEMORY otherwise. */
enum fail certificate_facts_init(struct certificate_facts *out, struct x509_st *certificate,
                                 struct failure *why) WARN_UNUSED;
void      certificate_facts_fini(struct certificate_facts *facts); /* all-zero is fine */

/*
 * Whether the one common name of the certificate is exactly `name`: byte for
 * byte, no wildcards, no case folding (WIRE T8).  A NUL inside the name, no
 * common name or more than one: no.  libpq and PostgreSQL take the last CN of
 * several for logins; we refuse.
 */
bool certificate_has_common_name(struct x509_st *certificate, const char *name);

/* The common name, escaped, for messages; "" where there is none.  The caller frees it. */
char *certificate_common_name(struct x509_st *certificate);

#endif

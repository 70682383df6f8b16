/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/trust.h - the certificate authorities that a policy trusts
 *
 * Immutable once loaded and counted.  Every worker builds its own X509_STORE
 * from it, since OpenSSL 3.0 locks a store at each look-up; the X509 objects
 * are shared.
 */
#ifndef PGTLS_X509_TRUST_H
#define PGTLS_X509_TRUST_H

#include "base/bytes.h"
#include "base/fail.h"

struct trust;

#define TRUST_SYSTEM "system" /* in place of a file: the platform's store */

struct trust_files {
    const char *file;               /* a PEM bundle, or TRUST_SYSTEM */
    const char *crl_file, *crl_dir; /* x509/crl.h; NULL: none.  With one, the whole chain is
                                     * checked, and a CA without a list is a refusal. */
};

struct trust *trust_load_files(const struct trust_files *files, struct failure *why);

/* Loads a PEM bundle, or TRUST_SYSTEM.  No certificate in the file is a failure. */
struct trust *trust_load(const char *file, struct failure *why);
struct trust *trust_hold(struct trust *trust);
void          trust_release(struct trust *trust); /* NULL is fine */

size_t      trust_count(const struct trust *trust); /* certificates in it; 0 for the system's */
const char *trust_source(const struct trust *trust); /* or TRUST_SYSTEM */
bool        trust_is_system(const struct trust *trust);

struct certificate_facts;
/* Facts of the n-th certificate, borrowed. */
const struct certificate_facts *trust_facts(const struct trust *trust, size_t n);

size_t trust_crl_count(const struct trust *trust);
struct crl_facts;
const struct crl_facts *trust_crl_facts(const struct trust *trust, size_t n); /* borrowed */

/* Whether the list has ended and its issuer has no other one that has not: all that the issuer
 * signed is refused then. */
bool trust_crl_has_ended(const struct trust *trust, size_t n, int64_t now_s);

/* A digest of all certificates and lists in it, 32 bytes; the same for the same contents. */
struct bytes trust_digest(const struct trust *trust);

/* For tls/ only: a new store with all of it, the caller's, and set to check
 * the lists where there are any; and the names for
 * CertificateRequest. */
struct x509_store_st;
struct stack_st_X509_NAME;
struct x509_store_st      *trust_new_store(const struct trust *trust, struct failure *why);
struct stack_st_X509_NAME *trust_new_names(
    const struct trust *trust); /* the caller's; NULL if none */

#endif

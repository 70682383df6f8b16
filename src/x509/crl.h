/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/crl.h - certificate revocation lists from a file or from a directory
 *
 * Read whole at load, never during a handshake.
 */
#ifndef PGTLS_X509_CRL_H
#define PGTLS_X509_CRL_H

#include "base/bytes.h"
#include "base/fail.h"

struct crl_facts {
    char   *file;
    char   *issuer;      /* RFC 2253, escaped */
    char   *number;      /* hexadecimal; "" where it has none */
    char   *fingerprint; /* SHA-256 of the DER, hexadecimal */
    int64_t this_update; /* seconds since 1970 */
    int64_t next_update; /* 0: the list does not say; it never expires then */
    size_t  revoked;     /* how many certificates */
};

struct crl_list;
struct X509_crl_st;

/*
 * All lists of a PEM file; none is a failure.  In a directory: of every regular file
 * whose name does not begin with a dot, each list once (c_rehash makes a second name for
 * each file).  There a file of text without a list is left out, unless it is named as one
 * (.crl, .r0); no list at all is a failure.  Either may be NULL.  NULL on
 * failure.
 */
struct crl_list *crl_list_load(const char *file, const char *dir, struct failure *why);
void             crl_list_free(struct crl_list *list); /* NULL is fine */

size_t                  crl_list_count(const struct crl_list *list);
const struct crl_facts *crl_list_facts(const struct crl_list *list, size_t n); /* borrowed */
struct X509_crl_st     *crl_list_get(const struct crl_list *list, size_t n);   /* borrowed */

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/seen.h - the certificate that a context's peers have shown last, and what it says
 *
 * A server shows the same one to each connection: it is read, hashed and written down once.
 * Another takes its place, so that a context holds one and no more.
 */
#ifndef PGTLS_TLS_SEEN_H
#define PGTLS_TLS_SEEN_H

#include "x509/certificate.h"
#include "x509/endpoint_hash.h"

struct tls_seen {
    unsigned char           *der; /* NULL: there was none yet */
    int                      der_len;
    struct certificate_facts facts;
    struct endpoint_hash     endpoint; /* made when it is asked for */
};

/* Holds that of `certificate` from here on; after FAIL_MEMORY that which it had. */
enum fail tls_seen_look(struct tls_seen *seen, struct x509_st *certificate,
                        struct failure *why) WARN_UNUSED;

/* Of the certificate that was looked at. */
const struct endpoint_hash *tls_seen_endpoint(struct tls_seen *seen,
                                              struct x509_st  *certificate);

void tls_seen_fini(struct tls_seen *seen); /* all-zero is fine */

#endif

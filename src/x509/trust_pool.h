/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/trust_pool.h - trusts and their stores, each made once for many that want the same
 *
 * The platform's store has some 140 certificates, which cost milliseconds and hundreds of
 * kilobytes each time, and a thousand hosts of a port may all trust it.  Used by one thread,
 * and freed when all is made: what it gave lives as long as it is held.
 */
#ifndef PGTLS_X509_TRUST_POOL_H
#define PGTLS_X509_TRUST_POOL_H

#include "x509/trust.h"

struct trust_pool;

struct trust_pool *trust_pool_new(void);                     /* NULL when out of memory */
void               trust_pool_free(struct trust_pool *pool); /* NULL is fine */

/* trust_load_files(), or one more holder of what the same names gave before; the caller's.  The
 * names are borrowed until the end of the pool.  A NULL pool loads anew. */
struct trust *trust_pool_load(struct trust_pool *pool, const struct trust_files *files,
                              struct failure *why);

/* For tls/ and x509/ only: trust_new_store(), or the one that was made before; the caller's,
 * and not to be changed.  A NULL pool makes a new one. */
struct x509_store_st *trust_pool_store(struct trust_pool *pool, struct trust *trust,
                                       struct failure *why);

#endif

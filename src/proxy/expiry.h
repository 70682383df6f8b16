/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/expiry.h - warns of certificates and revocation lists that end soon
 *
 * certificate.expiring is logged when 30, 14, 7, 3 and 1 days are left and when there is none:
 * at load, and as time passes by the loop's clock.  Once for each of these days and each
 * certificate of a file, however often it is loaded again, and by however many routes (the
 * first one is named).
 *
 * Belongs to the thread of its loop.
 */
#ifndef PGTLS_PROXY_EXPIRY_H
#define PGTLS_PROXY_EXPIRY_H

#include "proxy/generation.h"

struct expiry;

struct expiry *expiry_new(struct loop *loop, struct log *log); /* NULL when out of memory */
void           expiry_free(struct expiry *expiry);             /* NULL is fine */

/* This is served from now on.  It is held.  False when out of memory: what was stays. */
bool expiry_set(struct expiry *expiry, struct generation *generation);

#endif

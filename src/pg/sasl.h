/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/sasl.h - the mechanism list of AuthenticationSASL
 *
 * PostgreSQL manual 53.3.1.
 */
#ifndef PGTLS_PG_SASL_H
#define PGTLS_PG_SASL_H

#include "base/buf.h"

enum { AUTH_OK = 0, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12 };

/* The code of a whole Authentication message ('R'), or -1 where it is broken. */
int64_t auth_code(struct bytes message);

/* Whether the list of a whole AuthenticationSASL message has a mechanism that ends in -PLUS. */
bool sasl_offers_plus(struct bytes message);

/*
 * Appends the message without its PLUS mechanisms.  Returns true if something
 * was taken out; a list that would become empty is passed on unchanged (WIRE section 3, A).
 */
bool sasl_strip_plus(struct buf *out, struct bytes message);

#endif

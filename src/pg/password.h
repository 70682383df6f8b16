/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/password.h - PasswordMessage: a password, or the hash of one
 *
 * PostgreSQL manual 53.2.1.  What was given and what was made are secrets: the caller wipes
 * them.
 */
#ifndef PGTLS_PG_PASSWORD_H
#define PGTLS_PG_PASSWORD_H

#include "base/buf.h"

/* Codes of the Authentication messages that ask for one; pg/sasl.h has the others. */
enum { AUTH_CLEARTEXT = 3, AUTH_MD5 = 5 };

void password_write(struct buf *out, struct bytes text);

#endif

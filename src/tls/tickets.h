/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/tickets.h - keys of session tickets, shared by a fleet
 *
 * The file is text: a key a line, 160 hexadecimal digits (`openssl rand -hex 80`):
 * 16 bytes of name, 32 for AES-256-CBC, 32 for HMAC-SHA256.  Empty lines and those that
 * begin with # are skipped.  The first key makes tickets, the others only open those that
 * they made: to rotate, put a new key in front everywhere, and let the last go.
 *
 * Immutable once made and counted: policies of many generations share one.
 */
#ifndef PGTLS_TLS_TICKETS_H
#define PGTLS_TLS_TICKETS_H

#include "base/fail.h"

#include <stddef.h>

struct tls_ticket_keys;

/* PostgreSQL's rule for owner and mode of keys holds for the file.  NULL on failure. */
struct tls_ticket_keys *tls_ticket_keys_load(const char *file, struct failure *why);

/* One new key that nobody else has: for one process that shares it between its policies. */
struct tls_ticket_keys *tls_ticket_keys_random(struct failure *why);

struct tls_ticket_keys *tls_ticket_keys_hold(struct tls_ticket_keys *keys);
void tls_ticket_keys_release(struct tls_ticket_keys *keys); /* NULL is fine */

size_t tls_ticket_keys_count(const struct tls_ticket_keys *keys);

/* For tls/context only: lets a server make and open tickets, for the policy of each engine. */
struct ssl_ctx_st;
void tls_tickets_install(struct ssl_ctx_st *library);

#endif

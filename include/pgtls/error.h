/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/error.h - why a call failed
 *
 * The caller makes one and lends it to calls that can fail; each of them empties it first.
 * It is never NULL there.  Used by one thread at a time.
 */
#ifndef PGTLS_ERROR_H
#define PGTLS_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum pgtls_error_kind {
    PGTLS_OK = 0,
    PGTLS_ERROR_MEMORY = 1,
    PGTLS_ERROR_IO = 2,       /* a file could not be read or written */
    PGTLS_ERROR_CONFIG = 3,   /* an option, or a combination of them */
    PGTLS_ERROR_CERT = 4,     /* a certificate or key: unreadable, unfit, not verified */
    PGTLS_ERROR_TLS = 5,      /* the handshake or the record layer */
    PGTLS_ERROR_PROTOCOL = 6, /* the peer broke PostgreSQL's protocol */
    PGTLS_ERROR_REFUSED = 7,  /* the peer or a policy said no */
    PGTLS_ERROR_LIMIT = 8,    /* a buffer is full */
    PGTLS_ERROR_TIMEOUT = 9,  /* a deadline passed */
    PGTLS_ERROR_CLOSED = 10   /* the peer went away, or our direction has ended */
};

struct pgtls_error;

struct pgtls_error *pgtls_error_new(void); /* empty; NULL when out of memory */
void                pgtls_error_free(struct pgtls_error *error); /* NULL is fine */

enum pgtls_error_kind pgtls_error_kind(const struct pgtls_error *error);

/* One line, lower case, and what to do about it; "" where there is nothing to say.  Text of a
 * peer is escaped.  Both borrowed until the next call that gets this error. */
const char *pgtls_error_text(const struct pgtls_error *error);
const char *pgtls_error_hint(const struct pgtls_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/gate.h - agrees on TLS as PostgreSQL does (manual 53.2.10)
 *
 * Servers: a gate reads what a client says before login, answers SSLRequest and
 * GSSENCRequest, and ends with a verdict.  One serves the bytes in the clear, a second one
 * those inside TLS.  Clients: ask, read exactly one byte, judge it.  Neither owns a socket.
 * A gate is used by one thread at a time.
 */
#ifndef PGTLS_GATE_H
#define PGTLS_GATE_H

#include "pgtls/buffer.h"
#include "pgtls/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum pgtls_gate_policy {
    PGTLS_GATE_TLS_NEVER = 0,    /* SSLRequest gets N */
    PGTLS_GATE_TLS_OPTIONAL = 1, /* as the client likes */
    PGTLS_GATE_TLS_REQUIRED = 2  /* login in the clear gets ErrorResponse 28000 */
};

/* Where the bytes come from. */
enum pgtls_gate_layer {
    PGTLS_GATE_CLEAR = 0,
    PGTLS_GATE_INSIDE_NEGOTIATED_TLS = 1, /* TLS that followed SSLRequest */
    PGTLS_GATE_INSIDE_DIRECT_TLS = 2      /* TLS that began with the first byte */
};

enum pgtls_gate_verdict {
    PGTLS_GATE_WANT_MORE = 0,
    PGTLS_GATE_START_TLS = 1,        /* send `out`; what is left in `in` is TLS's */
    PGTLS_GATE_START_DIRECT_TLS = 2, /* a ClientHello stands in `in` */
    PGTLS_GATE_STARTUP = 3,          /* `in` starts at a whole StartupMessage */
    PGTLS_GATE_CANCEL = 4,           /* `in` starts at a whole CancelRequest */
    PGTLS_GATE_REFUSED = 5,          /* send `out` (an ErrorResponse), close */
    PGTLS_GATE_CLOSE_SILENTLY = 6    /* not PostgreSQL, or no memory: close */
};

struct pgtls_gate;

/* NULL when out of memory, and for a policy or layer that is none of these. */
struct pgtls_gate *pgtls_gate_new(enum pgtls_gate_policy policy, enum pgtls_gate_layer layer);
void               pgtls_gate_free(struct pgtls_gate *gate); /* NULL is fine */

/* Takes what it understood off the front of `in` and appends answers, at most 512 bytes in its
 * life.  After any verdict but WANT_MORE it must not be fed again.  With WANT_MORE the caller
 * keeps what is left in `in` and feeds it again with more behind it. */
enum pgtls_gate_verdict pgtls_gate_feed(struct pgtls_gate *gate, struct pgtls_bytes *in,
                                        struct pgtls_buffer *out);

/* Copies why the gate refused or closed; PGTLS_OK where it did not. */
void pgtls_gate_error(const struct pgtls_gate *gate, struct pgtls_error *error);

/* Clients: appends SSLRequest, 8 bytes.  Then read one byte and no more (CVE-2021-23222). */
void pgtls_ask_for_tls(struct pgtls_buffer *out);

/* Judges that byte.  PGTLS_OK: the server said S, and the handshake starts.
 * PGTLS_ERROR_REFUSED: it has no TLS, or is about to send an error, which nobody may believe
 * (CVE-2024-10977): close.  PGTLS_ERROR_PROTOCOL: this is no PostgreSQL server. */
enum pgtls_error_kind pgtls_tls_answer(uint8_t answer, struct pgtls_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

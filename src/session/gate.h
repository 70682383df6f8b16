/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/gate.h - what does a new PostgreSQL client want?
 *
 * Before login a client sends SSLRequest, GSSENCRequest, CancelRequest, a
 * StartupMessage, or (as its very first byte) a TLS ClientHello.  The gate
 * reads those bytes, answers the encryption questions, and ends with a verdict.
 * One gate serves the bytes in the clear; a second one those inside TLS.
 * It owns no socket, clock or log: bytes in, bytes out.
 *
 *   FRESH --N to SSL--> SSL_DECLINED --N to GSS--> BOTH_DECLINED
 *     \----N to GSS--> GSS_DECLINED --N to SSL-----/
 *   and from each, by the table in gate.c, to one of the final verdicts
 *
 * The answers are those of PostgreSQL 17 measured byte by byte, except that GSSENCRequest
 * always gets N and SSLRequest may follow it.
 */
#ifndef PGTLS_SESSION_GATE_H
#define PGTLS_SESSION_GATE_H

#include "base/buf.h"
#include "base/fail.h"

/* Does this listener take TLS? */
enum gate_policy {
    GATE_TLS_NEVER,    /* SSLRequest gets N, a ClientHello an end */
    GATE_TLS_OPTIONAL, /* both are taken */
    GATE_TLS_REQUIRED, /* a StartupMessage in the clear gets ErrorResponse 28000 with a hint */
};

enum gate_layer { GATE_CLEAR, GATE_INSIDE_NEGOTIATED_TLS, GATE_INSIDE_DIRECT_TLS };

enum gate_verdict {
    GATE_WANT_MORE,        /* feed again when bytes arrive                    */
    GATE_START_TLS,        /* flush `out`; what is left in `in` is TLS's      */
    GATE_START_DIRECT_TLS, /* a ClientHello stands in `in`; nothing was taken */
    GATE_STARTUP,          /* `in` starts at a whole StartupMessage           */
    GATE_CANCEL,           /* `in` starts at a whole CancelRequest            */
    GATE_REFUSED,          /* flush `out` (an ErrorResponse), close           */
    GATE_CLOSE_SILENTLY,   /* not PostgreSQL: an answer would help a scanner  */
};

enum { GATE_OUT_MOST = 512 };

enum gate_state { GATE_FRESH, GATE_SSL_DECLINED, GATE_GSS_DECLINED, GATE_BOTH_DECLINED };

/* Embedded in its owner; nothing to free. */
struct gate {
    enum gate_policy policy;
    enum gate_layer  layer;
    enum gate_state  state;
    struct failure   failure;
};

void gate_init(struct gate *gate, enum gate_policy policy, enum gate_layer layer);

/*
 * Advances the gate.  Takes what it understood off the front of `in` (the
 * bytes stay the caller's) and appends replies to `out`.  After any verdict
 * but WANT_MORE the gate is finished and must not be fed again.
 *
 * Bytes behind SSLRequest that was answered S stay in `in` for the TLS engine and
 * are never read as a startup packet (CVE-2021-23214); behind one answered N
 * they are a violation (N, then 08P01).  Bytes behind a StartupMessage stay for the
 * caller; behind a CancelRequest they are ignored.
 *
 * Appends at most GATE_OUT_MOST bytes in its whole life.  Where `out` has no room or no
 * memory the verdict is GATE_CLOSE_SILENTLY, with FAIL_MEMORY.
 */
enum gate_verdict gate_feed(struct gate *gate, struct bytes *in, struct buf *out);

/* Why the gate refused or closed. */
static inline const struct failure *gate_failure(const struct gate *gate)
{
    return &gate->failure;
}

#endif

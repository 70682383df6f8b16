/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/leg.h - one side of a conversation: in the clear, or inside TLS
 *
 * A leg turns what the socket brings into plaintext and plaintext into what the
 * socket sends.  It owns the TLS engine and knows how each direction ended; it
 * owns no socket, clock or buffer.  Proxy, driver, endpoint and doctor stand on it.
 *
 *   CLEAR --leg_start_tls--> HANDSHAKE --finished--> SECURE
 *     any of them --> FAILED
 */
#ifndef PGTLS_SESSION_LEG_H
#define PGTLS_SESSION_LEG_H

#include "base/buf.h"
#include "base/fail.h"
#include "tls/engine.h"

enum leg_state { LEG_CLEAR, LEG_HANDSHAKE, LEG_SECURE, LEG_BROKEN };

/* How the peer's direction ended. */
enum leg_end {
    LEG_OPEN,      /* it has not */
    LEG_ENDED,     /* cleanly: close_notify, or the end of file of a leg in the clear */
    LEG_TRUNCATED, /* the peer vanished: no close_notify, a reset, a broken record */
};

enum leg_verdict {
    LEG_WANT_MORE,  /* all of `in` was taken */
    LEG_SECURED,    /* the handshake is finished; call again */
    LEG_PLAINTEXT,  /* there is some; call again */
    LEG_PEER_ENDED, /* see leg->end; nothing more will come */
    LEG_FAILED, /* the handshake or a record failed: flush `out` (an alert), see leg_failure()
                 */
};

struct leg {
    struct tls_engine *tls; /* NULL in the clear */
    enum leg_state     state;
    enum leg_end       end;
    enum tls_verdict   last;     /* of the engine: tells whether it has more inside */
    bool               said_end; /* our own end was sent: leg_finish() */
};

void leg_init(struct leg *leg);
void leg_fini(struct leg *leg);

/*
 * From here on the leg is TLS.  A client's first flight goes into `out`.  The
 * context is held.
 */
enum fail leg_start_tls(struct leg *leg, struct tls_context *context,
                        const struct tls_engine_options *options, struct buf *out,
                        struct failure *why) WARN_UNUSED;

/*
 * Takes received bytes off `in`.  On LEG_PLAINTEXT `*plain` is borrowed: from `in` itself
 * in the clear, else from `scratch`; use it before the next call.
 */
enum leg_verdict leg_open(struct leg *leg, struct bytes *in, uint8_t *scratch,
                          size_t scratch_size, struct bytes *plain, struct buf *out);

/* Appends plaintext to `out`, protected as the leg is. */
enum fail leg_seal(struct leg *leg, struct bytes plain, struct buf *out) WARN_UNUSED;

/* The transport's end of file arrived, or its failure (`reset`). */
void leg_transport_ended(struct leg *leg, bool reset);

/* The kernel, which protects the leg's records, does not take the peer's next key. */
void leg_lost_kernel(struct leg *leg, int error, struct buf *out);

/*
 * Says the end of our direction where the leg has a word for it: close_notify.
 * Once; later calls do nothing.
 */
void leg_finish(struct leg *leg, struct buf *out);

/* The login is over: nobody will ask for the peer's certificate any more. */
void leg_forget_peer(struct leg *leg);

/* Why the leg failed; of the engine, borrowed.  NULL in the clear. */
const struct failure *leg_failure(const struct leg *leg);

/* NULL in the clear and before the handshake is finished. */
const struct tls_facts *leg_facts(const struct leg *leg);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/engine.h - one TLS connection without its socket
 *
 * Bytes in, bytes out, and a verdict.  The engine owns no socket and no clock:
 * the caller moves ciphertext and tells the time.
 *
 *   HANDSHAKE --finished--> OPEN --close_notify--> CLOSED
 *       \----------------------\------------------> FAILED
 *
 * The peer's direction and ours end apart: after TLS_CLOSED the peer sends no
 * more, but tls_engine_write() goes on until tls_engine_close() (RFC 8446 6.1).
 *
 * What protects records after the handshake is behind `struct tls_record_layer`
 * (tls/record_layer.h); here it is the library's.
 */
#ifndef PGTLS_TLS_ENGINE_H
#define PGTLS_TLS_ENGINE_H

#include "base/buf.h"
#include "tls/context.h"
#include "x509/certificate.h"
#include "x509/chain.h"
#include "x509/endpoint_hash.h"

enum tls_verdict {
    TLS_WANT_MORE, /* feed again when bytes arrive */
    TLS_DONE,      /* the handshake is finished; or: some plaintext was read */
    TLS_CLOSED,    /* the peer said close_notify: a clean end of its direction */
    TLS_FAILED, /* see tls_engine_failure(); flush `out`, which may hold an alert, and close */
};

/*
 * What is known after the handshake.  Strings; NULL where there is nothing.  After
 * a handshake that failed only sni is filled.
 */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *group;
    const char *record_layer; /* "record", "library", "kernel" */
    const char *alpn;
    const char *sni; /* what the client announced, escaped */
    bool        resumed;
    bool        asked_for_certificate; /* clients: the server did */
    bool        peer_presented;        /* a certificate; verified if the policy has a trust */
    bool        peer_verified;
    const char *peer_subject; /* escaped */
    const char *peer_issuer;
    const char *peer_serial;
    const char *peer_fingerprint;
    const struct endpoint_hash *peer_endpoint; /* of a server's certificate; NULL for servers */
};

struct tls_engine_options {
    const char *verify_name; /* clients with TLS_PEER_NAME: host to compare with */
    const char *sni; /* clients: name to announce; NULL or "" none, an IP address is not sent */
    const char *alpn;   /* clients: protocol to offer; servers: the one we speak.  NULL: none */
    bool alpn_required; /* direct TLS: a client that offers none, a server that selects none, is
                         * refused.  One that offers or selects another always is. */
    bool    keep_chain; /* all that the peer sends, for tls_engine_take_chain() */
    int64_t wall_s;     /* the time by which certificates are judged */
};

struct tls_engine;

/* A new engine, at the start of its handshake.  Holds the context.  Strings are copied. */
struct tls_engine *tls_engine_new(struct tls_context              *context,
                                  const struct tls_engine_options *options,
                                  struct failure                  *why);
void               tls_engine_free(struct tls_engine *engine); /* NULL is fine */

/*
 * Takes handshake bytes off `in` (a client starts with nothing) and appends to
 * `out` what must be sent, whatever the verdict.  TLS_WANT_MORE: `in` is empty.
 * TLS_DONE: what stands behind the handshake is still in `in`, for tls_engine_read().
 */
enum tls_verdict tls_engine_handshake(struct tls_engine *engine, struct bytes *in,
                                      struct buf *out);

/*
 * Takes ciphertext off `in` and writes plaintext to `plain`, at most `room`
 * bytes; *got tells how many, with every verdict.  TLS_WANT_MORE: `in` is
 * empty, and nothing is left inside the engine either.  TLS_DONE: `room` is
 * used up, call again with what is left of `in` (no event of the
 * socket will tell that there is more).  `out` gets answers of the protocol
 * (KeyUpdate, alerts).
 */
enum tls_verdict tls_engine_read(struct tls_engine *engine, struct bytes *in, uint8_t *plain,
                                 size_t room, size_t *got, struct buf *out);

/*
 * Appends all of `plain` to `out` as records.  FAIL_LIMIT if out has not
 * tls_engine_sealed_size() bytes of room: nothing was appended, and the engine
 * goes on.  FAIL_MEMORY marks `out`; FAIL_CLOSED after tls_engine_close() or a failure.
 */
enum fail tls_engine_write(struct tls_engine *engine, struct bytes plain,
                           struct buf *out) WARN_UNUSED;

/* How many bytes `plain_bytes` of plaintext take as records, at most. */
size_t tls_engine_sealed_size(const struct tls_engine *engine, size_t plain_bytes);

/* Ends our direction: appends close_notify. */
void tls_engine_close(struct tls_engine *engine, struct buf *out);

/*
 * Tells that the transport ended without close_notify.  A failure of the
 * handshake, or truncation; the caller asks tls_engine_failure().
 * After a truncation tls_engine_write() still works, for a peer that only stopped
 * sending.
 */
void tls_engine_eof(struct tls_engine *engine);

/*
 * Gives the connection away, to another process: appends all that is needed to go on with it.
 * `out` holds its secrets then, and `engine` is good for nothing but tls_engine_free().
 * FAIL_REFUSED, and nothing has changed: OpenSSL protects its records.
 */
enum fail tls_engine_give(struct tls_engine *engine, struct buf *out,
                          struct failure *why) WARN_UNUSED;

/*
 * Goes on with what was given.  The context must be one of the same role.  All facts are there
 * again, but not the peer's certificate itself, nor our own.
 */
struct tls_engine *tls_engine_take(struct tls_context *context, struct bytes given,
                                   struct failure *why);

/* Which of the hosts of tls_context_new_for_hosts() the client meant: its index; -1 before the
 * ClientHello, where there are no hosts, and where no one was found. */
int tls_engine_host(const struct tls_engine *engine);

/* The identity that was shown to the peer, by the kind of key it took; NULL before the end of
 * the handshake, and for clients that have none.  Borrowed from the policy. */
const struct identity *tls_engine_own_identity(const struct tls_engine *engine);

const struct tls_facts *tls_engine_facts(const struct tls_engine *engine);
const struct failure   *tls_engine_failure(const struct tls_engine *engine);

/* The alert that the peer sent (RFC 8446 6.2: 48 = unknown_ca ...), or -1; its name, or NULL.
 */
int         tls_engine_alert_received(const struct tls_engine *engine);
int         tls_engine_alert_sent(const struct tls_engine *engine);
const char *tls_alert_name(int alert);

/* The first byte that the peer sent, or -1: 0x16 begins a handshake record, 0x15 an alert, and
 * anything else is no TLS. */
int tls_engine_first_byte(const struct tls_engine *engine);

/*
 * The names of one kind in the peer's certificate (x509/certificate.h); none without a verified
 * certificate.  End with certificate_names_fini.
 */
enum fail tls_engine_peer_names(const struct tls_engine   *engine,
                                enum certificate_name_kind kind, struct certificate_names *out,
                                struct failure *why) WARN_UNUSED;

/* The certificates that the peer sent, where they were to be kept, also before a handshake
 * failed; the caller's, NULL where there are none, or no more. */
struct chain *tls_engine_take_chain(struct tls_engine *engine);

/* Lets go of the peer's certificate, some kilobytes: from here on the facts are all that is
 * known of it. */
void tls_engine_forget_peer(struct tls_engine *engine);

/* For channel binding: the leaf that the peer presented is this one (DER)? */
bool tls_engine_peer_is(const struct tls_engine *engine, struct bytes leaf_der);

#endif

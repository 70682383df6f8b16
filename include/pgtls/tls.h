/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/tls.h - one TLS connection without its socket
 *
 * A policy says how one side does TLS; immutable, may be shared by threads.  A context is a
 * policy made ready for one thread; it lives until its last engine, whoever releases it
 * first.  An engine is one connection: the caller moves its bytes and tells the time.
 * Context and engines belong to one thread.
 */
#ifndef PGTLS_TLS_H
#define PGTLS_TLS_H

#include "pgtls/buffer.h"
#include "pgtls/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum pgtls_tls_role { PGTLS_TLS_SERVER = 0, PGTLS_TLS_CLIENT = 1 };

/* What is demanded of the peer's certificate. */
enum pgtls_tls_peer_check {
    PGTLS_TLS_PEER_ANY = 0,   /* a client is not asked; a server is NOT verified */
    PGTLS_TLS_PEER_CHAIN = 1, /* must chain to ca_file; a client may present none */
    PGTLS_TLS_PEER_NAME = 2   /* clients: and be for verify_name (libpq's verify-full) */
};

/* Zero it, set `size` to sizeof, then what is needed.  Texts are only read during the call, and
 * files too: what they had is in the policy. */
struct pgtls_tls_policy_options {
    size_t                    size;
    enum pgtls_tls_role       role;
    enum pgtls_tls_peer_check peer_check;
    const char *cert_file;    /* PEM, leaf first; servers must have one, clients may */
    const char *key_file;     /* PEM without passphrase; mode as PostgreSQL demands of keys */
    const char *ca_file;      /* PEM bundle or "system"; with CHAIN and NAME */
    const char *min_protocol; /* "TLSv1.2", "TLSv1.3"; NULL: TLS 1.2 or later */
};

struct pgtls_tls_policy;
struct pgtls_tls_context;
struct pgtls_tls_engine;

/* Loads and proves all files.  NULL on failure: PGTLS_ERROR_CONFIG (options), _IO or _CERT
 * (files), _TLS, _MEMORY. */
struct pgtls_tls_policy *pgtls_tls_policy_new(const struct pgtls_tls_policy_options *options,
                                              struct pgtls_error                    *error);
void pgtls_tls_policy_release(struct pgtls_tls_policy *policy); /* NULL is fine */

/* Keeps the policy, which the caller may release.  NULL on failure: PGTLS_ERROR_TLS, _CERT,
 * _MEMORY. */
struct pgtls_tls_context *pgtls_tls_context_new(struct pgtls_tls_policy *policy,
                                                struct pgtls_error      *error);
void pgtls_tls_context_release(struct pgtls_tls_context *context); /* NULL is fine */

/* As for the policy; texts are copied. */
struct pgtls_tls_engine_options {
    size_t      size;
    const char *verify_name; /* clients with PGTLS_TLS_PEER_NAME: host to compare with */
    const char *sni; /* clients: name to announce (RFC 6066 3); NULL or an IP address: none */
    int64_t     wall_s; /* seconds since 1970 by which certificates are judged; with CHAIN and
                         * NAME it must be set */
};

/* Keeps the context, which the caller may release.  NULL on failure: PGTLS_ERROR_CONFIG
 * (options), _MEMORY. */
struct pgtls_tls_engine *pgtls_tls_engine_new(struct pgtls_tls_context              *context,
                                              const struct pgtls_tls_engine_options *options,
                                              struct pgtls_error                    *error);
void pgtls_tls_engine_free(struct pgtls_tls_engine *engine); /* NULL is fine */

enum pgtls_tls_verdict {
    PGTLS_TLS_WANT_MORE = 0, /* `in` is used up: call again when bytes arrive */
    PGTLS_TLS_DONE = 1,      /* the handshake is finished; or: `room` is used up */
    PGTLS_TLS_CLOSED = 2,    /* the peer said close_notify (RFC 8446 6.1) */
    PGTLS_TLS_FAILED = 3     /* see pgtls_tls_engine_error(); send `out` (an alert), close */
};

/* Takes handshake bytes off `in` (a client starts with none: { NULL, 0 }) and appends to `out`
 * what must be sent, whatever the verdict.  After DONE it must not be called again; the rest of
 * `in` is for pgtls_tls_engine_read(). */
enum pgtls_tls_verdict pgtls_tls_engine_handshake(struct pgtls_tls_engine *engine,
                                                  struct pgtls_bytes      *in,
                                                  struct pgtls_buffer     *out);

/* After the handshake: takes ciphertext off `in` and writes at most `room` bytes to `plain`;
 * *got tells how many, with every verdict.  After DONE call again, even if `in` is empty. `out`
 * gets what the protocol answers. */
enum pgtls_tls_verdict pgtls_tls_engine_read(struct pgtls_tls_engine *engine,
                                             struct pgtls_bytes *in, uint8_t *plain,
                                             size_t room, size_t *got,
                                             struct pgtls_buffer *out);

/* After the handshake: appends all of `plain` to `out` as records.  PGTLS_ERROR_LIMIT: no room,
 * nothing was appended, try again after sending.  PGTLS_ERROR_MEMORY: the same, and
 * pgtls_buffer_failed(out).  PGTLS_ERROR_CLOSED: after a close of ours or a failure. */
enum pgtls_error_kind pgtls_tls_engine_write(struct pgtls_tls_engine *engine,
                                             struct pgtls_bytes       plain,
                                             struct pgtls_buffer     *out);

/* Ends our direction: appends close_notify, once.  The peer may go on sending. */
void pgtls_tls_engine_close(struct pgtls_tls_engine *engine, struct pgtls_buffer *out);

/* Tells that the transport ended.  Without close_notify before, that is a failure. */
void pgtls_tls_engine_eof(struct pgtls_tls_engine *engine);

/* Copies why the engine failed; PGTLS_OK where it did not. */
void pgtls_tls_engine_error(const struct pgtls_tls_engine *engine, struct pgtls_error *error);

/* After the handshake: "TLSv1.3"; the cipher as OpenSSL calls it; the peer's subject (RFC 2253,
 * escaped), NULL without a certificate; 1 where it was verified.  Borrowed from the engine. */
const char *pgtls_tls_engine_version(const struct pgtls_tls_engine *engine);
const char *pgtls_tls_engine_cipher(const struct pgtls_tls_engine *engine);
const char *pgtls_tls_engine_peer_subject(const struct pgtls_tls_engine *engine);
int         pgtls_tls_engine_peer_verified(const struct pgtls_tls_engine *engine);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

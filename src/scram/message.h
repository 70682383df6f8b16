/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/message.h - what client and server share: attributes, flags, signatures; for scram/
 * only
 *
 * RFC 5802 section 7.  A message is a list of attributes `x=value` with commas between.
 */
#ifndef PGTLS_SCRAM_MESSAGE_H
#define PGTLS_SCRAM_MESSAGE_H

#include "base/buf.h"
#include "scram/verifier.h"

enum {
    SCRAM_NONCE_RAW = 18,      /* random bytes of ours, as in PostgreSQL: 24 characters */
    SCRAM_NONCE_MOST = 256,    /* characters of a peer's */
    SCRAM_MESSAGE_MOST = 4096, /* of a peer's */
    SCRAM_BINDING_MOST = 64,   /* the longest hash */
};

#define SCRAM_BINDING_TYPE "tls-server-end-point"

/* The gs2-cbind-flag of a client (RFC 5802 section 6). */
enum scram_flag {
    SCRAM_UNABLE,    /* n: it has no channel to bind to */
    SCRAM_UNOFFERED, /* y: it could, but believes that the server cannot */
    SCRAM_BOUND,     /* p=tls-server-end-point: SCRAM-SHA-256-PLUS */
};

/* "n,,", "y,," or "p=tls-server-end-point,,". */
const char *scram_gs2_header(enum scram_flag flag);

/* Takes `x=value` and the comma behind it, or the end; false, and nothing is taken, where the
 * next attribute is another one. */
bool scram_take(struct bytes *value, struct bytes *message, char name);

/* Printable ASCII but no comma, not empty, at most SCRAM_NONCE_MOST. */
bool scram_is_nonce(struct bytes nonce);

/* Appends SCRAM_NONCE_RAW bytes of chance, in base64. */
enum fail scram_put_nonce(struct buf *out, struct failure *why) WARN_UNUSED;

/* Appends the value of c=: the base64 of the GS2 header and the hash of the certificate. */
void scram_put_binding(struct buf *out, enum scram_flag flag, struct bytes hash);

/* HMAC of the AuthMessage. */
enum fail scram_sign(uint8_t out[SCRAM_KEY_LEN], const uint8_t key[SCRAM_KEY_LEN],
                     const struct buf *auth_message, struct failure *why) WARN_UNUSED;

/* HMAC(StoredKey, AuthMessage) XOR `in`: turns ClientKey into a proof, and a proof into
 * ClientKey. */
enum fail scram_apply_proof(uint8_t out[SCRAM_KEY_LEN], const uint8_t in[SCRAM_KEY_LEN],
                            const uint8_t     stored_key[SCRAM_KEY_LEN],
                            const struct buf *auth_message, struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/verifier.h - what a server keeps of a password, and the keys behind it
 *
 * RFC 5802 section 3, with SHA-256 (RFC 7677):
 *
 *   SaltedPassword = PBKDF2(SASLprep(password), salt, iterations)
 *   ClientKey = HMAC(SaltedPassword, "Client Key")    StoredKey = SHA-256(ClientKey)
 *   ServerKey = HMAC(SaltedPassword, "Server Key")
 *
 * A verifier has StoredKey and ServerKey.  Whoever knows ClientKey can log in: it is wiped like
 * a password.  PostgreSQL writes a verifier as
 * SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, the latter three in base64.
 */
#ifndef PGTLS_SCRAM_VERIFIER_H
#define PGTLS_SCRAM_VERIFIER_H

#include "base/buf.h"
#include "base/fail.h"

enum {
    SCRAM_KEY_LEN = 32,
    SCRAM_SALT_MOST = 128,           /* PostgreSQL makes 16 */
    SCRAM_ITERATIONS_MOST = 1000000, /* PostgreSQL makes 4096; a peer may not ask for hours */
    SCRAM_VERIFIER_MOST = 512,       /* characters of the text */
};

/* How a password is stretched: no secret, every client is told. */
struct scram_stretch {
    uint32_t iterations;
    uint8_t  salt_len;
    uint8_t  salt[SCRAM_SALT_MOST];
};

struct scram_verifier {
    struct scram_stretch stretch;
    uint8_t              stored_key[SCRAM_KEY_LEN];
    uint8_t              server_key[SCRAM_KEY_LEN];
};

struct scram_keys {
    uint8_t client_key[SCRAM_KEY_LEN];
    uint8_t server_key[SCRAM_KEY_LEN];
};

/* Reads PostgreSQL's text.  The failure does not repeat it. */
enum fail scram_verifier_read(struct scram_verifier *out, struct bytes text,
                              struct failure *why) WARN_UNUSED;

/* Appends PostgreSQL's text. */
void scram_verifier_write(struct buf *out, const struct scram_verifier *verifier);

/* Of a password in plain text, which is prepared by scram/saslprep.h. */
enum fail scram_verifier_make(struct scram_verifier *out, struct bytes password,
                              const struct scram_stretch *stretch,
                              struct failure             *why) WARN_UNUSED;

/* Both keys of a password in plain text.  Wipe them with scram_keys_wipe(). */
enum fail scram_keys_make(struct scram_keys *out, struct bytes password,
                          const struct scram_stretch *stretch, struct failure *why) WARN_UNUSED;
void      scram_keys_wipe(struct scram_keys *keys);

bool scram_stretch_equal(const struct scram_stretch *a, const struct scram_stretch *b);

/* Reads a salt in base64 and a count in decimal; false where either is out of bounds. */
bool scram_stretch_read(struct scram_stretch *out, struct bytes salt, struct bytes iterations);

#endif

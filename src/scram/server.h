/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/server.h - lets clients log in with SCRAM-SHA-256 or SCRAM-SHA-256-PLUS
 *
 * RFC 5802, RFC 7677.  Messages in, messages out; no socket.  Refusals are those of PostgreSQL
 * (src/backend/libpq/auth-scram.c), SQLSTATE and text.
 *
 *   scram_server_read_first --> scram_server_first --> scram_server_read_final
 *       --> scram_server_final
 *
 * A user that is not known runs to the end with `verifier` NULL: the same messages, the same
 * work, and the refusal of a wrong password.
 */
#ifndef PGTLS_SCRAM_SERVER_H
#define PGTLS_SCRAM_SERVER_H

#include "scram/message.h"

enum scram_verdict {
    SCRAM_GOES_ON,
    SCRAM_REFUSED, /* see server->refusal */
    SCRAM_FAILED,  /* no memory, no random bytes: see `why` */
};

/* Static strings.  A wrong password has no message: it names the user, whom we do not know. */
struct scram_refusal {
    const char *sqlstate;
    const char *message; /* NULL with 28P01 */
    const char *detail;  /* or NULL */
};

struct scram_server_options {
    bool         offers_plus;
    struct bytes hash;  /* of the certificate that the client sees; copied */
    const char  *nonce; /* for tests; NULL: chance */
};

struct scram_server {
    bool                 offers_plus;
    uint8_t              hash_len;
    uint8_t              hash[SCRAM_BINDING_MOST];
    const char          *chosen_nonce;
    enum scram_flag      flag;  /* what the client said */
    struct buf           nonce; /* the client's, and ours behind it */
    struct buf           auth_message;
    struct scram_refusal refusal;
};

void scram_server_init(struct scram_server *server, const struct scram_server_options *options);
void scram_server_fini(struct scram_server *server); /* all-zero is fine */

/* Reads client-first-message, for the mechanism that the client chose of those offered. */
enum scram_verdict scram_server_read_first(struct scram_server *server, const char *mechanism,
                                           struct bytes message);

/* Appends server-first-message. */
enum fail scram_server_first(struct scram_server *server, const struct scram_stretch *stretch,
                             struct buf *out, struct failure *why) WARN_UNUSED;

/*
 * Reads client-final-message and proves it against `verifier`; NULL: of nobody.
 * SCRAM_GOES_ON: the client knows the password, and `client_key` is what its proof showed;
 * wipe it.  It is all zero after every other verdict.
 */
enum scram_verdict scram_server_read_final(struct scram_server *server, struct bytes message,
                                           const struct scram_verifier *verifier,
                                           uint8_t         client_key[SCRAM_KEY_LEN],
                                           struct failure *why);

/* Appends server-final-message: we know the verifier too. */
enum fail scram_server_final(const struct scram_server   *server,
                             const struct scram_verifier *verifier, struct buf *out,
                             struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/client.h - logs in with SCRAM-SHA-256 or SCRAM-SHA-256-PLUS
 *
 * RFC 5802, RFC 7677.  Messages in, messages out; no socket.
 *
 *   scram_client_first --> scram_client_read_first --> scram_client_final
 *       --> scram_client_read_final: the server has proved that it knows the verifier
 *
 * Which flag, for a client of PostgreSQL:
 *   - the server offers PLUS and the channel has a hash: SCRAM_BOUND
 *   - the channel has a hash, the server does not offer PLUS: SCRAM_UNOFFERED; a server that
 *     does offer it refuses then, since somebody in the middle took it out of the list
 *   - no TLS, or a certificate that tls-server-end-point knows no hash for: SCRAM_UNABLE
 *
 *     struct scram_client client;
 *     struct scram_client_options options = { .flag = SCRAM_BOUND, .hash = hash };
 *
 *     scram_client_init(&client, &options);
 *     rc = scram_client_first(&client, &out, &why);       // SASLInitialResponse with
 *                                                         // scram_client_mechanism(&client)
 *     rc = scram_client_read_first(&client, body, &why);  // of AuthenticationSASLContinue
 *     rc = scram_keys_make(&keys, password, &client.stretch, &why);
 *     rc = scram_client_final(&client, &keys, &out, &why);
 *     rc = scram_client_read_final(&client, body, &why);  // of AuthenticationSASLFinal
 *     scram_keys_wipe(&keys);
 *     scram_client_fini(&client);
 *
 * An AuthenticationOk before scram_client_read_final() has said yes is a lie.
 */
#ifndef PGTLS_SCRAM_CLIENT_H
#define PGTLS_SCRAM_CLIENT_H

#include "scram/message.h"

struct scram_client_options {
    enum scram_flag flag;
    struct bytes    hash;  /* of the server's certificate, for SCRAM_BOUND; copied */
    const char     *nonce; /* for tests; NULL: chance */
};

struct scram_client {
    enum scram_flag      flag;
    uint8_t              hash_len;
    uint8_t              hash[SCRAM_BINDING_MOST];
    const char          *chosen_nonce;
    struct buf           auth_message;
    size_t               nonce_len; /* of ours: it ends the first part of auth_message */
    struct scram_stretch stretch;   /* of the server, after scram_client_read_first() */
    struct buf           nonce;     /* ours and the server's behind it */
    uint8_t              server_signature[SCRAM_KEY_LEN]; /* that we expect */
};

void scram_client_init(struct scram_client *client, const struct scram_client_options *options);
void scram_client_fini(struct scram_client *client); /* wipes; all-zero is fine */

/* "SCRAM-SHA-256-PLUS" for SCRAM_BOUND, else "SCRAM-SHA-256". */
const char *scram_client_mechanism(const struct scram_client *client);

/* Appends client-first-message. */
enum fail scram_client_first(struct scram_client *client, struct buf *out,
                             struct failure *why) WARN_UNUSED;

/* Reads server-first-message: client->stretch is known then.  FAIL_PROTOCOL, also where it is
 * out of our bounds. */
enum fail scram_client_read_first(struct scram_client *client, struct bytes message,
                                  struct failure *why) WARN_UNUSED;

/* Appends client-final-message with the proof that we know `keys`, which are not kept. */
enum fail scram_client_final(struct scram_client *client, const struct scram_keys *keys,
                             struct buf *out, struct failure *why) WARN_UNUSED;

/* Reads server-final-message.  FAIL_REFUSED: the server does not know the verifier, or says
 * an error of its own. */
enum fail scram_client_read_final(struct scram_client *client, struct bytes message,
                                  struct failure *why) WARN_UNUSED;

#endif

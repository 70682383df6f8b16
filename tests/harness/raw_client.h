/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/raw_client.h - a client made of OpenSSL alone, against an engine of ours
 *
 * For what our own client never does: resume sessions, offer anything.  Set up `ssl` between
 * init and shake.  Whatever goes wrong in the making ends the program.
 */
#ifndef PGTLS_HARNESS_RAW_CLIENT_H
#define PGTLS_HARNESS_RAW_CLIENT_H

#include "tls/engine.h"

#include <openssl/ssl.h>

struct raw_client {
    SSL_CTX         *library;
    SSL             *ssl;
    SSL_SESSION     *session;  /* the last one that the server gave */
    unsigned         sessions; /* how many it gave */
    int              alert;    /* that it received; -1 */
    bool             is_done;  /* with its handshake */
    enum tls_verdict server;   /* of the engine's handshake */
};

void raw_client_init(struct raw_client *client);
void raw_client_fini(struct raw_client *client);

/* Shakes hands, at most `piece` bytes at a time, and reads what comes after it. */
void raw_client_shake(struct raw_client *client, struct tls_engine *server, size_t piece);

#endif

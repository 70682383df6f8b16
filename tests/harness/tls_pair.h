/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/tls_pair.h - two engines and the bytes between them
 *
 * Whatever goes wrong in the making ends the program.
 */
#ifndef PGTLS_HARNESS_TLS_PAIR_H
#define PGTLS_HARNESS_TLS_PAIR_H

#include "harness/certs.h"
#include "tls/engine.h"

/* A root and an issuing CA, a server's and a client's certificate, loaded from files. */
struct tls_pki {
    char            *dir;
    struct cert      root, issuing, server_cert, client_cert;
    struct trust    *trust;
    struct identity *server, *client;
};

void tls_pki_init(struct tls_pki *pki);
void tls_pki_fini(struct tls_pki *pki);

/* Loads what is written to files first: a chain, leaf first and ended by NULL; CAs likewise. */
struct identity *tls_pki_identity(const struct tls_pki *pki, const struct cert *const *chain);
struct trust *tls_pki_trust(const struct tls_pki *pki, const struct cert *const *authorities);

struct tls_side {
    struct tls_engine *engine;
    struct buf         out; /* what it wants to send */
    enum tls_verdict   verdict;
};

struct tls_pair {
    struct tls_side client, server;
};

struct tls_engine *tls_pair_engine(const struct tls_policy_options *policy,
                                   const struct tls_engine_options *options);

void tls_pair_init(struct tls_pair *pair, struct tls_engine *client, struct tls_engine *server);

/* Two that have shaken hands and have nothing special but who protects their records. */
struct tls_pair tls_pair_open(const struct tls_pki *pki, enum tls_records client,
                              enum tls_records server);
void            tls_pair_fini(struct tls_pair *pair);

/* Carries at most `piece` bytes at a time until both are done, or nothing moves any more. */
void tls_pair_handshake(struct tls_pair *pair, size_t piece);

/* The last verdict on what `from` has sent; all plaintext is appended to `plain`. */
enum tls_verdict tls_pair_carry(struct tls_side *from, struct tls_side *to, size_t piece,
                                struct buf *plain);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/auth_query.h - asks a server for the verifier of a user
 *
 * A login of its own and one statement, with the user's name as its only parameter (the
 * extended protocol: the name is never part of the statement).  Nothing else of a client gets
 * here; database, search_path and encoding are set by us (CVE-2025-12819).
 *
 *   LOGIN --AuthenticationOk, ReadyForQuery--> ROWS --ReadyForQuery--> over
 *
 * The role logs in with SCRAM, bound to the server's certificate where that offers it, or by
 * whatever lets it in without a password (a certificate, trust).  A server that wants the
 * password in clear or as md5 does not get it.  Where the far end may be somebody else a login
 * that cannot be bound is none: it could be passed on, and the verifiers of all would be
 * theirs.
 */
#ifndef PGTLS_SESSION_AUTH_QUERY_H
#define PGTLS_SESSION_AUTH_QUERY_H

#include "pg/collector.h"
#include "scram/client.h"

enum auth_query_verdict {
    AUTH_QUERY_WANT_MORE,
    AUTH_QUERY_FOUND,  /* query->verifier */
    AUTH_QUERY_NOBODY, /* no row, or NULL: the user is not known, or has no password; or what
                        * came is no verifier, see query->why: a client shall not learn that */
    AUTH_QUERY_FAILED, /* see query->why */
};

/* Keys of the role's password: stretching takes milliseconds, so they are kept by the caller as
 * long as the server shows the same salt.  Wipe it at the end. */
struct auth_query_keys {
    bool                 are_known;
    struct scram_stretch stretch;
    struct scram_keys    keys;
};

/* Borrowed until the end. */
struct auth_query_options {
    const char             *role;
    const char             *database;
    const char             *statement;   /* its one row's last column is the verifier */
    const char             *user;        /* $1 */
    struct bytes            password;    /* empty: none */
    struct bytes            server_hash; /* of the certificate; none: no binding */
    bool                    may_be_else; /* the certificate is not verified */
    struct auth_query_keys *keys;
};

enum auth_query_state {
    AUTH_QUERY_LOGIN,      /* nothing is known yet */
    AUTH_QUERY_SASL_FIRST, /* SCRAM has begun */
    AUTH_QUERY_SASL_FINAL, /* the server must prove itself */
    AUTH_QUERY_SASL_DONE,  /* it has */
    AUTH_QUERY_READY,      /* AuthenticationOk was seen */
    AUTH_QUERY_ROWS,       /* the statement was sent */
};

struct auth_query {
    struct auth_query_options options;
    enum auth_query_state     state;
    struct collector          collector;
    struct scram_client       scram;
    struct scram_verifier     verifier;
    unsigned                  rows;
    bool                      has_verifier;
    struct failure            why;
};

void auth_query_init(struct auth_query *query, const struct auth_query_options *options);
void auth_query_fini(struct auth_query *query); /* wipes; all-zero is fine */

/* Appends the startup packet. */
void auth_query_start(const struct auth_query *query, struct buf *out);

/* Takes the server's bytes; appends answers.  After any verdict but WANT_MORE it is over: flush
 * `out` and close. */
enum auth_query_verdict auth_query_feed(struct auth_query *query, struct bytes in,
                                        struct buf *out);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/policy.h - how one side of a route does TLS
 *
 * Immutable once made and counted.  Made and proved by the control thread; each
 * worker builds its own tls_context from it.
 */
#ifndef PGTLS_TLS_POLICY_H
#define PGTLS_TLS_POLICY_H

#include "base/bytes.h"
#include "base/fail.h"
#include "tls/tickets.h"
#include "x509/identity.h"
#include "x509/trust_pool.h"

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* What is demanded of the peer's certificate. */
enum tls_peer_check {
    TLS_PEER_ANY,   /* a client is not asked; a server is not verified */
    TLS_PEER_CHAIN, /* what is presented must chain to `trust`; a client may present none */
    TLS_PEER_NAME,  /* servers only: and be for the name given to the engine */
};

/* Whose order of ciphers counts in the choice; by default as openssl.cnf says. */
enum tls_order { TLS_ORDER_LIBRARY, TLS_ORDER_SERVER, TLS_ORDER_CLIENT };

/* Who protects records after the handshake. */
enum tls_records {
    TLS_RECORDS_AUTO,    /* we, where we can: TLS 1.3; else OpenSSL */
    TLS_RECORDS_LIBRARY, /* OpenSSL */
    TLS_RECORDS_OWN,     /* we; TLS 1.2 is not spoken */
    TLS_RECORDS_KERNEL,  /* the kernel, from some point on, where it can; else as AUTO */
};

/* What a kernel has of kTLS. */
struct tls_kernel_abilities {
    unsigned    sends, receives; /* 1 << enum tls_suite */
    bool        rekeys;
    const char *refusal; /* static text: why there is none of it; and what to do */
    const char *hint;
};

#define TLS_MOST_IDENTITIES 4 /* RSA, RSA-PSS, EC, Ed25519 */

/*
 * Zero is the default everywhere.  A text that is set takes effect or is a failure that
 * names it: an empty one, an unknown name, one that the other settings make idle.
 */
struct tls_policy_options {
    enum tls_role       role;
    enum tls_peer_check peer_check;
    struct identity    *identity; /* servers must have one; held by the policy */
    struct identity    *more_identities[TLS_MOST_IDENTITIES - 1]; /* servers: of other kinds of
                                                                   * key; NULL: no more */
    struct trust *trust;            /* with TLS_PEER_CHAIN and _NAME; held by the policy */
    size_t        max_record_bytes; /* plaintext in one record we send; 0: 16384 */

    const char *min_protocol;      /* "TLSv1.2", "TLSv1.3"; NULL: TLS 1.2, or more where
                                    * openssl.cnf says so */
    const char    *max_protocol;   /* NULL: as openssl.cnf says */
    const char    *ciphers;        /* TLS 1.2; NULL: ECDHE with AES-GCM or ChaCha20 */
    const char    *ciphersuites;   /* TLS 1.3; NULL: as openssl.cnf says */
    const char    *groups;         /* NULL: as openssl.cnf says */
    const char    *dh_params_file; /* servers whose ciphers have DHE; NULL: by the key's size */
    enum tls_order order;          /* servers */
    enum tls_records            record_layer;
    struct tls_kernel_abilities kernel; /* with TLS_RECORDS_KERNEL */

    /* Servers: session tickets; NULL: none.  Held by the policy.  The scope says what a ticket
     * is good for: all bytes that tell this policy from a laxer one: route, host,
     * mode, client_name, map.  The contents of `trust` are added to it here. */
    struct tls_ticket_keys *ticket_keys;
    struct bytes            ticket_scope;

    struct trust_pool
        *pool; /* the proof takes its store from there; borrowed until it is made */
};

struct tls_policy;

/*
 * Makes a policy and proves that a context can be built from it.  NULL with
 * `why` filled otherwise.  Texts and the scope are copied.  The default ciphers let
 * no CBC suite in, and none may let eNULL or aNULL in; no renegotiation, no
 * compression, no early data.
 */
struct tls_policy *tls_policy_new(const struct tls_policy_options *options,
                                  struct failure                  *why);
struct tls_policy *tls_policy_hold(struct tls_policy *policy);
void               tls_policy_release(struct tls_policy *policy); /* NULL is fine */

const struct tls_policy_options *tls_policy_options(const struct tls_policy *policy);

/* The n-th of its certificates, from 0 to TLS_MOST_IDENTITIES - 1; NULL: there is none. */
const struct identity *tls_policy_identity(const struct tls_policy *policy, size_t n);

/* For tls/ only: of dh_params_file, or NULL; and what sessions of this policy are marked with.
 */
#define TLS_SESSION_CONTEXT_BYTES 32
struct evp_pkey_st;
struct evp_pkey_st *tls_policy_dh(const struct tls_policy *policy);
const uint8_t      *tls_policy_session_context(const struct tls_policy *policy);

#endif

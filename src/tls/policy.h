/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/policy.h - how one side of a route does TLS
 *
 * Immutable once made and counted.  Made and proved by the control thread; each
 * worker builds its own tls_context from it.
 */
#ifndef PGTLS_TLS_POLICY_H
#define PGTLS_TLS_POLICY_H

#include "base/fail.h"
#include "x509/identity.h"
#include "x509/trust.h"

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* What is demanded of the peer's certificate. */
enum tls_peer_check {
    TLS_PEER_ANY,   /* a client is not asked; a server is not verified */
    TLS_PEER_CHAIN, /* what is presented must chain to `trust`; a client may present none */
    TLS_PEER_NAME,  /* servers only: and be for the name given to the engine */
};

struct tls_policy_options {
    enum tls_role       role;
    enum tls_peer_check peer_check;
    struct identity    *identity; /* servers must have one; held by the policy */
    struct trust       *trust;    /* with TLS_PEER_CHAIN and _NAME; held by the policy */
    size_t              max_record_bytes; /* plaintext in one record we send; 0: 16384 */
};

struct tls_policy;

/*
 * Makes a policy and proves that a context can be built from it.  NULL with
 * `why` filled otherwise.  Protocol TLS 1.2 and later; the default ciphers let no
 * CBC suite in; no tickets, no renegotiation, no compression.
 */
struct tls_policy *tls_policy_new(const struct tls_policy_options *options,
                                  struct failure                  *why);
struct tls_policy *tls_policy_hold(struct tls_policy *policy);
void               tls_policy_release(struct tls_policy *policy); /* NULL is fine */

const struct tls_policy_options *tls_policy_options(const struct tls_policy *policy);

#endif

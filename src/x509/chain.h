/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/chain.h - the certificates that a peer sent, in its order, and what is wrong with them
 *
 * For whoever explains a chain; a handshake that only has to be right needs none of it.
 * Immutable, and independent of the connection that it came by.
 */
#ifndef PGTLS_X509_CHAIN_H
#define PGTLS_X509_CHAIN_H

#include "base/fail.h"
#include "x509/certificate.h"
#include "x509/endpoint_hash.h"

struct chain;
struct trust;
struct stack_st_X509;

struct chain_link {
    struct certificate_facts facts;
    char                     key[32];   /* "RSA 2048", "EC P-256", "ED25519" */
    const char              *signature; /* "ecdsa-with-SHA256" */
    const char *hash;    /* of the signature: "SHA256"; NULL where it has no single one */
    char        use[80]; /* "server", "server, client", "authority, path length 0" */
    int         issuer;  /* which of these certificates signed it: itself where it is
                          * self-signed; -1: none of them */
    bool is_ca;
    bool has_weak_key;  /* less than 112 bits of security: RSA below 2048 */
    bool has_weak_hash; /* MD5 or SHA-1, unless it is self-signed: nobody looks there */
};

/* What stands between a chain and trust in it. */
enum chain_fault {
    CHAIN_GOOD,
    CHAIN_EXPIRED,
    CHAIN_NOT_YET_VALID,
    CHAIN_SELF_SIGNED,   /* the leaf, and it is not trusted itself */
    CHAIN_LEAF_ONLY,     /* nothing but the leaf was sent; its issuer is not trusted */
    CHAIN_MISSING_LINK,  /* several were sent, and one between them is missing */
    CHAIN_UNKNOWN_CA,    /* it is whole, and leads to nobody who is trusted */
    CHAIN_BAD_SIGNATURE, /* a trusted CA has the right name and another key */
    CHAIN_WEAK,          /* a key or a hash below OpenSSL's security level */
    CHAIN_REVOKED,
    CHAIN_NO_CRL, /* no list of one of the CAs, where lists are checked */
    CHAIN_CRL_EXPIRED,
    CHAIN_WRONG_PURPOSE, /* not a certificate for servers */
    CHAIN_INVALID_CA,    /* signed by what is no CA, or may not sign so deep */
    CHAIN_OTHER,
};

/* Copies the stack (its certificates are held); it may not be empty.  For tls/ and x509/. */
struct chain *chain_new(struct stack_st_X509 *certificates, struct failure *why);
struct chain *chain_load(const char *file, struct failure *why); /* PEM */
void          chain_free(struct chain *chain);                   /* NULL is fine */

size_t                   chain_length(const struct chain *chain);
const struct chain_link *chain_link(const struct chain *chain, size_t n); /* 0: the leaf */

/* Each certificate signed the one before it: RFC 5246 7.4.2; RFC 8446 only recommends it. */
bool chain_is_in_order(const struct chain *chain);

struct chain_judge {
    const struct trust *trust;
    int64_t             wall_s;
    int                 security_level; /* tls_context_security_level() */
};

/*
 * Whether a client that trusts `trust` takes the chain for a server's: what
 * sslmode=verify-ca asks.  *at tells which certificate has the fault, -1 where that is none of
 * those that were sent; `why` is for people.
 */
enum chain_fault chain_verify(const struct chain *chain, const struct chain_judge *judge,
                              int *at, struct failure *why) WARN_UNUSED;

/* Whether the leaf is for `host`: x509/name_match.h. */
enum fail chain_match_name(const struct chain *chain, const char *host,
                           struct failure *why) WARN_UNUSED;

/* The leaf's only common name is exactly `user`: what PostgreSQL's cert authentication asks. */
bool chain_has_common_name(const struct chain *chain, const char *user);

/* For x509/: the certificates, borrowed. */
struct stack_st_X509 *chain_certificates(const struct chain *chain);

/* A NUL hides in one of the leaf's names, or they cannot be read. */
bool chain_has_broken_names(const struct chain *chain);

/* What channel binding takes of the leaf, borrowed; and the name of its hash, NULL where that
 * is not defined. */
const struct endpoint_hash *chain_binding(const struct chain *chain);
const char                 *chain_binding_hash(const struct chain *chain);

#endif

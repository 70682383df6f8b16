/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/identity.h - a certificate chain and the private key of its leaf
 *
 * Immutable once loaded and counted: policies of many generations and workers
 * share one.
 */
#ifndef PGTLS_X509_IDENTITY_H
#define PGTLS_X509_IDENTITY_H

#include "base/bytes.h"
#include "base/fail.h"
#include "x509/endpoint_hash.h"
#include "x509/private_key.h"

struct identity;

struct identity_files {
    const char *cert; /* PEM: leaf first, then intermediates */
    const char *key;  /* PEM: PKCS#8, PKCS#1 or SEC1; or the URI of a store */
    const struct passphrase_source *passphrase; /* asked for a key that needs one; or NULL */
};

/*
 * Loads both and proves that they belong together, and that each certificate
 * signed the one before it; dates are not looked at.  The key file must be a
 * regular file, and by PostgreSQL's rule (be_tls_init, "private key file has
 * group or world access") owned by root with mode 0640 or less, or by the
 * effective user with 0600 or less.  A key with a passphrase is a failure where
 * no source is given, or where its passphrase does not fit; never a prompt.
 * On failure NULL, and `why` names the file, what is wrong and what to do.
 */
struct identity *identity_load(const struct identity_files *files, struct failure *why);
struct identity *identity_hold(struct identity *identity);    /* one more user; returns it */
void             identity_release(struct identity *identity); /* NULL is fine */

/* Facts for --check and for logs.  Borrowed from the identity. */
struct certificate_facts;
const struct certificate_facts *identity_facts(const struct identity *identity);
size_t identity_chain_length(const struct identity *identity); /* with leaf */
/* The n-th certificate's; 0 is the leaf. */
const struct certificate_facts *identity_chain_facts(const struct identity *identity, size_t n);

const char *identity_file(const struct identity *identity); /* of the certificates */

/* What --check warns of: whether the chain leads to a root without a gap.  `known` has the
 * issuer of its last certificate, or not; its store is taken from `pool` (x509/trust_pool.h).
 */
struct trust;
struct trust_pool;
enum identity_end {
    IDENTITY_ENDS_UNKNOWN,   /* that issuer is not in the store */
    IDENTITY_ENDS_AT_ROOT,   /* it is a root, or the last certificate is one itself */
    IDENTITY_LACKS_ITS_LINK, /* it is no root, and should be in the file */
};
enum identity_end identity_end(const struct identity *identity, struct trust_pool *pool,
                               struct trust *known);

/* What --check warns of: libpq's rules for names (x509/name_match.h), and the purposes. */
bool identity_covers_name(const struct identity *identity, const char *host);
bool identity_has_server_auth(const struct identity *identity);
bool identity_has_client_auth(const struct identity *identity);

/* Whether both have keys of the same kind: OpenSSL chooses between kinds, so one policy
 * takes only one of each. */
bool        identity_same_kind(const struct identity *a, const struct identity *b);
const char *identity_kind(const struct identity *identity); /* "RSA", "EC" ... */

/* Whether both have the same leaf certificate (DER): channel binding passes then. */
struct bytes identity_leaf_der(const struct identity *identity);

/* What clients bind to that see this leaf; borrowed. */
const struct endpoint_hash *identity_endpoint_hash(const struct identity *identity);

/* For tls/ only, which is why the types are named and not included here. */
struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;
struct x509_st       *identity_leaf(const struct identity *identity);
struct evp_pkey_st   *identity_key(const struct identity *identity);
struct stack_st_X509 *identity_intermediates(const struct identity *identity);

#endif

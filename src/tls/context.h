/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/context.h - a policy made ready for one worker
 *
 * Holds what OpenSSL wants once (SSL_CTX, X509_STORE), never built per
 * connection.  Used by one thread.  Lives until its last engine.
 */
#ifndef PGTLS_TLS_CONTEXT_H
#define PGTLS_TLS_CONTEXT_H

#include "tls/hosts.h"
#include "tls/policy.h"

struct tls_context;

struct tls_context *tls_context_new(struct tls_policy *policy, struct failure *why);

/* With a store that others of the same thread have too; NULL: its own. */
struct tls_context *tls_context_new_in(struct tls_policy *policy, struct trust_pool *pool,
                                       struct failure *why);

/*
 * One for all hosts of a port: an engine starts with it, and goes on with the context
 * of the host that the ClientHello names.  `pool` as above.
 */
struct tls_context *tls_context_new_for_hosts(struct tls_hosts *hosts, struct trust_pool *pool,
                                              struct failure *why);

struct tls_context *tls_context_hold(struct tls_context *context);
void                tls_context_release(struct tls_context *context); /* NULL is fine */

/*
 * From here on its engines use the ciphers of `aeads`, which all contexts of a worker may
 * share, in place of its own.  Before the first engine.
 */
struct tls_aeads;
void tls_context_share(struct tls_context *context, struct tls_aeads *aeads);

/* That of the first host where there are several. */
const struct tls_policy *tls_context_policy(const struct tls_context *context);

/* OpenSSL's, as openssl.cnf and the ciphers say: what keys and hashes are strong enough. */
int tls_context_security_level(const struct tls_context *context);

/* For tls/ only. */
struct ssl_st;
struct ssl_ctx_st;
struct bio_method_st;
struct ssl_ctx_st          *tls_context_library(const struct tls_context *context);
const struct bio_method_st *tls_context_wire(const struct tls_context *context);

struct tls_aeads *tls_context_aeads(const struct tls_context *context);

struct tls_seen;
struct tls_seen *tls_context_seen(struct tls_context *context);

const struct tls_hosts   *tls_context_hosts(const struct tls_context *context); /* or NULL */
const struct tls_context *tls_context_of_host(const struct tls_context *context, size_t host);

/* Makes an SSL, new or at its ClientHello, this context's in every respect; false when out of
 * memory. */
bool tls_context_adopt(const struct tls_context *context, struct ssl_st *ssl, int64_t wall_s);

/* "OpenSSL 3.0.19 ..." of the library that runs. */
const char *tls_library_version(void);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/context.h - a policy made ready for one worker
 *
 * Holds what OpenSSL wants once (SSL_CTX, X509_STORE), never built per
 * connection (WIRE T15).  Used by one thread.  Lives until its last engine.
 */
#ifndef PGTLS_TLS_CONTEXT_H
#define PGTLS_TLS_CONTEXT_H

#include "tls/policy.h"

struct tls_context;

struct tls_context *tls_context_new(struct tls_policy *policy, struct failure *why);
struct tls_context *tls_context_hold(struct tls_context *context);
void                tls_context_release(struct tls_context *context); /* NULL is fine */

const struct tls_policy *tls_context_policy(const struct tls_context *context);

/* For tls/engine only. */
struct ssl_ctx_st;
struct bio_method_st;
struct ssl_ctx_st          *tls_context_library(const struct tls_context *context);
const struct bio_method_st *tls_context_wire(const struct tls_context *context);

/* "OpenSSL 3.0.19 ..." of the library that runs. */
const char *tls_library_version(void);

#endif

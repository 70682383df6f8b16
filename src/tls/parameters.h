/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/parameters.h - protocol range, ciphers, groups, DH: what a policy says in words
 *
 * For tls/ only.  A word that would not take effect is a failure.
 */
#ifndef PGTLS_TLS_PARAMETERS_H
#define PGTLS_TLS_PARAMETERS_H

#include "tls/policy.h"

struct ssl_ctx_st;
struct evp_pkey_st;

/* Loads dh_params_file and proves that it is good; NULL on failure. */
struct evp_pkey_st *tls_parameters_load_dh(const char *file, struct failure *why);

/* Sets all of them.  `dh` may be NULL. */
enum fail tls_parameters_apply(struct ssl_ctx_st               *library,
                               const struct tls_policy_options *options, struct evp_pkey_st *dh,
                               struct failure *why) WARN_UNUSED;

#endif

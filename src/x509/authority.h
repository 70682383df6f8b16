/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/authority.h - a certificate authority that signs: its chain, its root and its key
 */
#ifndef PGTLS_X509_AUTHORITY_H
#define PGTLS_X509_AUTHORITY_H

#include "base/buf.h"
#include "base/fail.h"
#include "x509/private_key.h"

struct authority;
struct evp_pkey_st;
struct x509_st;

/*
 * Loads the authority's certificate, with those of the authorities above it behind it in the
 * same file.  `root_file` is where the root certificate is if the chain does not end with
 * it; it may be missing, or NULL.  Proves that the certificate is one of an authority, that
 * each signed the one before it, and that it is valid at `now`.  NULL on failure.
 */
struct authority *authority_load(const char *cert_file, const char *root_file, int64_t now,
                                 struct failure *why);
void              authority_free(struct authority *authority); /* NULL is fine */

/* Loads its key, which must be that of the certificate.  Before anything is signed. */
enum fail authority_load_key(struct authority *authority, const char *key_file,
                             const struct passphrase_source *passphrase,
                             struct failure                 *why) WARN_UNUSED;

struct x509_st     *authority_certificate(const struct authority *authority); /* borrowed */
struct evp_pkey_st *authority_key(const struct authority *authority);         /* or NULL */
int64_t             authority_not_after(const struct authority *authority);

/* Appends what stands behind a leaf in its file: the chain without the root. */
enum fail authority_write_chain(const struct authority *authority, struct buf *out,
                                struct failure *why) WARN_UNUSED;

/* Appends the root certificate; false where it is not known. */
bool      authority_knows_root(const struct authority *authority);
enum fail authority_write_root(const struct authority *authority, struct buf *out,
                               struct failure *why) WARN_UNUSED;

/* The first certificate of a file, which the authority must have signed; the caller's.  NULL on
 * failure. */
struct x509_st *authority_load_signed(const struct authority *authority, const char *file,
                                      struct failure *why);

/* Whether the certificate was signed by the authority. */
bool authority_has_signed(const struct authority *authority, struct x509_st *certificate);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/private_key.h - a private key from a PEM file or from an OpenSSL store
 *
 * Nothing here ever asks on a terminal.
 */
#ifndef PGTLS_X509_PRIVATE_KEY_H
#define PGTLS_X509_PRIVATE_KEY_H

#include "base/fail.h"
#include "base/secret.h"

/*
 * Whoever knows passphrases: the first member of a larger struct.  get() is
 * called at most once for a key, with the file name or URI as it was given; it
 * leaves an initialised `out` after success only.
 */
struct passphrase_source {
    enum fail (*get)(const struct passphrase_source *source, const char *key,
                     struct secret *out, struct failure *why);
};

/*
 * Whether the text names a key in an OpenSSL store: it begins with a scheme of
 * two letters or more and a colon ("pkcs11:token=t;object=k"), and no file has that
 * name.  Such a text is no path: it must not be made absolute.
 */
bool private_key_is_uri(const char *key);

struct evp_pkey_st;

/*
 * PKCS#8, PKCS#1 or SEC1 in a regular file, which PostgreSQL's rule for owner and
 * mode holds for (x509/pem_file.h); or the one private key that a URI stands for, by
 * the providers that openssl.cnf loads.  `source` may be NULL: a key with a
 * passphrase is a failure then.  NULL on failure; otherwise the caller's.
 */
struct evp_pkey_st *private_key_load(const char *key, const struct passphrase_source *source,
                                     struct failure *why);

/* The same for who only looks: as root, at keys of whatever user the server runs as. */
struct evp_pkey_st *private_key_look(const char *key, const struct passphrase_source *source,
                                     struct failure *why);

void private_key_free(struct evp_pkey_st *key); /* NULL is fine */

#endif

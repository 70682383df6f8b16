/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/key_kind.h - new private keys, by the names that people write: "ec:P-256", "rsa:3072"
 */
#ifndef PGTLS_X509_KEY_KIND_H
#define PGTLS_X509_KEY_KIND_H

#include "base/fail.h"
#include "base/secret.h"

struct evp_pkey_st;
struct evp_md_st;

#define KEY_KIND_PRESET "ec:P-256"
#define KEY_KIND_TEXT   48

const char *const *key_kind_names(void); /* ends with NULL */
bool               key_kind_is_known(const char *name);

/* A new key, the caller's; NULL where the kind is not known or the library has none. */
struct evp_pkey_st *key_kind_make(const char *name, struct failure *why);

/* The kind of a key that is there, as above where it has such a name; returns `out`. */
const char *key_kind_of(const struct evp_pkey_st *key, char out[static KEY_KIND_TEXT]);

/* The hash that signatures by this key are made with; NULL: its kind has its own. */
const struct evp_md_st *key_kind_hash(const struct evp_pkey_st *key);

/* Whether the key is too short for today: RSA below 2048 bits, EC below 256. */
bool key_kind_is_weak(const struct evp_pkey_st *key);

/* PKCS#8 in PEM; with a passphrase encrypted by AES-256 (PBKDF2).  `passphrase` may be NULL.
 * `out` is initialised after success only. */
enum fail key_kind_write(struct evp_pkey_st *key, const struct secret *passphrase,
                         struct secret *out, struct failure *why) WARN_UNUSED;

#endif

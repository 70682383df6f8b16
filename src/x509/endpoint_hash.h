/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/endpoint_hash.h - what tls-server-end-point binds a login to
 *
 * RFC 5929 section 4.1: the hash of the server's certificate, by the hash of the signature that
 * is on it; where that is MD5 or SHA-1, by SHA-256.  RSA-PSS names its hash in its parameters.
 * For a signature without one single hash (Ed25519, Ed448, ML-DSA) the RFC defines nothing, and
 * neither do we: a guess would be a binding that no peer shares.
 */
#ifndef PGTLS_X509_ENDPOINT_HASH_H
#define PGTLS_X509_ENDPOINT_HASH_H

#include "base/bytes.h"

struct x509_st;

struct endpoint_hash {
    const char *signature; /* "ED25519", "RSA-SHA256": OpenSSL's name; static */
    uint8_t     len;       /* 0: not defined for this signature */
    uint8_t     hash[64];
};

/* len is 0 too where the library does not compute that hash. */
void endpoint_hash_make(struct endpoint_hash *out, struct x509_st *certificate);

static inline struct bytes endpoint_hash_bytes(const struct endpoint_hash *hash)
{
    return bytes_of(hash->hash, hash->len);
}

#endif

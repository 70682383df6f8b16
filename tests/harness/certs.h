/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/certs.h - certificates made to measure within a test
 *
 * No files but those that a test asks for, in a directory of its own.  Whatever
 * goes wrong here ends the program.
 */
#ifndef PGTLS_HARNESS_CERTS_H
#define PGTLS_HARNESS_CERTS_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

/* The time at which the certificates of a test are judged; presets are valid for a year around
 * it. */
#define CERTS_NOW INT64_C(1750000000)

struct cert {
    X509     *x509;
    EVP_PKEY *key;
};

struct cert_spec {
    const char *common_name; /* NULL: an empty subject */
    const char *second_name; /* one more CN */
    const char *names;       /* "DNS:localhost,IP:127.0.0.1", as in openssl.cnf; NULL: none */
    const char *usage;       /* "serverAuth", "clientAuth"; NULL: not said */
    bool        is_ca;
    bool        is_rsa;     /* 2048 bits; otherwise ECDSA P-256 */
    bool        is_weak;    /* RSA of 1024 bits */
    bool        is_odd;     /* with a critical extension that nobody knows */
    int64_t     not_before; /* 0: half a year before CERTS_NOW */
    int64_t     not_after;  /* 0: half a year after it */
};

/* Signed by `issuer`, or by itself where that is NULL. */
struct cert cert_make(const struct cert_spec *spec, const struct cert *issuer);
void        cert_free(struct cert *cert);

/* Adds a subjectAltName of these DER bytes, whatever they mean, and signs again. */
void cert_set_raw_names(struct cert *cert, const void *der, size_t len,
                        const struct cert *issuer);
/* Replaces the subject by one CN of these bytes, and signs again. */
void cert_set_raw_common_name(struct cert *cert, const void *name, size_t len,
                              const struct cert *issuer);

struct crl_spec {
    const struct cert *const *revoked;     /* ended by NULL; NULL: none */
    int64_t                   this_update; /* 0: a day before CERTS_NOW */
    int64_t                   next_update; /* 0: a week after it; -1: not said */
};

/* A new directory under the build's or the system's temporary one; free removes it with its
 * files. */
char *certs_dir_new(void);
void  certs_dir_free(char *dir);

/* Writes a file there and returns its path, to be freed. */
char *certs_write_chain(const char *dir, const char *name, const struct cert *const *chain);
char *certs_write_key(const char *dir, const char *name, const struct cert *cert);
char *certs_write_crl(const char *dir, const char *name, const struct crl_spec *spec,
                      const struct cert *issuer);
char *certs_write_text(const char *dir, const char *name, const void *text, size_t len);

#endif

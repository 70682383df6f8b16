/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/cert.h - a private certificate authority, and what is wrong with a certificate
 *
 * What `pgtls cert` does, as calls; docs/certificates.md tells what is in the files. Everything
 * is read from and written to files, all files of a call or none of them; runs at the same time
 * wait for each other.  No other program is called, no network and no terminal used.
 *
 * Options: zero them, set `size` to sizeof, then what is needed.  Texts are only read during
 * the call.  wall_s is the time in seconds since 1970, which only a request does without; days
 * are 1 to 36500.  Failures:
 * PGTLS_ERROR_CONFIG (options that do not go together), _IO and _CERT (files), _REFUSED (what
 * is there already is not replaced), _LIMIT (a file is too large), _TLS, _MEMORY.
 */
#ifndef PGTLS_CERT_H
#define PGTLS_CERT_H

#include "pgtls/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum pgtls_cert_purpose {
    PGTLS_CERT_SERVER = 0,   /* server.key, server.crt (or .csr) */
    PGTLS_CERT_CLIENT = 1,   /* client.key, client.crt */
    PGTLS_CERT_AUTHORITY = 2 /* ca.key, ca.crt, and the books of an authority */
};

struct pgtls_cert_options {
    size_t                  size;
    enum pgtls_cert_purpose purpose;
    const char             *out_dir; /* made if its parent is there */
    const char             *ca_dir;  /* who signs; NULL: it signs itself */
    const char             *subject; /* "CN=a,O=b" (RFC 2253); NULL: the user or first name */
    const char             *user;    /* clients */
    const char *const      *names;   /* host names and addresses; servers must have some */
    size_t                  name_count;
    const char *key_kind;      /* "ec:P-256", "ec:P-384", "rsa:3072" ...; NULL: the first;
                                * with renew_days, what is there may be of any kind */
    unsigned days;             /* how long it is valid, not longer than its authority */
    int      path_length;      /* authorities: how many may stand below it; -1: any number */
    int      replaces;         /* not 0: files that are there are replaced */
    unsigned renew_days;       /* not 0: only if what is there ends within so many days, or is
                                * for something else */
    const char *ca_passphrase; /* of the authority's key; NULL: it has none */
    const char *passphrase;    /* for the new key; NULL: it gets none */
    int64_t     wall_s;
};

/* A key, its certificate, and root.crt where an authority signs.  *written (may be NULL)
 * becomes 0 where what is there is good for longer than renew_days. */
enum pgtls_error_kind pgtls_cert_make(const struct pgtls_cert_options *options, int *written,
                                      struct pgtls_error *error);

/* A key and a request for its certificate.  ca_dir, days and renew_days must be unset. */
enum pgtls_error_kind pgtls_cert_request(const struct pgtls_cert_options *options,
                                         struct pgtls_error              *error);

/* The certificate for a request, and root.crt.  The request's own subject and names count only
 * if takes_names is not 0, where the options have none.  key_kind, passphrase and renew_days
 * must be unset. */
enum pgtls_error_kind pgtls_cert_sign(const struct pgtls_cert_options *options,
                                      const char *request_file, int takes_names,
                                      struct pgtls_error *error);

struct pgtls_cert_revocation {
    size_t      size;
    const char *ca_dir;
    const char *cert_file; /* or */
    const char *serial;    /* hexadecimal, where the file is lost */
    const char *reason; /* "keyCompromise", "superseded" ... (RFC 5280 5.3.1); NULL: not said */
    int64_t     wall_s;
};

/* Notes it in the authority's books; the next list has it. */
enum pgtls_error_kind pgtls_cert_revoke(const struct pgtls_cert_revocation *revocation,
                                        struct pgtls_error                 *error);

struct pgtls_cert_list_options {
    size_t      size;
    const char *ca_dir;
    const char *out_file;    /* NULL: ca.crl in the folder */
    const char *append_file; /* lists of the authorities above it; NULL: none */
    unsigned    days;        /* until the next list */
    const char *ca_passphrase;
    int64_t     wall_s;
};

/* The authority's revocation list, with the next number. */
enum pgtls_error_kind pgtls_cert_write_list(const struct pgtls_cert_list_options *options,
                                            struct pgtls_error                   *error);

struct pgtls_cert_verify_options {
    size_t                  size;
    enum pgtls_cert_purpose purpose;    /* server or client */
    const char             *cert_file;  /* with its chain */
    const char             *key_file;   /* NULL: not looked at; and so the others */
    const char             *passphrase; /* opens the key; NULL: it has none */
    const char             *ca_file;    /* or "system" */
    const char             *crl_file;   /* with ca_file */
    const char *const      *names;      /* hosts, or the user where it is a client's */
    size_t                  name_count;
    int64_t                 wall_s;
};

enum pgtls_cert_verdict {
    PGTLS_CERT_NOT_LOOKED_AT = 0,
    PGTLS_CERT_GOOD = 1,
    PGTLS_CERT_BAD = 2
};

/* What was found, step by step: "order", "key", "dates", "strength", "trust", "revocation",
 * "purpose", "name". */
struct pgtls_cert_report;

/* The caller's; NULL where the files cannot be looked at at all.  A certificate that is bad is
 * no failure. */
struct pgtls_cert_report *pgtls_cert_verify(const struct pgtls_cert_verify_options *options,
                                            struct pgtls_error                     *error);
void   pgtls_cert_report_free(struct pgtls_cert_report *report);          /* NULL is fine */
int    pgtls_cert_report_is_good(const struct pgtls_cert_report *report); /* no step is bad */
size_t pgtls_cert_report_steps(const struct pgtls_cert_report *report);

/* Of the n-th step, the first is 0: its word, its verdict, what was found, and what to do where
 * it is bad ("" elsewhere).  Borrowed from the report; text of a peer is escaped.  Behind the
 * last step there is "" and PGTLS_CERT_NOT_LOOKED_AT. */
const char *pgtls_cert_report_step(const struct pgtls_cert_report *report, size_t n);
enum pgtls_cert_verdict pgtls_cert_report_verdict(const struct pgtls_cert_report *report,
                                                  size_t                          n);
const char *pgtls_cert_report_text(const struct pgtls_cert_report *report, size_t n);
const char *pgtls_cert_report_hint(const struct pgtls_cert_report *report, size_t n);

/* The certificates of a PEM file, in its order; the caller's.  NULL: PGTLS_ERROR_IO, _CERT,
 * _MEMORY. */
struct pgtls_cert_chain;
struct pgtls_cert_chain *pgtls_cert_chain_load(const char *file, struct pgtls_error *error);
void   pgtls_cert_chain_free(struct pgtls_cert_chain *chain); /* NULL is fine */
size_t pgtls_cert_chain_length(const struct pgtls_cert_chain *chain);
/* 1 where each signed the one before it. */
int pgtls_cert_chain_is_in_order(const struct pgtls_cert_chain *chain);

/* Of the n-th certificate, the first is 0: subject and issuer (RFC 2253), names ("DNS:a,
 * IP:10.0.0.1"), SHA-256 fingerprint and serial number (hexadecimal, lower case), key ("EC
 * P-256"), and from when until when it is valid, in seconds since 1970.  Texts are escaped, and
 * borrowed from the chain.  Behind the last one there is "" and 0. */
const char *pgtls_cert_chain_subject(const struct pgtls_cert_chain *chain, size_t n);
const char *pgtls_cert_chain_issuer(const struct pgtls_cert_chain *chain, size_t n);
const char *pgtls_cert_chain_names(const struct pgtls_cert_chain *chain, size_t n);
const char *pgtls_cert_chain_fingerprint(const struct pgtls_cert_chain *chain, size_t n);
const char *pgtls_cert_chain_serial(const struct pgtls_cert_chain *chain, size_t n);
const char *pgtls_cert_chain_key(const struct pgtls_cert_chain *chain, size_t n);
int64_t     pgtls_cert_chain_not_before(const struct pgtls_cert_chain *chain, size_t n);
int64_t     pgtls_cert_chain_not_after(const struct pgtls_cert_chain *chain, size_t n);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/request.h - certificate signing requests (PKCS #10, RFC 2986)
 *
 * A request comes from elsewhere: what it says of itself counts only where its reader was
 * told so.
 */
#ifndef PGTLS_X509_REQUEST_H
#define PGTLS_X509_REQUEST_H

#include "base/buf.h"
#include "base/fail.h"

struct evp_pkey_st;
struct stack_st_GENERAL_NAME;
struct X509_name_st;
struct X509_req_st;

/* Signed by `key`; `names` may be NULL.  The caller's; NULL on failure. */
struct X509_req_st *request_make(struct X509_name_st          *subject,
                                 struct stack_st_GENERAL_NAME *names, struct evp_pkey_st *key,
                                 struct failure *why);

/* Reads PEM text and proves that who made it has the key.  `file` is for failures. */
struct X509_req_st *request_read(struct bytes text, const char *file, struct failure *why);
struct X509_req_st *request_load(const char *file, struct failure *why);
void                request_free(struct X509_req_st *request); /* NULL is fine */

struct evp_pkey_st *request_key(const struct X509_req_st *request); /* borrowed */

/* A copy that is the caller's; NULL on failure. */
struct X509_name_st *request_subject_copy(const struct X509_req_st *request,
                                          struct failure           *why);

/* What it says, for people, escaped; freed by request_facts_fini. */
struct request_facts {
    char *subject;
    char *names; /* "DNS:a, IP:10.0.0.1"; "" where it asks for none */
    char  key[48];
};

enum fail request_facts_init(struct request_facts *out, struct X509_req_st *request,
                             struct failure *why) WARN_UNUSED;
void      request_facts_fini(struct request_facts *facts);

/*
 * The alternative names that it asks for: DNS names, addresses, email and URI, each of them
 * well-formed (x509/subject.h).  No names: an empty stack.  The caller's; NULL on failure.
 */
struct stack_st_GENERAL_NAME *request_names(struct X509_req_st *request, struct failure *why);

#endif

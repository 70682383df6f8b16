/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/subject.h - names as people write them, for certificates that are made
 */
#ifndef PGTLS_X509_SUBJECT_H
#define PGTLS_X509_SUBJECT_H

#include "base/fail.h"

#include <stdbool.h>
#include <stddef.h>

struct X509_name_st;
struct stack_st_GENERAL_NAME;

#define SUBJECT_LONGEST_COMMON_NAME 64u /* ub-common-name, RFC 5280 appendix A.1 */

/*
 * "CN=Example Root,O=Example\, Inc." in the order of RFC 2253, which is what `show` and
 * pg_ident.conf's clientname=DN write.  Names of attributes are OpenSSL's short and long ones.
 * The caller's; NULL on failure.
 */
struct X509_name_st *subject_parse(const char *text, struct failure *why);

/* One CN of this text, whatever it is; no empty one, no control characters. */
struct X509_name_st *subject_of_common_name(const char *name, struct failure *why);
struct X509_name_st *subject_empty(struct failure *why);
void                 subject_free(struct X509_name_st *subject); /* NULL is fine */

bool subject_is_empty(const struct X509_name_st *subject);

/*
 * Alternative names: "db.example.com", "*.example.com", "10.0.0.5", "::1", or with their kind
 * in front, "DNS:a", "IP:::1", "email:a@b.c", "URI:spiffe://a/b".  What is neither a DNS name
 * nor an address is a failure that says so.  The caller's; NULL on failure.
 */
struct stack_st_GENERAL_NAME *subject_names(const char *const *texts, size_t count,
                                            struct failure *why);
size_t                        subject_name_count(const struct stack_st_GENERAL_NAME *names);
void                          subject_names_free(struct stack_st_GENERAL_NAME *names);

#endif

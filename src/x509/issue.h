/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/issue.h - makes certificates
 *
 * With what RFC 5280 and OpenSSL's strict checks want: 128 random bits of serial, key usage and
 * purposes, path length, identifiers of both keys; valid from an hour before `now`, for clocks
 * that are slow.  A certificate never outlives who signed it.
 */
#ifndef PGTLS_X509_ISSUE_H
#define PGTLS_X509_ISSUE_H

#include "base/bytes.h"
#include "base/fail.h"

struct authority;
struct evp_pkey_st;
struct stack_st_GENERAL_NAME;
struct x509_st;
struct X509_name_st;

enum issue_purpose { ISSUE_SERVER, ISSUE_CLIENT, ISSUE_AUTHORITY };

#define ISSUE_ANY_PATH     (-1) /* authorities: as many below them as one likes */
#define ISSUE_MOST_DAYS    36500u
#define ISSUE_BACKDATING_S 3600

struct issue_order {
    enum issue_purpose            purpose;
    struct X509_name_st          *subject;
    struct stack_st_GENERAL_NAME *names; /* NULL or empty: none */
    struct evp_pkey_st           *key;   /* whose certificate it is; its public half is enough
                                          * where an authority signs */
    int      path_length;                /* authorities: how many may be below it */
    int64_t  now;                        /* seconds since 1970 */
    unsigned days;                       /* 1 to ISSUE_MOST_DAYS */
};

/* The caller's; NULL on failure. */
struct x509_st *issue_self_signed(const struct issue_order *order, struct failure *why);
void            issue_free(struct x509_st *certificate); /* NULL is fine */

/*
 * Signed by the authority, whose key has been loaded.  Failures: the authority may have no (or
 * not so many) authorities below it.  The certificate ends with the authority at the latest.
 */
struct x509_st *issue_signed(const struct issue_order *order, const struct authority *authority,
                             struct failure *why);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/order.h - what certificate is wanted, and where: for the recipes of ca/
 */
#ifndef PGTLS_CA_ORDER_H
#define PGTLS_CA_ORDER_H

#include "base/bytes.h"
#include "base/fail.h"
#include "x509/issue.h"
#include "x509/private_key.h"

/* Texts are borrowed during the call. */
struct ca_order {
    enum issue_purpose purpose;
    const char        *out; /* the folder, which is made if its parent is there */
    const char        *ca;  /* the folder of the authority that signs; NULL: it signs itself */

    const char        *subject; /* RFC 2253; NULL: the user, or the first name */
    const char        *user;    /* clients: becomes the common name */
    const char *const *names;   /* servers must have some */
    size_t             name_count;
    bool takes_names; /* ca_sign: what is not set above is taken from the request */

    const char *key_kind; /* NULL: KEY_KIND_PRESET, and a renewal does not mind */
    unsigned    days;
    int         path_length; /* authorities */
    bool        force;       /* files that are there are replaced */
    unsigned    renew_days;  /* more than 0: only if the certificate ends within so many days */

    const struct passphrase_source *ca_passphrase; /* opens the authority's key; or NULL */
    const struct passphrase_source *passphrase;    /* for the new key; NULL: it gets none */
    int64_t                         now;           /* seconds since 1970 */
};

#define CA_PATH 4200 /* longer than any that can be opened */

struct ca_outcome {
    bool    was_written;   /* false: the certificate that is there is good for longer */
    char    cert[CA_PATH]; /* the files; "" where there is none */
    char    key[CA_PATH];
    int64_t not_after;
    bool    ends_with_its_authority; /* the days that were wanted would have been more */
    bool    lacks_root;              /* the authority does not know its root */
};

/* "server", "client", "ca": how the files are called. */
const char *ca_base_name(enum issue_purpose purpose);

/* Rules of an order that need no file.  FAIL_CONFIG. */
enum fail ca_order_check(const struct ca_order *order, struct failure *why) WARN_UNUSED;

/* The same, and its subject and names are such. */
enum fail ca_order_prove(const struct ca_order *order, struct failure *why) WARN_UNUSED;

struct X509_name_st;
struct stack_st_GENERAL_NAME;

/* The subject and the names; both the caller's.  After a failure neither is. */
enum fail ca_order_names(const struct ca_order *order, struct X509_name_st **subject,
                         struct stack_st_GENERAL_NAME **names, struct failure *why) WARN_UNUSED;

#endif

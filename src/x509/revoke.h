/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/revoke.h - makes certificate revocation lists (RFC 5280 5), and what an authority notes
 * of each certificate that it signed
 */
#ifndef PGTLS_X509_REVOKE_H
#define PGTLS_X509_REVOKE_H

#include "base/buf.h"
#include "base/fail.h"

struct authority;
struct x509_st;
struct X509_crl_st;

/* "keyCompromise" ...: RFC 5280 5.3.1, as openssl ca spells them; NULL at the end. */
const char *const *revoke_reasons(void);

struct revoked {
    const char *serial; /* hexadecimal */
    int64_t     at;     /* seconds since 1970 */
    const char *reason; /* of revoke_reasons(); NULL: not said */
};

struct revoke_order {
    const struct revoked *items;
    size_t                count;
    const char           *number; /* hexadecimal: larger in each list */
    int64_t               now;
    unsigned              days; /* until the next list */
};

/* A list of that authority, whose key has been loaded.  The caller's; NULL on failure. */
struct X509_crl_st *revoke_make_crl(const struct revoke_order *order,
                                    const struct authority *authority, struct failure *why);
void                revoke_free_crl(struct X509_crl_st *crl);

/* What the index says of a certificate; texts are the caller's, freed by revoke_note_fini. */
struct revoke_note {
    char   *serial;  /* upper case, an even number of digits: as openssl ca writes it */
    char   *subject; /* "/CN=alice": X509_NAME_oneline */
    int64_t not_after;
};

enum fail revoke_note_init(struct revoke_note *out, struct x509_st *certificate,
                           struct failure *why) WARN_UNUSED;
void      revoke_note_fini(struct revoke_note *note);

#endif

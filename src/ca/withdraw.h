/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/withdraw.h - takes certificates back, and says so to the world
 */
#ifndef PGTLS_CA_WITHDRAW_H
#define PGTLS_CA_WITHDRAW_H

#include "base/fail.h"
#include "x509/private_key.h"

#include <stdint.h>

struct ca_revocation {
    const char *ca;     /* the authority's folder */
    const char *cert;   /* the certificate's file; or */
    const char *serial; /* its number, hexadecimal, where the file is lost */
    const char *reason; /* of revoke_reasons(); NULL: not said */
    int64_t     now;
};

/*
 * Notes it in the index; the next list has it.  `serial` becomes the number, in at least 80
 * bytes.  Failures: another authority signed it, it has been revoked before, the index does not
 * have the number.
 */
#define CA_SERIAL_TEXT 96
enum fail ca_revoke(const struct ca_revocation *revocation, char serial[static CA_SERIAL_TEXT],
                    struct failure *why) WARN_UNUSED;

struct ca_list_order {
    const char *ca;
    const char *out;    /* the file; NULL: ca.crl in the folder */
    const char *append; /* a file with lists of the authorities above it, or NULL */
    unsigned    days;   /* until the next list */
    const struct passphrase_source *passphrase; /* or NULL */
    int64_t                         now;
};

struct ca_list_outcome {
    char   file[4200];
    char   number[40]; /* hexadecimal */
    size_t revoked;
};

/* Writes the authority's list, which replaces the one before.  Whoever checks a chain wants the
 * list of every authority in it. */
enum fail ca_write_list(const struct ca_list_order *order, struct ca_list_outcome *outcome,
                        struct failure *why) WARN_UNUSED;

#endif

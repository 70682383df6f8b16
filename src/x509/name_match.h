/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/name_match.h - is this the certificate of the server we meant?
 *
 * libpq's rules exactly (fe-secure-common.c, PostgreSQL manual 34.19.1), not
 * those of X509_check_host():
 *   - host is a DNS name: any DNS SAN present = the CN is ignored; else the CN
 *   - host is an IP address: any IP SAN present = the CN is ignored; else the CN,
 *     even where DNS SANs exist
 *   - case-insensitive; `*` only as the whole first label, one label deep
 *   - an IP SAN has 4 or 16 bytes; another length is a failure, as is a NUL in a name
 * Two things libpq lets pass are refused here: alternative names that cannot be
 * decoded (there the CN would count), and a wildcard for a host with an empty label.
 */
#ifndef PGTLS_X509_NAME_MATCH_H
#define PGTLS_X509_NAME_MATCH_H

#include "base/fail.h"

struct x509_st;

/* Whether libpq takes `host` for an IP address: inet_aton, so "127.1" too, or IPv6. */
bool name_is_address(const char *host);

/*
 * FAIL_NONE if the certificate is for `host`.  Otherwise `why` says which names it has:
 * `server certificate is for "a" (and 2 other names), not for host "b"`.
 */
enum fail name_match(struct x509_st *certificate, const char *host,
                     struct failure *why) WARN_UNUSED;

#endif

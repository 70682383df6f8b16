/* SPDX-License-Identifier: PostgreSQL */
/*
 * driver/sources.h - fills in what a connection string leaves open, as libpq does
 *
 * The service file, the PG* variables of the environment, files under ~/.postgresql, presets.
 * Two presets are not libpq's: sslmode is verify-full, and without a root.crt the system's
 * store is trusted (sslrootcert=system).  Redis gets nothing of PostgreSQL's.
 */
#ifndef PGTLS_DRIVER_SOURCES_H
#define PGTLS_DRIVER_SOURCES_H

#include "driver/parameters.h"

/* Where the connection leads: one host of the list. */
struct endpoint {
    char     host[256]; /* as written: to verify, to announce; "/folder" is a Unix socket */
    char     connect_to[256]; /* hostaddr where that is set; else the host */
    uint16_t port;
};

#define ENDPOINTS_MOST 16

struct endpoints {
    struct endpoint items[ENDPOINTS_MOST];
    size_t          count;
};

/* A service that is named and not to be found is a failure, as is an unknown word in its file.
 */
enum fail sources_fill(struct parameters *parameters, struct failure *why) WARN_UNUSED;

/* The hosts of filled parameters, with their ports; one of each, or lists of the same length.
 */
enum fail sources_endpoints(const struct parameters *parameters, struct endpoints *out,
                            struct failure *why) WARN_UNUSED;

/*
 * The password for an endpoint: what the parameters have, or else the first line of the
 * password file that fits (PostgreSQL manual 34.16).  A copy to be wiped, NULL where there is
 * none.  *warning says why a password file was not read: others may read it; "" otherwise.
 */
char *sources_password(const struct parameters *parameters, const struct endpoint *endpoint,
                       char warning[static 256]);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * driver/service_file.h - pg_service.conf: parameters under a name
 *
 * PostgreSQL manual 34.17.
 */
#ifndef PGTLS_DRIVER_SERVICE_FILE_H
#define PGTLS_DRIVER_SERVICE_FILE_H

#include "driver/parameters.h"

/*
 * Where a service is named (service= or PGSERVICE): fills in what its section says, from the
 * user's file (PGSERVICEFILE, or HOME/.pg_service.conf), or else from the system's
 * (PGSYSCONFDIR, /etc/postgresql-common).  A service that neither has is a failure, as are a
 * line without "=" and an unknown word.
 */
enum fail service_file_fill(struct parameters *parameters, const char *home,
                            struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * driver/uri.h - connection strings: libpq's two forms, and redis:// and rediss://
 *
 *   postgresql://user:password@host:port,host2/db?sslmode=require      (postgres:// too)
 *   host=db.example.com user=alice password='it\'s'
 *   rediss://user:password@host:port/0?cacert=ca.crt&sni=name
 *
 * The rules are libpq's (PostgreSQL manual 34.1.1): every part may be percent-encoded, a host
 * that begins with a slash is the folder of a Unix socket, an IPv6 address stands in brackets,
 * ssl=true is sslmode=require.
 */
#ifndef PGTLS_DRIVER_URI_H
#define PGTLS_DRIVER_URI_H

#include "driver/parameters.h"

/*
 * Reads `text` into `parameters`, which were just initialised, and says which protocol it is
 * for.  redis:// is sslmode disable, rediss:// verify-full.  No failure repeats
 * what could not be parsed, which may be a password: it says at which byte.
 */
enum fail uri_read(struct parameters *parameters, const char *text,
                   struct failure *why) WARN_UNUSED;

/*
 * Overwrites the passwords and SCRAM keys in a connection string with "x": for the list of
 * arguments, which every user of the machine can see.
 */
void uri_hide_secrets(char *text);

#endif

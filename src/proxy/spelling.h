/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/spelling.h - one server, written in several ways
 *
 * "localhost:5432", "LOCALHOST.:05432", "127.0.0.1:5432", "[::ffff:127.0.0.1]:5432" and
 * "[::1]:5432" are one server: this machine's.  "unix:/run//pg/s" is "unix:/run/pg/s", and
 * also "unix:/var/run/pg/s" where /var/run is a link to /run.
 *
 * Nothing is looked up: two names of DNS, or a name and the address that it has, stay two.
 */
#ifndef PGTLS_PROXY_SPELLING_H
#define PGTLS_PROXY_SPELLING_H

#include <stddef.h>

#define SPELLING_MOST 320 /* a host name of 255 bytes and what stands around it */

/*
 * Writes the one form of all spellings of an address of a backend, for comparison only.  What
 * is no address at all stays as it is, cut where it is too long for one.
 */
void spelling_of_server(const char *address, char out[static SPELLING_MOST]);

#endif

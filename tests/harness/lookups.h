/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/lookups.h - counts what our own code fetches from OpenSSL, or makes of its large
 * objects
 *
 * Each is done by name and with locks, or is kilobytes: once for a worker, never for a
 * connection.
 */
#ifndef PGTLS_HARNESS_LOOKUPS_H
#define PGTLS_HARNESS_LOOKUPS_H

unsigned lookups_take(void); /* how many of this thread since it asked last */

#endif

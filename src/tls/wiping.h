/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/wiping.h - OpenSSL leaves nothing behind in memory that it frees
 *
 * It frees traffic secrets without wiping them, and they stay until the memory is used
 * again.  For programs: a library has no say in the allocator of its process.
 */
#ifndef PGTLS_TLS_WIPING_H
#define PGTLS_TLS_WIPING_H

#include <stdbool.h>

/* Before any other use of OpenSSL, else false and nothing is wiped. */
bool tls_wiping_start(void);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/ip_counts.h - how many connections each client address has
 *
 * Shared by all workers: a striped table, locked a stripe at a time, at accept and
 * end only.  It holds an entry for an address as long as that has a connection.
 */
#ifndef PGTLS_RUNTIME_IP_COUNTS_H
#define PGTLS_RUNTIME_IP_COUNTS_H

#include "io/address.h"

struct ip_counts;

struct ip_counts *ip_counts_new(void); /* NULL when out of memory */
void              ip_counts_free(struct ip_counts *counts);

/* One more; returns how many there are now.  0: a Unix socket, or out of memory; not counted.
 */
uint64_t ip_counts_add(struct ip_counts *counts, const struct address *address);

/* One less, of an address that was counted. */
void ip_counts_remove(struct ip_counts *counts, const struct address *address);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/cancel_table.h - which backend has the session that a cancel key is of?
 *
 * A CancelRequest names a session by process id and key, nothing else, and may
 * reach another worker than the session's.  Sessions whose
 * backend is one of several enter themselves at login and leave at their end.
 *
 * Shared by all workers: striped, locked a stripe at a time.  Bounded: beyond its
 * limit nothing is entered, and such a cancel is one without a hit.
 */
#ifndef PGTLS_RUNTIME_CANCEL_TABLE_H
#define PGTLS_RUNTIME_CANCEL_TABLE_H

#include "base/bytes.h"
#include "io/address.h"

enum { CANCEL_KEY_MOST = 260 }; /* process id and a key of protocol 3.2 */

struct cancel_table;
struct cancel_entry; /* of one session; valid until it leaves */

/* What a session left: where it is. */
struct cancel_place {
    uint64_t       target;  /* the owner's word for the server's settings */
    struct address address; /* of the server */
    bool           has_tls; /* the session, towards the server */
};

struct cancel_table *cancel_table_new(size_t most); /* NULL when out of memory */
void                 cancel_table_free(struct cancel_table *table);

/*
 * `key` is process id and key as they are on the wire, behind each other.  NULL where the
 * table is full, memory is out, or the key is longer than CANCEL_KEY_MOST.  The same key
 * again (another backend may give it too) is entered beside the first.
 */
struct cancel_entry *cancel_table_enter(struct cancel_table *table, struct bytes key,
                                        const struct cancel_place *place);

/* Takes it out and frees it. */
void cancel_table_leave(struct cancel_table *table, struct cancel_entry *entry);

/* Copies up to `most` places of this key; returns how many there are. */
size_t cancel_table_find(struct cancel_table *table, struct bytes key,
                         struct cancel_place *places, size_t most);

size_t cancel_table_count(const struct cancel_table *table);

#endif

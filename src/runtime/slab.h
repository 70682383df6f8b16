/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/slab.h - objects of one size, in chunks
 *
 * A worker's connections come and go; their memory stays together, costs eight
 * bytes an object beside it, and a chunk whose last object is given back goes
 * back to the system, but for one.  For one thread.  An all-zero slab is empty.
 */
#ifndef PGTLS_RUNTIME_SLAB_H
#define PGTLS_RUNTIME_SLAB_H

#include <stddef.h>

struct slab_chunk;

#define SLAB_BESIDE sizeof(struct slab_chunk *) /* of memory, for each object */

struct slab {
    struct slab_chunk *open; /* chunks with room */
    size_t             size; /* of an object; that of the first one that was taken */
};

/* An object of zeroes, or NULL where there is no memory.  `size` is always the same. */
void *slab_take(struct slab *slab, size_t size);
void  slab_give(void *object); /* NULL is fine */

void slab_fini(struct slab *slab); /* all objects are given back */

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/buffers.h - a worker's spare buffers
 *
 * Idle connections hold no memory for bytes.  Who has something to send takes a
 * buffer here and gives it back once the kernel has the bytes; the last one
 * given back is the first to be taken, while it is still in the cache.
 */
#ifndef PGTLS_RUNTIME_BUFFERS_H
#define PGTLS_RUNTIME_BUFFERS_H

#include "base/buf.h"
#include "io/loop.h"

/*
 * The most that waits in one buffer: one receive of the other side, sealed as
 * small records, and a message or two of our own beside it.
 */
#define BUFFER_LIMIT (2 * LOOP_RECEIVE_MAX)

/* Room for one receive and a record that was cut before it. */
#define SCRATCH_SIZE (LOOP_RECEIVE_MAX + (size_t)32 * 1024)

#define BUFFERS_KEPT 16

struct buffers {
    struct buf spare[BUFFERS_KEPT];
    size_t     count;
    uint8_t   *scratch; /* SCRATCH_SIZE bytes: plaintext within one callback */
};

enum fail buffers_init(struct buffers *buffers, struct failure *why) WARN_UNUSED;
void      buffers_fini(struct buffers *buffers);

/* The memory of a buffer whose bytes the kernel is taking. */
struct lent {
    uint8_t *memory;
    size_t   capacity;
};

struct lent buffers_lend(struct buf *buf); /* *buf is empty, without memory, from here on */
void        buffers_give_lent(struct buffers *buffers, struct lent *lent);

/* An empty buffer, to be given back; it may have no memory yet, so this cannot fail. */
struct buf buffers_take(struct buffers *buffers);
void       buffers_give(struct buffers *buffers, struct buf *buf); /* leaves *buf empty */

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * pgtls/buffer.h - bytes in and bytes out
 *
 * A buffer owns its memory and grows up to a limit, so that no peer chooses how much is
 * allocated.  Used by one thread at a time.
 */
#ifndef PGTLS_BUFFER_H
#define PGTLS_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A look at memory of somebody else.  Calls that take bytes off it move `p` and lower `len`. */
struct pgtls_bytes {
    const uint8_t *p;
    size_t         len;
};

struct pgtls_buffer;

struct pgtls_buffer *pgtls_buffer_new(size_t limit_bytes); /* NULL when out of memory */
void                 pgtls_buffer_free(struct pgtls_buffer *buffer); /* NULL is fine */

/* What waits in it, the oldest first; borrowed until the buffer is changed. */
struct pgtls_bytes pgtls_buffer_bytes(const struct pgtls_buffer *buffer);

/* Takes `n` bytes off the front: they were sent.  More than there are empties it. */
void pgtls_buffer_skip(struct pgtls_buffer *buffer, size_t n);

/* 1 once something did not fit or found no memory: bytes are missing, close the connection.
 * A pgtls_tls_engine_write() that fails for room appends nothing and does not count. */
int pgtls_buffer_failed(const struct pgtls_buffer *buffer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/secret.h - memory for passwords, passphrases and keys
 *
 * Allocated once and never grown, so that no copy stays behind; wiped when it is
 * freed.  Its contents go into no log and no failure.
 */
#ifndef PGTLS_BASE_SECRET_H
#define PGTLS_BASE_SECRET_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/fail.h"

struct secret {
    uint8_t *memory;
    size_t   len;
    size_t   size; /* as given at init */
};

/* Room for `size` bytes, more than none; FAIL_MEMORY. */
enum fail secret_init(struct secret *secret, size_t size, struct failure *why) WARN_UNUSED;
void      secret_fini(struct secret *secret); /* wipes and frees; all-zero is fine */

/* Appends; false, and nothing is, where there is no room. */
bool secret_put(struct secret *secret, struct bytes b) WARN_UNUSED;

/* Room for bytes that are read in place: write to secret_end(), then tell how many. */
static inline uint8_t *secret_end(const struct secret *secret)
{
    return secret->memory + secret->len;
}

static inline size_t secret_room(const struct secret *secret)
{
    return secret->size - secret->len;
}

void secret_wrote(struct secret *secret, size_t n);

/* Keeps the first `n` bytes and wipes the others. */
void secret_cut(struct secret *secret, size_t n);

static inline struct bytes secret_bytes(const struct secret *secret)
{
    return bytes_of(secret->memory, secret->len);
}

/* Wipes memory that is not a struct secret; no compiler leaves it out. */
void secret_wipe(void *memory, size_t len);

/* buf_fini() of one that held something secret. */
void secret_wipe_buf(struct buf *buf);

#endif

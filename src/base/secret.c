/* SPDX-License-Identifier: PostgreSQL */
#include "base/secret.h"

#include <assert.h>
#include <stdlib.h>

enum fail secret_init(struct secret *secret, size_t size, struct failure *why)
{
    *secret = (struct secret){ .memory = malloc(size), .size = size };
    if (secret->memory != NULL)
        return FAIL_NONE;
    secret->size = 0;
    return fail(why, FAIL_MEMORY, "out of memory");
}

void secret_fini(struct secret *secret)
{
    if (secret->memory != NULL)
        secret_wipe(secret->memory, secret->size);
    free(secret->memory);
    *secret = (struct secret){ 0 };
}

bool secret_put(struct secret *secret, struct bytes b)
{
    if (b.len > secret_room(secret))
        return false;
    if (b.len > 0)
        memcpy(secret_end(secret), b.p, b.len);
    secret->len += b.len;
    return true;
}

void secret_wrote(struct secret *secret, size_t n)
{
    assert(n <= secret_room(secret));
    secret->len += n;
}

void secret_cut(struct secret *secret, size_t n)
{
    if (n >= secret->len)
        return;
    secret_wipe(secret->memory + n, secret->len - n);
    secret->len = n;
}

void secret_wipe(void *memory, size_t len)
{
    explicit_bzero(memory, len);
}

void secret_wipe_buf(struct buf *buf)
{
    if (buf->memory != NULL)
        secret_wipe(buf->memory, buf->capacity);
    buf_fini(buf);
}

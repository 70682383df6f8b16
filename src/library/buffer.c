/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/buffer.h"

#include "library/parts.h"

#include <stdlib.h>

struct pgtls_buffer *pgtls_buffer_new(size_t limit_bytes)
{
    struct pgtls_buffer *buffer = malloc(sizeof *buffer);

    if (buffer)
        buf_init(&buffer->buf, limit_bytes);
    return buffer;
}

void pgtls_buffer_free(struct pgtls_buffer *buffer)
{
    if (!buffer)
        return;
    buf_fini(&buffer->buf);
    free(buffer);
}

struct pgtls_bytes pgtls_buffer_bytes(const struct pgtls_buffer *buffer)
{
    struct bytes all = buf_bytes(&buffer->buf);

    return (struct pgtls_bytes){ all.p, all.len };
}

void pgtls_buffer_skip(struct pgtls_buffer *buffer, size_t n)
{
    buf_skip(&buffer->buf, n < buffer->buf.len ? n : buffer->buf.len);
}

int pgtls_buffer_failed(const struct pgtls_buffer *buffer)
{
    return !buf_ok(&buffer->buf);
}

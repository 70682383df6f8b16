/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/buffers.h"

#include <stdlib.h>

enum fail buffers_init(struct buffers *buffers, struct failure *why)
{
    *buffers = (struct buffers){ .scratch = malloc(SCRATCH_SIZE) };
    return buffers->scratch != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

void buffers_fini(struct buffers *buffers)
{
    while (buffers->count > 0)
        buf_fini(&buffers->spare[--buffers->count]);
    free(buffers->scratch);
    buffers->scratch = NULL;
}

struct buf buffers_take(struct buffers *buffers)
{
    if (buffers->count == 0)
        return BUF_LIMIT(BUFFER_LIMIT);
    return buffers->spare[--buffers->count];
}

void buffers_give(struct buffers *buffers, struct buf *buf)
{
    if (buf->memory != NULL && buffers->count < BUFFERS_KEPT) {
        buf_clear(buf);
        buffers->spare[buffers->count++] = *buf;
    } else {
        buf_fini(buf);
    }
    *buf = BUF_LIMIT(BUFFER_LIMIT);
}

struct lent buffers_lend(struct buf *buf)
{
    struct lent lent = { buf->memory, buf->capacity };

    *buf = BUF_LIMIT(BUFFER_LIMIT);
    return lent;
}

void buffers_give_lent(struct buffers *buffers, struct lent *lent)
{
    struct buf buf = BUF_LIMIT(BUFFER_LIMIT);

    buf.memory = lent->memory;
    buf.capacity = lent->capacity;
    buffers_give(buffers, &buf);
    *lent = (struct lent){ 0 };
}

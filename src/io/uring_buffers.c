/* SPDX-License-Identifier: PostgreSQL */
#include "io/uring_buffers.h"

#include <stdlib.h>
#include <sys/mman.h>

#define RING_BYTES   (URING_BUFFER_COUNT * sizeof(struct io_uring_buf))
#define MEMORY_BYTES (URING_BUFFER_COUNT * URING_BUFFER_BYTES)

static void *map(size_t bytes)
{
    void *place = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return place != MAP_FAILED ? place : NULL;
}

static void put_small(struct uring_buffers *buffers, uint8_t *buffer)
{
    size_t id = (size_t)(buffer - buffers->memory) / URING_BUFFER_BYTES;

    io_uring_buf_ring_add(buffers->ring, buffer, URING_BUFFER_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(URING_BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
    buffers->left++;
}

enum fail uring_buffers_open(struct uring_buffers *buffers, struct io_uring *ring,
                             struct failure *why)
{
    struct io_uring_buf_reg registration = { .ring_entries = URING_BUFFER_COUNT,
                                             .bgid = URING_BUFFER_GROUP };
    int                     error;

    *buffers = (struct uring_buffers){ .ring = map(RING_BYTES), .memory = map(MEMORY_BYTES) };
    if (buffers->ring == NULL || buffers->memory == NULL)
        return fail(why, FAIL_MEMORY, "io_uring: no memory for buffers");
    registration.ring_addr = (uintptr_t)buffers->ring;
    error = -io_uring_register_buf_ring(ring, &registration, 0);
    if (error != 0)
        return fail_errno(why, error, "io_uring: cannot register a ring of buffers");
    io_uring_buf_ring_init(buffers->ring);
    for (size_t i = 0; i < URING_BUFFER_COUNT; i++)
        put_small(buffers, buffers->memory + i * URING_BUFFER_BYTES);
    return FAIL_NONE;
}

void uring_buffers_close(struct uring_buffers *buffers)
{
    if (buffers->ring != NULL)
        munmap(buffers->ring, RING_BYTES);
    if (buffers->memory != NULL)
        munmap(buffers->memory, MEMORY_BYTES);
    while (buffers->large_spare > 0)
        free(buffers->large[--buffers->large_spare]);
}

uint8_t *uring_buffers_taken(struct uring_buffers *buffers, unsigned cqe_flags)
{
    if (!(cqe_flags & IORING_CQE_F_BUFFER))
        return NULL;
    buffers->left--;
    return buffers->memory + (cqe_flags >> IORING_CQE_BUFFER_SHIFT) * URING_BUFFER_BYTES;
}

uint8_t *uring_buffers_take_large(struct uring_buffers *buffers)
{
    uint8_t *made;

    if (buffers->large_spare > 0)
        return buffers->large[--buffers->large_spare];
    if (buffers->large_made == URING_LARGE_BUFFERS)
        return NULL;
    if ((made = malloc(URING_LARGE_BYTES)) != NULL)
        buffers->large_made++;
    return made;
}

void uring_buffers_give(struct uring_buffers *buffers, uint8_t *buffer)
{
    if (buffer == NULL)
        return;
    if (buffer >= buffers->memory && buffer < buffers->memory + MEMORY_BYTES)
        put_small(buffers, buffer);
    else
        buffers->large[buffers->large_spare++] = buffer;
}

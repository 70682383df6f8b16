/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Large enough to come from the system by itself and to go back to it.  An AddressSanitizer
 * sees the end of an object only where it is alone in its chunk. */
#ifdef __SANITIZE_ADDRESS__
#define CHUNK_BYTES ((size_t)0)
#else
#define CHUNK_BYTES ((size_t)256 * 1024)
#endif

struct slot {
    struct slab_chunk *chunk;
    union {
        struct slot *next;   /* while it is given back */
        uint64_t     object; /* nothing of ours needs more alignment */
    };
};

struct slab_chunk {
    struct slab       *slab;
    struct slab_chunk *next; /* of those with room */
    struct slab_chunk *prev;
    struct slot       *spare;  /* given back */
    size_t             unused; /* never taken yet: their pages are not touched */
    size_t             used;
    uint64_t           slots[];
};

static size_t slot_bytes(const struct slab *slab)
{
    size_t bytes = offsetof(struct slot, object) + slab->size;

    return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
}

static size_t slots_of_chunk(const struct slab *slab)
{
    size_t room = CHUNK_BYTES - (CHUNK_BYTES > 0 ? sizeof(struct slab_chunk) : 0);
    size_t count = room / slot_bytes(slab);

    return count > 0 ? count : 1;
}

static void open_chunk(struct slab_chunk *chunk)
{
    struct slab *slab = chunk->slab;

    chunk->prev = NULL;
    chunk->next = slab->open;
    if (slab->open != NULL)
        slab->open->prev = chunk;
    slab->open = chunk;
}

static void close_chunk(struct slab_chunk *chunk)
{
    if (chunk->prev != NULL)
        chunk->prev->next = chunk->next;
    else
        chunk->slab->open = chunk->next;
    if (chunk->next != NULL)
        chunk->next->prev = chunk->prev;
}

static bool has_room(const struct slab_chunk *chunk)
{
    return chunk->spare != NULL || chunk->unused > 0;
}

static struct slab_chunk *new_chunk(struct slab *slab)
{
    size_t             count = slots_of_chunk(slab);
    struct slab_chunk *chunk = malloc(sizeof *chunk + count * slot_bytes(slab));

    if (chunk == NULL)
        return NULL;
    *chunk = (struct slab_chunk){ .slab = slab, .unused = count };
    open_chunk(chunk);
    return chunk;
}

static struct slot *take_slot(struct slab_chunk *chunk)
{
    struct slot *slot = chunk->spare;
    size_t       at = slots_of_chunk(chunk->slab) - chunk->unused;

    if (slot != NULL) {
        chunk->spare = slot->next;
        return slot;
    }
    slot = (struct slot *)(void *)((uint8_t *)chunk->slots + at * slot_bytes(chunk->slab));
    slot->chunk = chunk;
    chunk->unused--;
    return slot;
}

void *slab_take(struct slab *slab, size_t size)
{
    struct slab_chunk *chunk = slab->open;
    struct slot       *slot;

    assert(slab->size == 0 || slab->size == size);
    slab->size = size;
    if (chunk == NULL && (chunk = new_chunk(slab)) == NULL)
        return NULL;
    slot = take_slot(chunk);
    chunk->used++;
    if (!has_room(chunk))
        close_chunk(chunk);
    return memset(&slot->object, 0, size);
}

/* The last open chunk stays, so that one connection after the other costs nothing. */
static bool is_to_be_freed(const struct slab_chunk *chunk)
{
    bool is_only_one = chunk->prev == NULL && chunk->next == NULL;

    return chunk->used == 0 && (CHUNK_BYTES == 0 || !is_only_one);
}

void slab_give(void *object)
{
    struct slot       *slot;
    struct slab_chunk *chunk;

    if (object == NULL)
        return;
    slot = (struct slot *)(void *)((uint8_t *)object - offsetof(struct slot, object));
    chunk = slot->chunk;
    if (!has_room(chunk))
        open_chunk(chunk);
    slot->next = chunk->spare;
    chunk->spare = slot;
    chunk->used--;
    if (is_to_be_freed(chunk)) {
        close_chunk(chunk);
        free(chunk);
    }
}

void slab_fini(struct slab *slab)
{
    while (slab->open != NULL) {
        struct slab_chunk *chunk = slab->open;

        assert(chunk->used == 0);
        close_chunk(chunk);
        free(chunk);
    }
}

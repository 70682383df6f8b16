/* SPDX-License-Identifier: PostgreSQL */
#include "tls/wiping.h"

#include "base/secret.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t size, const char *file, int line)
{
    return malloc(size);
}

static void wipe_and_free(void *memory, const char *file, int line)
{
    if (memory != NULL)
        secret_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

/* realloc() may move what it has, and leave a copy where it was. */
static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    size_t before = memory != NULL ? malloc_usable_size(memory) : 0;
    void  *moved;

    if (size == 0) {
        wipe_and_free(memory, file, line);
        return NULL;
    }
    if ((moved = malloc(size)) == NULL)
        return NULL;
    if (memory != NULL)
        memcpy(moved, memory, before < size ? before : size);
    wipe_and_free(memory, file, line);
    return moved;
}

bool tls_wiping_start(void)
{
    return CRYPTO_set_mem_functions(allocate, reallocate, wipe_and_free) == 1;
}

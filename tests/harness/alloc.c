/* SPDX-License-Identifier: PostgreSQL */
#include "harness/alloc.h"

#include <stddef.h>

static unsigned countdown;
static bool     has_failed;
static bool     is_paused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void alloc_fail_at(unsigned n)
{
    countdown = n;
    has_failed = false;
}

bool alloc_has_failed(void)
{
    bool answer = has_failed;

    alloc_fail_at(0);
    return answer;
}

void alloc_pause(bool paused)
{
    is_paused = paused;
}

static bool this_one_fails(void)
{
    if (is_paused || countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return this_one_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return this_one_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return this_one_fails() ? NULL : __real_realloc(p, size);
}

void (*alloc_before_free)(void *memory);

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    if (alloc_before_free != NULL)
        alloc_before_free(memory);
    __real_free(memory);
}

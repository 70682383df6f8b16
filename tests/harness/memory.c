/* SPDX-License-Identifier: PostgreSQL */
#include "harness/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

bool memory_is_sanitized(void)
{
    return IS_SANITIZED;
}

struct turned memory_turned(const uint8_t *secret, size_t len)
{
    struct turned turned = { .len = len };

    for (size_t i = 0; i < len; i++)
        turned.bytes[i] = (uint8_t)~secret[i];
    return turned;
}

static bool stands_at(const uint8_t *at, const struct turned *wanted)
{
    for (size_t i = 0; i < wanted->len; i++)
        if ((at[i] ^ wanted->bytes[i]) != 0xff)
            return false;
    return true;
}

static unsigned count_in(const uint8_t *at, const uint8_t *end, const struct turned *wanted)
{
    unsigned count = 0;

    while ((size_t)(end - at) >= wanted->len &&
           (at = memchr(at, (uint8_t)~wanted->bytes[0],
                        (size_t)(end - at) - wanted->len + 1)) != NULL)
        count += stands_at(at++, wanted);
    return count;
}

void memory_call_below(void (*call)(void *of), void *of)
{
    volatile uint8_t far[1 << 16];

    far[0] = far[sizeof far - 1] = 0;
    call(of);
    far[0] = far[sizeof far - 1]; /* no tail call */
}

unsigned memory_copies(struct turned wanted)
{
    FILE    *maps = fopen("/proc/self/maps", "r");
    char     line[512];
    unsigned count = 0;

    if (maps == NULL)
        abort();
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long low, high;
        char          rights[8];

        if (sscanf(line, "%lx-%lx %7s", &low, &high, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w')
            count += count_in((const uint8_t *)low, (const uint8_t *)high, &wanted);
    }
    fclose(maps);
    return count;
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/memory.h - looks for a secret in all memory of the process that can be written
 *
 * What is looked for is kept with all bits turned, or it would be found itself:
 *
 *     struct turned secret = memory_turned(key, 32);
 *     assert_true(memory_copies(secret) >= 1);    // the search finds what is there
 *     thing_wipe(thing);
 *     assert_int_equal(memory_copies(secret), 0);
 */
#ifndef PGTLS_HARNESS_MEMORY_H
#define PGTLS_HARNESS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNED_MOST 64u

struct turned {
    uint8_t bytes[TURNED_MOST];
    size_t  len;
};

struct turned memory_turned(const uint8_t *secret, size_t len);
unsigned      memory_copies(struct turned wanted);

/* Calls it from further down the stack than a search reaches, which would overwrite what the
 * call has left there. */
void memory_call_below(void (*call)(void *of), void *of);

/* A sanitizer keeps what was freed, and looks at who looks. */
bool memory_is_sanitized(void);

#endif

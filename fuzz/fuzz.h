/* SPDX-License-Identifier: PostgreSQL */
/*
 * fuzz/fuzz.h - what every fuzz target stands on
 *
 * A target reads one input and checks properties with MUST: whatever bytes a peer
 * sends, and however they are cut, the answer is the same and bounded.
 */
#ifndef PGTLS_FUZZ_FUZZ_H
#define PGTLS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(property)                                                                         \
    do {                                                                                       \
        if (!(property)) {                                                                     \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #property);             \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

/* The first byte of an input, taken off: it chooses what the target is set up with. */
static inline uint8_t fuzz_choice(struct bytes *input)
{
    uint8_t choice = input->len > 0 ? input->p[0] : 0;

    bytes_skip(input, 1);
    return choice;
}

/* How a stream comes in pieces. */
struct cuts {
    uint32_t state;
    size_t   longest;
};

static inline struct cuts cuts_of(uint8_t choice)
{
    return (struct cuts){ choice, (size_t)1 + choice % 61 };
}

#define CUTS_NONE  ((struct cuts){ 0, SIZE_MAX })
#define CUTS_BYTES ((struct cuts){ 0, 1 })

/* The length of the next piece of what is `left`; 1 at least, unless nothing is left. */
static inline size_t cuts_next(struct cuts *cuts, size_t left)
{
    size_t piece = cuts->longest;

    cuts->state = cuts->state * 1664525 + 1013904223;
    if (piece != SIZE_MAX)
        piece = 1 + (cuts->state >> 16) % cuts->longest;
    return piece < left ? piece : left;
}

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/alloc.h - makes the n-th allocation of our own code fail
 *
 * The test programs are linked with --wrap, so only calls from our objects are
 * counted, not those within shared libraries.
 *
 *     for (unsigned n = 1; n < 100; n++) {
 *         alloc_fail_at(n);
 *         result = thing_new();
 *         if (!alloc_has_failed()) break;     // it needs fewer than n
 *         assert_null(result);
 *     }
 */
#ifndef PGTLS_HARNESS_ALLOC_H
#define PGTLS_HARNESS_ALLOC_H

#include <stdbool.h>

void alloc_fail_at(unsigned n); /* counts from 1; 0: none fails */
bool alloc_has_failed(void);    /* and goes back to normal */
void alloc_pause(bool paused);  /* those of the test itself are not to count */

/* Sees what is about to be freed; NULL: nobody does. */
extern void (*alloc_before_free)(void *memory);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/lock.h - one at a time in a folder
 *
 * flock() on the folders themselves: nothing is left behind, and a crash lets go.
 */
#ifndef PGTLS_CA_LOCK_H
#define PGTLS_CA_LOCK_H

#include "base/fail.h"

struct folder_lock {
    int fds[2]; /* -1: none */
};

#define FOLDER_LOCK_NONE                                                                       \
    {                                                                                          \
        {                                                                                      \
            -1, -1                                                                             \
        }                                                                                      \
    }

/* Waits for both; always in the same order, so that two runs never wait for each other.
 * `b` may be NULL, or the same folder. */
enum fail folder_lock_take(struct folder_lock *lock, const char *a, const char *b,
                           struct failure *why) WARN_UNUSED;
void      folder_lock_release(struct folder_lock *lock);

#endif

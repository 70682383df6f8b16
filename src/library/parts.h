/* SPDX-License-Identifier: PostgreSQL */
/*
 * library/parts.h - what is behind the opaque types; for library/ only
 */
#ifndef PGTLS_LIBRARY_PARTS_H
#define PGTLS_LIBRARY_PARTS_H

#include "base/buf.h"
#include "base/fail.h"
#include "pgtls/buffer.h"
#include "pgtls/error.h"

struct pgtls_error {
    struct failure failure;
};

struct pgtls_buffer {
    struct buf buf;
};

/* Empties the error and lends what is in it. */
struct failure *library_failure(struct pgtls_error *error);

/* Whether the options are of this version; `why` says so where they are not. */
bool library_size_fits(size_t size, size_t ours, struct failure *why);

/* Whether somebody set the time: zero is what options begin as, and 1970. */
bool library_time_is_told(int64_t wall_s, struct failure *why);

void library_copy_failure(struct pgtls_error *error, const struct failure *why);

#endif

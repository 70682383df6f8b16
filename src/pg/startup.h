/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/startup.h - what a StartupMessage says
 */
#ifndef PGTLS_PG_STARTUP_H
#define PGTLS_PG_STARTUP_H

#include "base/buf.h"
#include "base/fail.h"

struct startup {
    uint32_t    version;  /* 196608 = 3.0 */
    const char *user;     /* borrowed from the message; never empty after success */
    const char *database; /* the user's name where the client names none, as in PostgreSQL */
};

/*
 * Reads the whole message at the front of `packet` (opening_peek said
 * OPENING_STARTUP).  Failures carry the text that PostgreSQL 17 gives;
 * startup_failure_code() has the SQLSTATE: 08P01 for a bad layout (no final zero
 * byte), 28000 where no user is named.  A parameter given twice: the last one
 * counts, as in PostgreSQL.
 */
WARN_UNUSED enum fail startup_read(struct startup *out, struct bytes packet,
                                   struct failure *why);

/* Appends a StartupMessage of protocol 3.0; parameters with an empty value are left out. */
struct startup_parameter {
    const char *name;
    const char *value;
};
void startup_write(struct buf *out, const struct startup_parameter *parameters, size_t count);

const char *startup_failure_code(const struct failure *why);

#endif

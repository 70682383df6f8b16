/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/error_response.h - ErrorResponse messages, written and read
 *
 * PostgreSQL manual 53.8.
 */
#ifndef PGTLS_PG_ERROR_RESPONSE_H
#define PGTLS_PG_ERROR_RESPONSE_H

#include "base/buf.h"

struct error_response {
    const char *severity; /* "FATAL" */
    const char *code;     /* SQLSTATE, five characters */
    const char *message;
    const char *detail; /* NULL: none */
    const char *hint;   /* NULL: none */
};

/* Appends a whole message ('E', length, fields S V C M D H), or nothing where room lacks. */
void error_response_write(struct buf *out, const struct error_response *error);

/*
 * Reads a whole message, type byte included.  Strings are borrowed from it; an
 * absent field is NULL (code and message too: a broken server, CVE-2026-6666).
 * Severity is the one that is not translated, where the server sends it.
 * False if it is not an ErrorResponse or its layout is broken.
 */
bool error_response_read(struct error_response *out, struct bytes message);

/*
 * Appends `message` (whole) with `hint` as its hint field; where it has one
 * already, ours goes behind it on a new line.  Every other field stays as it is, in its order.
 * A message whose layout is broken is appended unchanged.
 * It grows by at most strlen(hint) + 2.
 */
void error_response_add_hint(struct buf *out, struct bytes message, const char *hint);

/* Whether this SQLSTATE has this value; false for a NULL code. */
bool error_response_has_code(const struct error_response *error, const char *sqlstate);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/index.h - what an authority has signed and revoked: index.txt as `openssl ca` keeps it
 *
 * A line a certificate, six fields between tabs: V, R or E (valid, revoked, expired); when it
 * ends; when it was revoked, and why behind a comma; its serial; a file name that nobody uses;
 * its subject.
 */
#ifndef PGTLS_CA_INDEX_H
#define PGTLS_CA_INDEX_H

#include "base/buf.h"
#include "base/fail.h"

struct index_row {
    char    status;     /* 'V', 'R', 'E' */
    char   *expires;    /* "260101000000Z" or "20600101000000Z" */
    char   *revocation; /* "260101000000Z,keyCompromise"; "" where there is none */
    char   *serial;     /* hexadecimal */
    char   *file;
    char   *subject;
    int64_t revoked_at; /* seconds since 1970; of `revocation` */
};

struct index_file {
    struct index_row *rows;
    size_t            count;
};

/* All-zero is an empty index.  A line that is none is a failure with its number. */
enum fail index_parse(struct index_file *index, struct bytes text,
                      struct failure *why) WARN_UNUSED;
void      index_fini(struct index_file *index);

/* Appends all rows as text. */
void index_write(const struct index_file *index, struct buf *out);

/* The row of a serial, whatever the case of its digits and zeros in front; NULL: none. */
struct index_row *index_find(const struct index_file *index, const char *serial);

/* One more certificate, valid; texts are copied. */
enum fail index_add(struct index_file *index, const char *serial, const char *subject,
                    int64_t not_after, struct failure *why) WARN_UNUSED;

/* `reason` may be NULL.  FAIL_REFUSED: it has been revoked before. */
enum fail index_revoke(struct index_row *row, int64_t now, const char *reason,
                       struct failure *why) WARN_UNUSED;

/* The reason behind the comma, or NULL. */
const char *index_reason(const struct index_row *row);

#endif

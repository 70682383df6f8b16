/* SPDX-License-Identifier: PostgreSQL */
/*
 * driver/password_file.h - ~/.pgpass: lines of host:port:database:user:password
 *
 * PostgreSQL manual 34.16: `*` stands for anything, a backslash takes the next byte as it is,
 * the first line that fits counts.
 */
#ifndef PGTLS_DRIVER_PASSWORD_FILE_H
#define PGTLS_DRIVER_PASSWORD_FILE_H

#include "base/bytes.h"

struct password_question {
    const char *host; /* "localhost" for a Unix socket */
    uint16_t    port;
    const char *database;
    const char *user;
};

/*
 * The password of the first line that fits, the caller's to be wiped and freed; NULL where none
 * does.  A file that others may read is not read, and *warning says so ("" otherwise); one that
 * is not there is no reason for a warning.
 */
char *password_file_find(const char *file, const struct password_question *question,
                         char warning[static 256]);

/* The same of one line, without its end.  For tests and the function above. */
char *password_line_match(struct bytes line, const struct password_question *question);

#endif

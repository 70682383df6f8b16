/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/file.h - reads a file whole; paths that are relative to it
 */
#ifndef PGTLS_CONF_FILE_H
#define PGTLS_CONF_FILE_H

#include "base/buf.h"
#include "base/fail.h"

#include <sys/types.h>

/* Appends all of `path` to `out`, whose limit is the largest file that is taken.  Does not
 * wait: what is not a regular file, such as a FIFO, is refused.  `why` does not name the file.
 */
enum fail conf_file_read(const char *path, struct buf *out, struct failure *why) WARN_UNUSED;

/* One read() of what fits; *n is how much came: 0 at the end, and less where nothing is there
 * yet.
 */
enum fail conf_file_read_part(int fd, struct buf *out, ssize_t *n,
                              struct failure *why) WARN_UNUSED;

/*
 * Where `why` is "permission denied", its hint becomes whose the file is (or the folder on the
 * way to it that does not let us in), its mode, who we are, and what to do.
 */
void conf_file_explain_denied(const char *path, struct failure *why);

/* The absolute path of the folder that `path` is in; the caller frees it.  NULL: out of memory,
 * or the working directory is gone. */
char *conf_file_folder(const char *path);

/* `path` as seen from `folder`, and as it is where it is absolute; the caller frees it.
 * NULL when out of memory. */
char *conf_file_absolute(const char *folder, const char *path);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/file_digest.h - what a set of files contains, as one number
 *
 * Contents, owner and mode count (they decide whether a key is taken), times do not: a file
 * written again as it was is the same.  What cannot be read counts with the reason.
 */
#ifndef PGTLS_RUNTIME_FILE_DIGEST_H
#define PGTLS_RUNTIME_FILE_DIGEST_H

#include "base/bytes.h"

/* Files, or folders, whose files count but for those whose name begins with a dot. */
struct file_list {
    const char *const *paths;
    size_t             count;
};

/* False, and `digest` stays as it is, where descriptors or memory are lacking and nothing can
 * be said. */
bool file_list_digest(const struct file_list *files, uint64_t *digest);

bool file_is_folder(const char *path);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/file_set.h - files that are written together: all of them, or none
 *
 * Adding one writes it under another name in its own folder, down to the disk.  Only the commit
 * gives it its name, by a rename: whoever opens the file sees the old one or the new one,
 * whole. Where anything fails, the old files are still there and nothing else is.
 *
 * A file that replaces another keeps its owner and group, and its mode as far as that is safe.
 */
#ifndef PGTLS_CA_FILE_SET_H
#define PGTLS_CA_FILE_SET_H

#include "base/buf.h"
#include "base/fail.h"

#define FILE_SET_MOST 8

enum file_kind {
    FILE_PUBLIC,  /* 0644 */
    FILE_PRIVATE, /* 0600; 0640 is kept where root owns it (PostgreSQL's rule for keys) */
};

struct file_set {
    struct file_entry {
        char *path;
        char *fresh; /* written, and not yet renamed; NULL: it has been */
        char *old;   /* the file that was there, under another name; NULL: there was none */
        bool  may_replace;
        bool  is_renamed;
    } entries[FILE_SET_MOST];
    size_t count;
};

struct file_source {
    const char    *path;
    enum file_kind kind;
    bool           may_replace; /* otherwise a file that is there is a failure */
    struct bytes   text;
};

/* All-zero is an empty set.  FAIL_REFUSED: it is there and may not be replaced, or it is no
 * regular file. */
enum fail file_set_add(struct file_set *set, const struct file_source *source,
                       struct failure *why) WARN_UNUSED;

/* Renames in the order in which they were added. */
enum fail file_set_commit(struct file_set *set, struct failure *why) WARN_UNUSED;

/* Removes what was not committed. */
void file_set_fini(struct file_set *set);

/* The same refusal, early: before a key is made for nothing. */
enum fail file_set_check(const char *path, bool may_replace, struct failure *why) WARN_UNUSED;

/* Appends all of the file to `out`; nothing where there is no such file. */
enum fail file_read(const char *path, struct buf *out, struct failure *why) WARN_UNUSED;

/* "folder/name"; the caller frees it, NULL when out of memory. */
char *file_path(const char *folder, const char *name);

#endif

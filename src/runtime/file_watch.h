/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/file_watch.h - did any of these files change its contents?
 *
 * Looks when the kernel tells of a change in one of their folders (inotify: an
 * atomic rename, a symbolic link that was swapped as Kubernetes does it, a
 * plain write), a moment later so that a set of files is complete, and besides
 * at an interval, for file systems that tell nothing.  Contents are compared, not
 * times: a file written again as it was is no change.
 *
 * Used by the thread of its loop.
 */
#ifndef PGTLS_RUNTIME_FILE_WATCH_H
#define PGTLS_RUNTIME_FILE_WATCH_H

#include "io/loop.h"

struct file_watch;

/* Contents changed since the last time this was told, or since the files were set. */
typedef void file_watch_changed(void *owner);

/* NULL with `why` filled on failure.  `owner` is handed to `changed`. */
struct file_watch *file_watch_new(struct loop *loop, file_watch_changed *changed, void *owner,
                                  struct failure *why);
void               file_watch_free(struct file_watch *watch); /* NULL is fine */

/*
 * These files (or folders, whose files count) from now on, looked at every
 * `interval_us` at least.  Paths are copied.  What cannot be watched by the
 * kernel is looked at by the interval alone.
 */
enum fail file_watch_set(struct file_watch *watch, const char *const *paths, size_t count,
                         uint64_t interval_us, struct failure *why) WARN_UNUSED;

#endif

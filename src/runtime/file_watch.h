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
#include "runtime/file_digest.h"

struct file_watch;

struct file_watch_events {
    /* Contents changed since the last time this was told, or since the files were set. */
    void (*changed)(void *owner);
    /* The kernel tells nothing of some folder, and the interval is all there is: its limits
     * are reached, or the folder may not be read.  Said once, and again after it was well. */
    void (*blind)(void *owner, const struct failure *why);
};

/* NULL when out of memory.  `events` is borrowed; `owner` is handed to its functions. */
struct file_watch *file_watch_new(struct loop *loop, const struct file_watch_events *events,
                                  void *owner);
void               file_watch_free(struct file_watch *watch); /* NULL is fine */

/*
 * These files from now on, looked at every `interval_us` at least; none with an interval of
 * 0.  `digest` is that of their contents as they were read: what has changed since then is
 * told soon.  Paths are copied.  FAIL_MEMORY: no file is watched any more.
 */
enum fail file_watch_set(struct file_watch *watch, const struct file_list *files,
                         uint64_t interval_us, uint64_t digest,
                         struct failure *why) WARN_UNUSED;

#endif

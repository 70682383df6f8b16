/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/file_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_US (200 * 1000u) /* a set of files is written one after the other */
#define FOLDER_EVENTS                                                                          \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
     IN_DELETE_SELF | IN_MOVE_SELF)

struct file_watch {
    struct loop                    *loop;
    const struct file_watch_events *events;
    void                           *owner;
    char                          **paths;
    size_t                          count;
    uint64_t                        interval_us;
    uint64_t                        digest;
    struct loop_watch               inotify; /* its descriptor is -1 where there is none */
    struct loop_timer               settle;
    struct loop_timer               interval;
    struct failure                  trouble; /* of this round of watch_all() */
    bool                            is_blind;
};

static struct file_list files_of(const struct file_watch *watch)
{
    return (struct file_list){ (const char *const *)watch->paths, watch->count };
}

/* ---- where to look ---- */

/* A folder that is not there is told by whoever reads the file. */
static void watch_folder(struct file_watch *watch, const char *folder)
{
    if (watch->inotify.fd < 0 ||
        inotify_add_watch(watch->inotify.fd, folder, FOLDER_EVENTS) >= 0 || errno == ENOENT ||
        errno == ENOTDIR)
        return;
    if (errno == ENOSPC)
        fail_hint(&watch->trouble, "raise fs.inotify.max_user_watches");
    else if (errno == EACCES)
        fail_hint(&watch->trouble, "let the user of the proxy read the folder");
    (void)fail_errno(&watch->trouble, errno, "cannot watch the folder %s", folder);
}

/* The folder that the first `len` bytes of the path are in. */
static void watch_parent(struct file_watch *watch, const char *path, size_t len)
{
    char  folder[4096];
    char *slash;

    snprintf(folder, sizeof folder, "%.*s", (int)len, path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, sizeof folder, ".");
    else
        slash[slash == folder ? 1 : 0] = '\0';
    watch_folder(watch, folder);
}

static bool is_link(const char *path, size_t len)
{
    char        part[4096];
    struct stat info;

    snprintf(part, sizeof part, "%.*s", (int)len, path);
    return lstat(part, &info) == 0 && S_ISLNK(info.st_mode);
}

/* A link on the way may be swapped as well as the file. */
static void watch_links(struct file_watch *watch, const char *path)
{
    for (size_t len = 1; len <= strlen(path); len++)
        if ((path[len] == '/' || path[len] == '\0') && is_link(path, len))
            watch_parent(watch, path, len);
}

static void watch_place(struct file_watch *watch, const char *path)
{
    if (file_is_folder(path))
        watch_folder(watch, path);
    else
        watch_parent(watch, path, strlen(path));
}

static void watch_path(struct file_watch *watch, const char *path)
{
    char *target = realpath(path, NULL);

    watch_links(watch, path);
    watch_place(watch, path);
    if (target != NULL && strcmp(target, path) != 0)
        watch_place(watch, target);
    free(target);
}

static void on_inotify(struct loop_watch *inotify, unsigned what);

static void start_inotify(struct file_watch *watch)
{
    watch->inotify.ready = on_inotify;
    watch->inotify.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify.fd < 0) {
        fail_hint(&watch->trouble, "raise fs.inotify.max_user_instances, or the limit of open "
                                   "files");
        (void)fail_errno(&watch->trouble, errno, "cannot watch folders");
    } else if (loop_watch_start(watch->loop, &watch->inotify, LOOP_READABLE, &watch->trouble) !=
               FAIL_NONE) {
        close(watch->inotify.fd);
        watch->inotify.fd = -1;
    }
}

static void stop_inotify(struct file_watch *watch)
{
    if (watch->inotify.fd < 0)
        return;
    loop_watch_stop(watch->loop, &watch->inotify);
    close(watch->inotify.fd);
    watch->inotify.fd = -1;
}

/* At every look: a link may point elsewhere now, a folder may be a new one. */
static void watch_all(struct file_watch *watch)
{
    bool was_blind = watch->is_blind;

    watch->trouble = (struct failure){ 0 };
    if (watch->inotify.fd < 0)
        start_inotify(watch);
    for (size_t i = 0; i < watch->count; i++)
        watch_path(watch, watch->paths[i]);
    watch->is_blind = watch->trouble.kind != FAIL_NONE;
    if (watch->is_blind && !was_blind)
        watch->events->blind(watch->owner, &watch->trouble);
}

/* ---- when to look ---- */

static void look(struct file_watch *watch)
{
    const struct file_list files = files_of(watch);
    uint64_t               digest;

    watch_all(watch); /* first, so that nothing changes unseen in between */
    if (!file_list_digest(&files, &digest) || digest == watch->digest)
        return;
    watch->digest = digest;
    watch->events->changed(watch->owner);
}

static void on_settled(struct loop_timer *timer)
{
    look(container_of(timer, struct file_watch, settle));
}

static void on_interval(struct loop_timer *timer)
{
    struct file_watch *watch = container_of(timer, struct file_watch, interval);

    loop_timer_start(watch->loop, timer, watch->interval_us);
    look(watch);
}

static void look_soon(struct file_watch *watch)
{
    /* from the first event on, so that a folder that never rests is looked at too */
    if (!loop_timer_is_running(&watch->settle))
        loop_timer_start(watch->loop, &watch->settle, SETTLE_US);
}

static void on_inotify(struct loop_watch *inotify, unsigned what)
{
    struct file_watch *watch = container_of(inotify, struct file_watch, inotify);
    char               events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (read(inotify->fd, events, sizeof events) > 0)
        ;
    look_soon(watch);
}

/* ---- life ---- */

static void forget_paths(struct file_watch *watch)
{
    while (watch->count > 0)
        free(watch->paths[--watch->count]);
    free(watch->paths);
    watch->paths = NULL;
}

/* Nothing is looked at any more, and a new descriptor will know no folder of before. */
static void rest(struct file_watch *watch)
{
    loop_timer_stop(watch->loop, &watch->settle);
    loop_timer_stop(watch->loop, &watch->interval);
    stop_inotify(watch);
    forget_paths(watch);
}

struct file_watch *file_watch_new(struct loop *loop, const struct file_watch_events *events,
                                  void *owner)
{
    struct file_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->loop = loop;
    watch->events = events;
    watch->owner = owner;
    watch->inotify.fd = -1;
    watch->settle.expired = on_settled;
    watch->interval.expired = on_interval;
    return watch;
}

void file_watch_free(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    rest(watch);
    free(watch);
}

static bool copy_paths(struct file_watch *watch, const struct file_list *files)
{
    watch->paths = calloc(files->count + 1, sizeof *watch->paths);
    if (watch->paths == NULL)
        return false;
    for (; watch->count < files->count; watch->count++)
        if ((watch->paths[watch->count] = strdup(files->paths[watch->count])) == NULL)
            return false;
    return true;
}

enum fail file_watch_set(struct file_watch *watch, const struct file_list *files,
                         uint64_t interval_us, uint64_t digest, struct failure *why)
{
    rest(watch);
    if (files->count == 0 || interval_us == 0)
        return FAIL_NONE;
    if (!copy_paths(watch, files)) {
        forget_paths(watch);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    watch->interval_us = interval_us;
    watch->digest = digest;
    loop_timer_start(watch->loop, &watch->interval, interval_us);
    watch_all(watch);
    look_soon(watch);
    return FAIL_NONE;
}

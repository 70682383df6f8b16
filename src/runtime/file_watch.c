/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/file_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_US (200 * 1000u) /* a set of files is written one after the other */
#define LARGEST   ((size_t)4 * 1024 * 1024)
#define FOLDER_EVENTS                                                                          \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
     IN_DELETE_SELF | IN_MOVE_SELF)

struct file_watch {
    struct loop        *loop;
    file_watch_changed *changed;
    void               *owner;
    char              **paths;
    size_t              count;
    uint64_t            interval_us;
    uint64_t            digest;
    struct loop_watch   inotify;
    struct loop_timer   settle;
    struct loop_timer   interval;
};

/* ---- contents ---- */

/* FNV-1a, 64 bits: this is about slips and renewals, not about an adversary who owns the files.
 */
static uint64_t mix(uint64_t digest, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        digest = (digest ^ p[i]) * UINT64_C(1099511628211);
    return digest;
}

static uint64_t mix_number(uint64_t digest, uint64_t number)
{
    return mix(digest, &number, sizeof number);
}

static uint64_t mix_contents(uint64_t digest, int fd)
{
    char    part[16384];
    size_t  total = 0;
    ssize_t n;

    while (total < LARGEST && (n = read(fd, part, sizeof part)) > 0) {
        digest = mix(digest, part, (size_t)n);
        total += (size_t)n;
    }
    return mix_number(digest, total);
}

/* Of one regular file; one that cannot be read counts with the reason. */
static uint64_t mix_file(uint64_t digest, int folder, const char *name)
{
    struct stat info;
    /* not blocking: a FIFO in place of a file must not hold the program up */
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return mix_number(digest, (uint64_t)errno);
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        /* owner and mode decide whether a key is taken */
        digest = mix_number(digest, (uint64_t)info.st_mode << 32 | info.st_uid);
        digest = mix_contents(digest, fd);
    }
    close(fd);
    return digest;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static uint64_t mix_folder(uint64_t digest, const char *path)
{
    struct dirent **entries;
    int             count = scandir(path, &entries, NULL, by_name);
    int             folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < count; i++) {
        digest = mix(digest, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
        if (folder >= 0 && entries[i]->d_name[0] != '.')
            digest = mix_file(digest, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (folder >= 0)
        close(folder);
    return digest;
}

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static uint64_t digest_of(const struct file_watch *watch)
{
    uint64_t digest = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < watch->count; i++)
        digest = is_folder(watch->paths[i]) ? mix_folder(digest, watch->paths[i])
                                            : mix_file(digest, AT_FDCWD, watch->paths[i]);
    return digest;
}

/* ---- when to look ---- */

static void watch_folder_of(const struct file_watch *watch, const char *path)
{
    char  folder[4096];
    char *slash;

    snprintf(folder, sizeof folder, "%s", path);
    if (!is_folder(path)) {
        slash = strrchr(folder, '/');
        if (slash == NULL)
            snprintf(folder, sizeof folder, ".");
        else
            slash[slash == folder ? 1 : 0] = '\0';
    }
    /* the folder may come later, or the kernel's limit be reached: the interval looks there too
     */
    (void)!inotify_add_watch(watch->inotify.fd, folder, FOLDER_EVENTS);
}

/* The folder of the link, and that of what it points at. */
static void watch_path(const struct file_watch *watch, const char *path)
{
    char *target = realpath(path, NULL);

    watch_folder_of(watch, path);
    if (target != NULL && strcmp(target, path) != 0)
        watch_folder_of(watch, target);
    free(target);
}

/* Again after each change: a link may point elsewhere now, a folder may be a new one. */
static void watch_all(const struct file_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        watch_path(watch, watch->paths[i]);
}

static void look(struct file_watch *watch)
{
    uint64_t digest = digest_of(watch);

    if (digest == watch->digest)
        return;
    watch->digest = digest;
    watch_all(watch);
    watch->changed(watch->owner);
}

static void on_settled(struct loop_timer *timer)
{
    look(container_of(timer, struct file_watch, settle));
}

static void on_interval(struct loop_timer *timer)
{
    struct file_watch *watch = container_of(timer, struct file_watch, interval);

    loop_timer_start(watch->loop, timer, watch->interval_us);
    watch_all(watch);
    look(watch);
}

static void on_inotify(struct loop_watch *inotify, unsigned what)
{
    struct file_watch *watch = container_of(inotify, struct file_watch, inotify);
    char               events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (read(inotify->fd, events, sizeof events) > 0)
        ;
    /* from the first event on, so that a folder that never rests is looked at too */
    if (!loop_timer_is_running(&watch->settle))
        loop_timer_start(watch->loop, &watch->settle, SETTLE_US);
}

/* ---- life ---- */

static void forget_paths(struct file_watch *watch)
{
    while (watch->count > 0)
        free(watch->paths[--watch->count]);
    free(watch->paths);
    watch->paths = NULL;
}

static enum fail start_inotify(struct file_watch *watch, struct failure *why)
{
    enum fail rc;

    watch->inotify.ready = on_inotify;
    watch->inotify.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify.fd < 0)
        return fail_errno(why, errno, "cannot watch files");
    rc = loop_watch_start(watch->loop, &watch->inotify, LOOP_READABLE, why);
    if (rc != FAIL_NONE)
        close(watch->inotify.fd);
    return rc;
}

struct file_watch *file_watch_new(struct loop *loop, file_watch_changed *changed, void *owner,
                                  struct failure *why)
{
    struct file_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    watch->loop = loop;
    watch->changed = changed;
    watch->owner = owner;
    watch->settle.expired = on_settled;
    watch->interval.expired = on_interval;
    if (start_inotify(watch, why) == FAIL_NONE)
        return watch;
    free(watch);
    return NULL;
}

void file_watch_free(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    loop_timer_stop(watch->loop, &watch->settle);
    loop_timer_stop(watch->loop, &watch->interval);
    loop_watch_stop(watch->loop, &watch->inotify);
    close(watch->inotify.fd);
    forget_paths(watch);
    free(watch);
}

static enum fail copy_paths(struct file_watch *watch, const char *const *paths, size_t count,
                            struct failure *why)
{
    forget_paths(watch);
    watch->paths = calloc(count + 1, sizeof *watch->paths);
    if (watch->paths == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    for (; watch->count < count; watch->count++)
        if ((watch->paths[watch->count] = strdup(paths[watch->count])) == NULL)
            return fail(why, FAIL_MEMORY, "out of memory");
    return FAIL_NONE;
}

/* A new descriptor forgets every folder of before. */
static enum fail renew_inotify(struct file_watch *watch, struct failure *why)
{
    int old = watch->inotify.fd;

    loop_watch_stop(watch->loop, &watch->inotify);
    close(old);
    return start_inotify(watch, why);
}

enum fail file_watch_set(struct file_watch *watch, const char *const *paths, size_t count,
                         uint64_t interval_us, struct failure *why)
{
    enum fail rc = copy_paths(watch, paths, count, why);

    if (rc == FAIL_NONE)
        rc = renew_inotify(watch, why);
    if (rc != FAIL_NONE)
        return rc;
    watch->interval_us = interval_us;
    loop_timer_stop(watch->loop, &watch->settle);
    loop_timer_start(watch->loop, &watch->interval, interval_us);
    watch_all(watch);
    watch->digest = digest_of(watch);
    return FAIL_NONE;
}

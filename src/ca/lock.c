/* SPDX-License-Identifier: PostgreSQL */
#include "ca/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    const char *path;
    int         fd;
    struct stat st;
};

static enum fail open_folder(struct folder *folder, struct failure *why)
{
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 || fstat(folder->fd, &folder->st) != 0)
        return fail_errno(why, errno, "could not open the folder %s", folder->path);
    return FAIL_NONE;
}

static bool is_before(const struct folder *a, const struct folder *b)
{
    if (a->st.st_dev != b->st.st_dev)
        return a->st.st_dev < b->st.st_dev;
    return a->st.st_ino < b->st.st_ino;
}

static bool is_same(const struct folder *a, const struct folder *b)
{
    return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

static enum fail lock_folder(const struct folder *folder, struct failure *why)
{
    while (flock(folder->fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return fail_errno(why, errno, "could not lock the folder %s", folder->path);
    return FAIL_NONE;
}

static enum fail lock_both(const struct folder *a, const struct folder *b, struct failure *why)
{
    const struct folder *first = is_before(b, a) ? b : a;
    const struct folder *second = first == a ? b : a;
    enum fail            rc = lock_folder(first, why);

    if (rc == FAIL_NONE && !is_same(a, b))
        rc = lock_folder(second, why);
    return rc;
}

enum fail folder_lock_take(struct folder_lock *lock, const char *a, const char *b,
                           struct failure *why)
{
    struct folder first = { .path = a, .fd = -1 }, second = { .path = b, .fd = -1 };
    enum fail     rc = open_folder(&first, why);

    if (rc == FAIL_NONE && b != NULL)
        rc = open_folder(&second, why);
    if (rc == FAIL_NONE)
        rc = b != NULL ? lock_both(&first, &second, why) : lock_folder(&first, why);
    *lock = (struct folder_lock){ { first.fd, second.fd } };
    if (rc != FAIL_NONE)
        folder_lock_release(lock);
    return rc;
}

void folder_lock_release(struct folder_lock *lock)
{
    for (int i = 0; i < 2; i++) {
        if (lock->fds[i] >= 0)
            close(lock->fds[i]);
        lock->fds[i] = -1;
    }
}

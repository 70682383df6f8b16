/* SPDX-License-Identifier: PostgreSQL */
#include "ca/file_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)4096)

char *file_path(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    char  *path = malloc(len + strlen(name) + 2);

    while (len > 1 && folder[len - 1] == '/')
        len--;
    if (path != NULL)
        sprintf(path, "%.*s%s%s", (int)len, folder, folder[len - 1] == '/' ? "" : "/", name);
    return path;
}

enum fail file_read(const char *path, struct buf *out, struct failure *why)
{
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t     n = 1;
    enum fail   rc = FAIL_NONE;

    if (fd < 0)
        return errno == ENOENT ? FAIL_NONE : fail_errno(why, errno, "could not open %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = fail(why, FAIL_IO, "%s is not a regular file", path);
    while (rc == FAIL_NONE && n > 0) {
        uint8_t *to = buf_reserve(out, READ_BYTES);

        if (to == NULL)
            rc = buf_room(out) < READ_BYTES ? fail(why, FAIL_LIMIT, "%s is too large", path)
                                            : fail(why, FAIL_MEMORY, "out of memory");
        else if ((n = read(fd, to, READ_BYTES)) > 0)
            buf_wrote(out, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            rc = fail_errno(why, errno, "could not read %s", path);
    }
    close(fd);
    return rc;
}

/* "folder/.name.SUFFIX" beside it; NULL when out of memory. */
static char *path_beside(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/');
    int         folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    char       *beside = malloc(strlen(path) + strlen(suffix) + 3);

    if (beside != NULL)
        sprintf(beside, "%.*s.%s.%s", folder, path, path + folder, suffix);
    return beside;
}

enum fail file_set_check(const char *path, bool may_replace, struct failure *why)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? FAIL_NONE
                               : fail_errno(why, errno, "could not look at %s", path);
    if (!S_ISREG(st.st_mode)) {
        fail_hint(why, "name the folder where the file itself is");
        return fail(why, FAIL_REFUSED, "%s is not a regular file, and is not replaced", path);
    }
    if (may_replace)
        return FAIL_NONE;
    fail_hint(why, "--force replaces it");
    return fail(why, FAIL_REFUSED, "%s is there already", path);
}

/* ---- writing ---- */

static mode_t mode_for(enum file_kind kind, const struct stat *old)
{
    if (kind == FILE_PUBLIC)
        return old != NULL ? old->st_mode & 0777 : 0644;
    return old != NULL && old->st_uid == 0 ? (old->st_mode & 0640) | 0600 : 0600;
}

/* What the old file was: its owner before its mode, so that a new key is never another's. */
static enum fail set_owner_and_mode(int fd, const struct file_source *source,
                                    struct failure *why)
{
    struct stat old, ours;
    bool        is_there = lstat(source->path, &old) == 0;

    if (fstat(fd, &ours) != 0)
        return fail_errno(why, errno, "could not stat the new %s", source->path);
    if (is_there && (old.st_uid != ours.st_uid || old.st_gid != ours.st_gid) &&
        fchown(fd, old.st_uid, old.st_gid) != 0) {
        fail_hint(why, "run it as root or as the owner; or remove the old file");
        return fail_errno(why, errno, "the new %s cannot be given to uid %u, gid %u",
                          source->path, (unsigned)old.st_uid, (unsigned)old.st_gid);
    }
    if (fchmod(fd, mode_for(source->kind, is_there ? &old : NULL)) != 0)
        return fail_errno(why, errno, "could not set the mode of the new %s", source->path);
    return FAIL_NONE;
}

static enum fail write_all(int fd, const char *path, struct bytes text, struct failure *why)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0 && errno != EINTR)
            return fail_errno(why, errno, "could not write %s", path);
        if (n > 0)
            bytes_skip(&text, (size_t)n);
    }
    return fsync(fd) == 0 ? FAIL_NONE : fail_errno(why, errno, "could not write %s", path);
}

static enum fail write_fresh(const char *fresh, const struct file_source *source,
                             struct failure *why)
{
    /* one at a time: the folder is locked.  What a crash left behind is in the way. */
    int       fd;
    enum fail rc;

    if (unlink(fresh) != 0 && errno != ENOENT)
        return fail_errno(why, errno, "could not remove %s", fresh);
    if ((fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        return fail_errno(why, errno, "could not create %s", fresh);
    if ((rc = set_owner_and_mode(fd, source, why)) == FAIL_NONE)
        rc = write_all(fd, source->path, source->text, why);
    if (close(fd) != 0 && rc == FAIL_NONE)
        rc = fail_errno(why, errno, "could not write %s", source->path);
    if (rc != FAIL_NONE)
        unlink(fresh);
    return rc;
}

static void entry_free(struct file_entry *entry)
{
    free(entry->path);
    free(entry->fresh);
    free(entry->old);
    *entry = (struct file_entry){ 0 };
}

enum fail file_set_add(struct file_set *set, const struct file_source *source,
                       struct failure *why)
{
    struct file_entry *entry = &set->entries[set->count];
    enum fail          rc;

    if (set->count == FILE_SET_MOST)
        return fail(why, FAIL_LIMIT, "more than %d files at once", FILE_SET_MOST);
    if ((rc = file_set_check(source->path, source->may_replace, why)) != FAIL_NONE)
        return rc;
    *entry = (struct file_entry){ .path = strdup(source->path),
                                  .fresh = path_beside(source->path, "new"),
                                  .old = path_beside(source->path, "old"),
                                  .may_replace = source->may_replace };
    if (entry->path == NULL || entry->fresh == NULL || entry->old == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    else
        rc = write_fresh(entry->fresh, source, why);
    if (rc == FAIL_NONE)
        set->count++;
    else
        entry_free(entry);
    return rc;
}

/* ---- renaming ---- */

static enum fail sync_folder(const char *path, struct failure *why)
{
    const char *slash = strrchr(path, '/');
    char       *folder =
        slash != NULL ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int       fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    enum fail rc = FAIL_NONE;

    if (folder == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    /* EINVAL: a file system that has no such thing */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        rc = fail_errno(why, errno, "could not write the folder %s to the disk", folder);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

static enum fail map(const char *path, struct bytes *out, struct failure *why)
{
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    void       *at = NULL;
    enum fail   rc = FAIL_NONE;

    *out = bytes_of(NULL, 0);
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = fail_errno(why, errno, "could not open %s", path);
    else if (st.st_size > 0 &&
             (at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        rc = fail_errno(why, errno, "could not read %s", path);
    else
        *out = bytes_of(at, (size_t)st.st_size);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Through no memory of ours: it may be a key.  "Public" keeps the mode as it is. */
static enum fail copy_old(const struct file_entry *entry, struct failure *why)
{
    struct file_source copy = { .path = entry->path, .kind = FILE_PUBLIC };
    enum fail          rc = map(entry->path, &copy.text, why);

    if (rc == FAIL_NONE)
        rc = write_fresh(entry->old, &copy, why);
    if (copy.text.len > 0)
        munmap((void *)(uintptr_t)copy.text.p, copy.text.len);
    return rc;
}

/* The old file keeps a second name until all is done; where a file system has none, a copy. */
static enum fail keep_old(struct file_entry *entry, struct failure *why)
{
    struct stat st;

    unlink(entry->old);
    if (link(entry->path, entry->old) == 0)
        return FAIL_NONE;
    if (lstat(entry->path, &st) == 0 || errno != ENOENT)
        return copy_old(entry, why);
    free(entry->old);
    entry->old = NULL;
    return FAIL_NONE;
}

static enum fail rename_one(struct file_entry *entry, struct failure *why)
{
    unsigned  flags = entry->may_replace ? 0 : RENAME_NOREPLACE;
    enum fail rc = keep_old(entry, why);
    int       renamed;

    if (rc != FAIL_NONE)
        return rc;
    renamed = renameat2(AT_FDCWD, entry->fresh, AT_FDCWD, entry->path, flags);
    if (renamed != 0 && (errno == EINVAL || errno == ENOSYS)) /* it knows no flags */
        renamed = rename(entry->fresh, entry->path);
    if (renamed != 0)
        return fail_errno(why, errno, "could not rename %s to %s", entry->fresh, entry->path);
    entry->is_renamed = true;
    return FAIL_NONE;
}

static void undo(struct file_set *set)
{
    for (size_t i = set->count; i-- > 0;) {
        struct file_entry *entry = &set->entries[i];

        if (entry->is_renamed && entry->old != NULL)
            rename(entry->old, entry->path);
        else if (entry->is_renamed)
            unlink(entry->path);
    }
}

enum fail file_set_commit(struct file_set *set, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (size_t i = 0; rc == FAIL_NONE && i < set->count; i++)
        rc = rename_one(&set->entries[i], why);
    for (size_t i = 0; rc == FAIL_NONE && i < set->count; i++)
        rc = sync_folder(set->entries[i].path, why);
    if (rc != FAIL_NONE)
        undo(set);
    return rc;
}

void file_set_fini(struct file_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct file_entry *entry = &set->entries[i];

        if (!entry->is_renamed)
            unlink(entry->fresh);
        if (entry->old != NULL)
            unlink(entry->old);
        entry_free(entry);
    }
    set->count = 0;
}

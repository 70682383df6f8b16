/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/file_digest.h"

#include "base/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST ((size_t)4 * 1024 * 1024)

/* FNV-1a, 64 bits: this is about slips and renewals, not about an adversary who owns the files.
 */
struct digest {
    uint64_t value;
    bool     is_void; /* the system had no descriptor or memory for us */
};

static void mix(struct digest *digest, const void *data, size_t len)
{
    digest->value = bytes_hash(digest->value, bytes_of(data, len));
}

static void mix_number(struct digest *digest, uint64_t number)
{
    mix(digest, &number, sizeof number);
}

/* Why something cannot be read is a part of what it is like, unless it says nothing of it. */
static void mix_error(struct digest *digest, int error)
{
    if (error == EMFILE || error == ENFILE || error == ENOMEM)
        digest->is_void = true;
    mix_number(digest, (uint64_t)error);
}

static void mix_contents(struct digest *digest, int fd)
{
    char    part[16384];
    size_t  total = 0;
    ssize_t n;

    while (total < LARGEST && (n = read(fd, part, sizeof part)) > 0) {
        mix(digest, part, (size_t)n);
        total += (size_t)n;
    }
    secret_wipe(part, sizeof part); /* it may have been a key */
    mix_number(digest, total);
}

static void mix_file(struct digest *digest, int folder, const char *name)
{
    struct stat info;
    /* not blocking: a FIFO in place of a file must not hold the program up */
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        mix_error(digest, errno);
        return;
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        mix_number(digest, (uint64_t)info.st_mode << 32 | info.st_uid);
        mix_contents(digest, fd);
    }
    close(fd);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void mix_entries(struct digest *digest, int folder, const char *path)
{
    struct dirent **entries;
    int             count = scandir(path, &entries, is_visible, by_name);

    if (count < 0) {
        mix_error(digest, errno);
        return;
    }
    for (int i = 0; i < count; i++) {
        mix(digest, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
        mix_file(digest, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void mix_folder(struct digest *digest, const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0) {
        mix_error(digest, errno);
        return;
    }
    mix_entries(digest, folder, path);
    close(folder);
}

bool file_is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_list_digest(const struct file_list *files, uint64_t *digest)
{
    struct digest all = { .value = UINT64_C(14695981039346656037) };

    for (size_t i = 0; i < files->count; i++)
        if (file_is_folder(files->paths[i]))
            mix_folder(&all, files->paths[i]);
        else
            mix_file(&all, AT_FDCWD, files->paths[i]);
    if (!all.is_void)
        *digest = all.value;
    return !all.is_void;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)16 * 1024)
#define USER_TEXT  40

enum fail conf_file_read_part(int fd, struct buf *out, ssize_t *n, struct failure *why)
{
    size_t   room = buf_room(out) < READ_BYTES ? buf_room(out) : READ_BYTES;
    uint8_t *at;

    if (room == 0)
        return fail(why, FAIL_LIMIT, "larger than %zu bytes", out->limit_bytes);
    if ((at = buf_reserve(out, room)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    *n = read(fd, at, room);
    if (*n < 0 && errno != EINTR && errno != EAGAIN)
        return fail_errno(why, errno, "read");
    if (*n > 0)
        buf_wrote(out, (size_t)*n);
    return FAIL_NONE;
}

static enum fail read_all(int fd, struct buf *out, struct failure *why)
{
    ssize_t   n = -1;
    enum fail rc = FAIL_NONE;

    while (rc == FAIL_NONE && n != 0)
        rc = conf_file_read_part(fd, out, &n, why);
    return rc;
}

enum fail conf_file_read(const char *path, struct buf *out, struct failure *why)
{
    /* without O_NONBLOCK the open of a FIFO waits for its writer */
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    enum fail   rc;

    if (fd < 0)
        return fail_errno(why, errno, "open");
    if (fstat(fd, &st) != 0)
        rc = fail_errno(why, errno, "stat");
    else if (!S_ISREG(st.st_mode))
        rc = fail(why, FAIL_CONFIG, "not a regular file");
    else
        rc = read_all(fd, out, why);
    close(fd);
    return rc;
}

/* ---- permission denied ---- */

static const char *user_name(uid_t uid, char out[static USER_TEXT])
{
    const struct passwd *entry = getpwuid(uid);

    if (entry != NULL)
        snprintf(out, USER_TEXT, "%s", entry->pw_name);
    else
        snprintf(out, USER_TEXT, "uid %u", (unsigned)uid);
    return out;
}

/* Cuts `path` to the first folder on the way that we may not search; false where we may search
 * all of them. */
static bool cut_to_closed_folder(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
            return true;
        *slash = '/';
    }
    return false;
}

void conf_file_explain_denied(const char *path, struct failure *why)
{
    char        place[PATH_MAX], owner[USER_TEXT], us[USER_TEXT];
    struct stat st;
    bool        is_folder;

    if (why->errnum != EACCES || strlen(path) >= sizeof place)
        return;
    strcpy(place, path);
    is_folder = cut_to_closed_folder(place);
    if (stat(place, &st) != 0)
        return;
    why->hint[0] = '\0';
    fail_hint(why, "%s%.70s belongs to %s with mode %04o, and pgtls runs as %s; %s",
              is_folder ? "its folder " : "it", is_folder ? place : "",
              user_name(st.st_uid, owner), (unsigned)(st.st_mode & 07777),
              user_name(geteuid(), us), is_folder ? "chmod o+x the folder" : "chown it");
}

/* ---- paths ---- */

char *conf_file_absolute(const char *folder, const char *path)
{
    const char *front = path[0] == '/' || strcmp(folder, "/") == 0 ? "" : folder;
    size_t      size = strlen(front) + strlen(path) + 2;
    char       *joined = malloc(size);

    if (joined == NULL)
        return NULL;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    snprintf(joined, size, "%s%s%s", front, path[0] == '/' ? "" : "/", path);
    return joined;
}

/* All of an absolute path before its last slash. */
static char *cut_name(char *path)
{
    char *slash = path == NULL ? NULL : strrchr(path, '/');

    if (slash == path && path != NULL)
        slash[1] = '\0';
    else if (slash != NULL)
        *slash = '\0';
    return path;
}

char *conf_file_folder(const char *path)
{
    char *working, *absolute;

    if (path[0] == '/')
        return cut_name(conf_file_absolute("/", path));
    if ((working = getcwd(NULL, 0)) == NULL)
        return NULL;
    absolute = conf_file_absolute(working, path);
    free(working);
    return cut_name(absolute);
}

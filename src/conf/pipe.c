/* SPDX-License-Identifier: PostgreSQL */
#include "conf/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)16 * 1024)

bool conf_pipe_is_input(const char *name)
{
    return strcmp(name, "-") == 0 || strcmp(name, "/dev/stdin") == 0;
}

bool conf_pipe_is(const char *name)
{
    struct stat st;

    return conf_pipe_is_input(name) || (stat(name, &st) == 0 && S_ISFIFO(st.st_mode));
}

static enum fail wait_for_part(int fd, int patience_ms, struct failure *why)
{
    struct pollfd at = { .fd = fd, .events = POLLIN };
    int           ready;

    while ((ready = poll(&at, 1, patience_ms)) < 0 && errno == EINTR)
        ;
    if (ready < 0)
        return fail_errno(why, errno, "poll");
    if (ready > 0)
        return FAIL_NONE;
    return fail(why, FAIL_TIMEOUT, "a pipe that nobody wrote to for %d ms", patience_ms);
}

enum part { PART_SOME, PART_NONE_YET, PART_END };

static enum fail read_part(int fd, struct buf *out, enum part *part, struct failure *why)
{
    size_t   room = buf_room(out) < READ_BYTES ? buf_room(out) : READ_BYTES;
    uint8_t *at;
    ssize_t  n;

    if (room == 0)
        return fail(why, FAIL_LIMIT, "larger than %zu bytes", out->limit_bytes);
    if ((at = buf_reserve(out, room)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    n = read(fd, at, room);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return fail_errno(why, errno, "read");
    if (n > 0)
        buf_wrote(out, (size_t)n);
    *part = n > 0 ? PART_SOME : n < 0 ? PART_NONE_YET : PART_END;
    return FAIL_NONE;
}

/* Standard input may block, and is shared with others: so it stays.  A FIFO that is opened
 * before its writer comes looks as if it had ended, and one that is opened after its writer
 * went never becomes ready again: so it is read first and waited for only then. */
static enum fail read_all(int fd, int patience_ms, struct buf *out, struct failure *why)
{
    const bool   may_block = fd == STDIN_FILENO;
    const size_t before = out->len;
    bool         must_wait = may_block;

    for (;;) {
        enum part part = PART_SOME;
        enum fail rc = must_wait ? wait_for_part(fd, patience_ms, why) : FAIL_NONE;

        if (rc == FAIL_NONE)
            rc = read_part(fd, out, &part, why);
        if (rc != FAIL_NONE || (part == PART_END && (must_wait || out->len > before)))
            return rc;
        must_wait = may_block || part != PART_SOME;
    }
}

static enum fail read_from(int fd, int patience_ms, struct buf *out, struct failure *why)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail_errno(why, errno, "stat");
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
        return fail(why, FAIL_CONFIG, "a terminal, a device or a folder; name a file");
    return read_all(fd, patience_ms, out, why);
}

enum fail conf_pipe_read(const char *name, int patience_ms, struct buf *out,
                         struct failure *why)
{
    int       fd;
    enum fail rc;

    if (conf_pipe_is_input(name))
        return read_from(STDIN_FILENO, patience_ms, out, why);
    /* without O_NONBLOCK the open of a FIFO waits for its writer */
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(why, errno, "open");
    rc = read_from(fd, patience_ms, out, why);
    close(fd);
    return rc;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "conf/pipe.h"

#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Standard input may block, and is shared with others: so it stays.  A FIFO that is opened
 * before its writer comes looks as if it had ended, and one that is opened after its writer
 * went never becomes ready again: so it is read first and waited for only then. */
static enum fail read_all(int fd, int patience_ms, struct buf *out, struct failure *why)
{
    const bool   may_block = fd == STDIN_FILENO;
    const size_t before = out->len;
    bool         must_wait = may_block;

    for (;;) {
        ssize_t   n = -1;
        enum fail rc = must_wait ? wait_for_part(fd, patience_ms, why) : FAIL_NONE;

        if (rc == FAIL_NONE)
            rc = conf_file_read_part(fd, out, &n, why);
        if (rc != FAIL_NONE || (n == 0 && (must_wait || out->len > before)))
            return rc;
        must_wait = may_block || n <= 0;
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

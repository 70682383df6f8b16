/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

/* The lowest number that is free is the next one; the wrong way, so that nobody takes what is
 * read for an end of file, or what is written for printed. */
bool standard_files_take(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

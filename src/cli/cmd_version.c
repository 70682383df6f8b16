/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"
#include "tls/context.h"

#define VERSION_BYTES ((size_t)1024)

int cmd_version(int argc, char **argv)
{
    struct buf out = BUF_LIMIT(VERSION_BYTES);

    if (argc > 1)
        return complain_of_usage("version: takes no arguments");
    buf_put_format(&out, "pgtls %s\n", PGTLS_VERSION);
    buf_put_format(&out, "tls library  %s\n", tls_library_version());
    buf_put_format(&out, "event loops  epoll\n");
    return print_and_free(&out);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"
#include "io/loop.h"
#include "tls/context.h"

#define VERSION_BYTES ((size_t)1024)

static void put_event_loops(struct buf *out)
{
    struct failure why = { 0 };
    struct loop   *loop = loop_new(LOOP_AUTO, &why);
    const char    *refusal = loop != NULL ? loop_refusal(loop) : why.text;

    if (refusal == NULL)
        buf_put_format(out, "event loops  io_uring, epoll\n");
    else
        buf_put_format(out, "event loops  epoll (%s)\n", refusal);
    loop_free(loop);
}

int cmd_version(int argc, char **argv)
{
    struct buf out = BUF_LIMIT(VERSION_BYTES);

    if (argc > 1)
        return complain_of_usage("version: takes no arguments");
    buf_put_format(&out, "pgtls %s\n", PGTLS_VERSION);
    buf_put_format(&out, "tls library  %s\n", tls_library_version());
    put_event_loops(&out);
    return print_and_free(&out);
}

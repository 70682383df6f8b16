/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/pipe.h - text that comes once: from standard input, or from a pipe that has a name
 *
 * For the start of a program, which may wait for it; what runs already may not (conf/file.h).
 */
#ifndef PGTLS_CONF_PIPE_H
#define PGTLS_CONF_PIPE_H

#include "base/buf.h"
#include "base/fail.h"

/* Whether `name` means standard input: "-" or "/dev/stdin". */
bool conf_pipe_is_input(const char *name);

/* Whether `name` means standard input, or leads to a FIFO, such as one of the shell's <(...).
 * Waits for nobody. */
bool conf_pipe_is(const char *name);

/* Appends all that comes until its end; the limit of `out` is that of the whole.  Waits for
 * each part no longer than `patience_ms`.  A terminal is refused.  `why` does not name the
 * pipe. */
enum fail conf_pipe_read(const char *name, int patience_ms, struct buf *out,
                         struct failure *why) WARN_UNUSED;

#endif

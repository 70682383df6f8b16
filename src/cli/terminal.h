/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/terminal.h - asks whoever sits at the terminal
 */
#ifndef PGTLS_CLI_TERMINAL_H
#define PGTLS_CLI_TERMINAL_H

#include "base/fail.h"
#include "base/secret.h"

/*
 * Reads a line without showing it, from the terminal and not from standard input.  Fills an
 * all-zero `out` after success only.  FAIL_IO where there is no terminal, FAIL_REFUSED for an
 * empty line or ^C.  Signals wait until the echo is back on.
 */
enum fail terminal_ask(const char *prompt, struct secret *out, struct failure *why) WARN_UNUSED;

#endif

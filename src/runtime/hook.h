/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/hook.h - runs a command of the user's once something is done
 */
#ifndef PGTLS_RUNTIME_HOOK_H
#define PGTLS_RUNTIME_HOOK_H

#include "base/fail.h"

struct hook_variable {
    const char *name; /* NULL at the end */
    const char *value;
};

/*
 * `/bin/sh -c TEXT` with these variables in its environment; what it prints goes to standard
 * error, its input is /dev/null.  Waits for its end.  `what` names it in failures: it cannot be
 * started, is ended by a signal or with another status than 0.
 */
enum fail hook_run(const char *what, const char *text, const struct hook_variable *variables,
                   struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/privileges.h - become another user
 */
#ifndef PGTLS_RUNTIME_PRIVILEGES_H
#define PGTLS_RUNTIME_PRIVILEGES_H

#include "base/fail.h"

/*
 * Takes the user's id, group and supplementary groups, for good: no program that is run from
 * here on gains rights.  Before any other thread is there.  FAIL_REFUSED where the process is
 * neither root nor that user, FAIL_CONFIG where there is no such user.
 */
enum fail privileges_become(const char *user, struct failure *why) WARN_UNUSED;

/*
 * From here on there is no core dump, and no debugger but root's: keys are in memory.
 * Becoming a user may undo it.
 */
void privileges_forbid_dumps(void);

#endif

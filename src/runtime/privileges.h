/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/privileges.h - become another user
 */
#ifndef PGTLS_RUNTIME_PRIVILEGES_H
#define PGTLS_RUNTIME_PRIVILEGES_H

#include "base/fail.h"

/*
 * Takes the user's id, group and supplementary groups, for good, in every thread.
 * Nothing to do where the process runs as that user already; a failure where it
 * is not root.
 */
enum fail privileges_become(const char *user, struct failure *why) WARN_UNUSED;

#endif

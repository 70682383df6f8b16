/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/standard_files.h - descriptors 0, 1 and 2 are nobody else's
 */
#ifndef PGTLS_RUNTIME_STANDARD_FILES_H
#define PGTLS_RUNTIME_STANDARD_FILES_H

#include <stdbool.h>

/*
 * A program may be started without one of them, and the next file or socket that it opens would
 * have its number: a log or a message would go to a client.  What is missing is opened so that
 * its use fails as before.  False where that cannot be done.
 */
bool standard_files_take(void);

#endif

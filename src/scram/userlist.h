/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/userlist.h - the verifiers of many users, as a file has them
 *
 * PgBouncer's userlist.txt: a line a user, `"name" "secret"`, both in double quotes, a quote
 * within them written twice.  What stands behind the secret is left alone, empty lines and
 * those that begin with `;` are comments.  Every secret here is a SCRAM-SHA-256 verifier: a
 * password in plain text or an md5 hash is an error.
 */
#ifndef PGTLS_SCRAM_USERLIST_H
#define PGTLS_SCRAM_USERLIST_H

#include "scram/verifier.h"

struct userlist;

/*
 * Reads the text of `file`, whose name is for failures: "FILE:LINE: WHAT", which never repeat a
 * secret.  NULL on failure.  A user twice is one.
 */
struct userlist *userlist_read(const char *file, struct bytes text, struct failure *why);
void             userlist_free(struct userlist *list); /* wipes; NULL is fine */

/* Borrowed from the list; NULL: no such user. */
const struct scram_verifier *userlist_find(const struct userlist *list, const char *user);

size_t userlist_count(const struct userlist *list);

#endif

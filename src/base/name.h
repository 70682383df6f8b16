/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/name.h - how long a name of PostgreSQL is: of a user, a database
 */
#ifndef PGTLS_BASE_NAME_H
#define PGTLS_BASE_NAME_H

/* A server cuts what is behind so many bytes, without a word: who compares a longer one
 * compares another one (NAMEDATALEN, CREATE ROLE). */
enum { PG_LONGEST_NAME = 63 };

#endif

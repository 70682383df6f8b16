/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/ident_map.h - who may log in as whom: one map of a file in pg_ident.conf's syntax
 *
 *     # MAP   NAME-IN-CERTIFICATE      USER
 *     certs   alice@example.com        alice
 *     certs   /(.*)@example\.com       \1
 *     certs   "CN=Bob, O=Example"      bob
 *     certs   admin                    all
 *
 * Quotes, comments and lines that end with a backslash as in PostgreSQL 17.  A name that
 * begins with a slash is a regular expression (PCRE2, UTF-8) and must match the whole
 * text: unlike PostgreSQL's, it is anchored at both ends.  \1 in the user is replaced by
 * its first group.  The user may be a regular expression too, or the word all, unquoted.
 * Includes, groups of roles (+admins) and lists are refused: nobody here could
 * answer them.
 *
 * Immutable once loaded; threads may share it.
 */
#ifndef PGTLS_CONF_IDENT_MAP_H
#define PGTLS_CONF_IDENT_MAP_H

#include "base/bytes.h"
#include "base/fail.h"

struct ident_map;

/*
 * Reads the text of `file`, of which every line must be good, and keeps the lines of map
 * `name`. NULL on failure: `why` has the file and the line.  A map without lines is one.
 */
struct ident_map *ident_map_parse(struct bytes text, const char *file, const char *name,
                                  struct failure *why);
void              ident_map_free(struct ident_map *map); /* NULL is fine */

size_t ident_map_count(const struct ident_map *map); /* lines */

/*
 * Whether one line lets the holder of a certificate with that name in as `user`.  `why` is
 * filled only where a regular expression took too long: that line did not match.
 */
bool ident_map_allows(const struct ident_map *map, const char *certificate_name,
                      const char *user, struct failure *why);

#endif

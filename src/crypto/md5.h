/* SPDX-License-Identifier: PostgreSQL */
/*
 * crypto/md5.h - MD5, for PostgreSQL's oldest way to hash a password and nothing else
 */
#ifndef PGTLS_CRYPTO_MD5_H
#define PGTLS_CRYPTO_MD5_H

#include "base/bytes.h"
#include "base/fail.h"

enum { MD5_HEX = 33 }; /* 32 digits and a NUL */

/* Of `a` with `b` behind it, in lower case.  A library in FIPS mode has none: a failure. */
enum fail md5_hex(char out[MD5_HEX], struct bytes a, struct bytes b,
                  struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * crypto/random.h - bytes that nobody can guess
 */
#ifndef PGTLS_CRYPTO_RANDOM_H
#define PGTLS_CRYPTO_RANDOM_H

#include "base/bytes.h"
#include "base/fail.h"

enum fail random_fill(void *out, size_t len, struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * crypto/equal.h - compares secrets in a time that tells nothing of where they differ
 */
#ifndef PGTLS_CRYPTO_EQUAL_H
#define PGTLS_CRYPTO_EQUAL_H

#include "base/bytes.h"

/* Lengths are no secret. */
bool equal_in_constant_time(struct bytes a, struct bytes b);

#endif

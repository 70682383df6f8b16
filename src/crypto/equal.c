/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/equal.h"

#include <openssl/crypto.h>

bool equal_in_constant_time(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.p, b.p, a.len) == 0);
}

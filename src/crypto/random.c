/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/random.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/rand.h>

enum fail random_fill(void *out, size_t len, struct failure *why)
{
    int worked = len <= INT_MAX ? RAND_bytes(out, (int)len) : 0;

    ERR_clear_error();
    return worked == 1 ? FAIL_NONE : fail(why, FAIL_IO, "the system gives no random bytes");
}

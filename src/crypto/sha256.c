/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/sha256.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static enum fail outcome(int worked, const char *what, struct failure *why)
{
    ERR_clear_error(); /* SSL_get_error() of the next connection reads this queue */
    return worked == 1 ? FAIL_NONE : fail(why, FAIL_MEMORY, "%s cannot be computed", what);
}

enum fail sha256(uint8_t out[SHA256_LEN], struct bytes b, struct failure *why)
{
    return outcome(EVP_Digest(b.p, b.len, out, NULL, EVP_sha256(), NULL), "SHA-256", why);
}

enum fail sha256_hmac(uint8_t out[SHA256_LEN], struct bytes key, struct bytes b,
                      struct failure *why)
{
    unsigned len = SHA256_LEN;
    bool     worked = key.len <= INT_MAX &&
                  HMAC(EVP_sha256(), key.p, (int)key.len, b.p, b.len, out, &len) != NULL;

    return outcome(worked, "HMAC-SHA-256", why);
}

enum fail sha256_pbkdf2(uint8_t out[SHA256_LEN], struct bytes password, struct bytes salt,
                        uint32_t iterations, struct failure *why)
{
    bool worked =
        password.len <= INT_MAX && salt.len <= INT_MAX && iterations <= INT_MAX &&
        PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.len, salt.p, (int)salt.len,
                          (int)iterations, EVP_sha256(), SHA256_LEN, out) == 1;

    return outcome(worked, "PBKDF2", why);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/md5.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

enum fail md5_hex(char out[MD5_HEX], struct bytes a, struct bytes b, struct failure *why)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t     digest[EVP_MAX_MD_SIZE];
    unsigned    len = 0;
    bool        good = md != NULL && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(md, a.p, a.len) == 1 &&
                EVP_DigestUpdate(md, b.p, b.len) == 1 &&
                EVP_DigestFinal_ex(md, digest, &len) == 1;

    EVP_MD_CTX_free(md);
    ERR_clear_error();
    if (!good)
        return fail(why, FAIL_MEMORY,
                    "MD5 cannot be computed; a library in FIPS mode has none");
    for (unsigned i = 0; i < len && 2 * i + 2 < MD5_HEX; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return FAIL_NONE;
}

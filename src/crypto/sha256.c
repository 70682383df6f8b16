/* SPDX-License-Identifier: PostgreSQL */
#include "crypto/sha256.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>

/* Looked up with the first use, since EVP does it anew each time, and kept for the life of the
 * process.  All threads use them, and none changes them. */
static _Atomic(EVP_MD *)      kept_hash;
static _Atomic(EVP_MAC_CTX *) kept_mac; /* with a key of zeros: copies get another */

static enum fail outcome(int worked, const char *what, struct failure *why)
{
    ERR_clear_error(); /* SSL_get_error() of the next connection reads this queue */
    return worked == 1 ? FAIL_NONE : fail(why, FAIL_MEMORY, "%s cannot be computed", what);
}

static const EVP_MD *hash(void)
{
    EVP_MD *kept = atomic_load(&kept_hash), *made;

    if (kept != NULL)
        return kept;
    made = EVP_MD_fetch(NULL, OSSL_DIGEST_NAME_SHA2_256, NULL);
    if (atomic_compare_exchange_strong(&kept_hash, &kept, made))
        return made;
    EVP_MD_free(made); /* another thread was faster */
    return kept;
}

static EVP_MAC_CTX *new_mac(void)
{
    static char          name[] = OSSL_DIGEST_NAME_SHA2_256;
    static const uint8_t zeros[SHA256_LEN];
    const OSSL_PARAM     params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
            OSSL_PARAM_construct_end(),
    };
    EVP_MAC     *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    if (mac == NULL || EVP_MAC_init(mac, zeros, sizeof zeros, params) == 1)
        return mac;
    EVP_MAC_CTX_free(mac);
    return NULL;
}

static const EVP_MAC_CTX *mac(void)
{
    EVP_MAC_CTX *kept = atomic_load(&kept_mac), *made;

    if (kept != NULL)
        return kept;
    made = new_mac();
    if (atomic_compare_exchange_strong(&kept_mac, &kept, made))
        return made;
    EVP_MAC_CTX_free(made);
    return kept;
}

enum fail sha256(uint8_t out[SHA256_LEN], struct bytes b, struct failure *why)
{
    const EVP_MD *md = hash();

    return outcome(md != NULL && EVP_Digest(b.p, b.len, out, NULL, md, NULL) == 1, "SHA-256",
                   why);
}

enum fail sha256_hmac(uint8_t out[SHA256_LEN], struct bytes key, struct bytes b,
                      struct failure *why)
{
    const EVP_MAC_CTX *kept = mac();
    EVP_MAC_CTX       *copy = kept != NULL ? EVP_MAC_CTX_dup(kept) : NULL;
    const uint8_t     *p = key.len > 0 ? key.p : (const uint8_t *)""; /* NULL: the key it has */
    size_t             len = 0;
    bool               worked = copy != NULL && EVP_MAC_init(copy, p, key.len, NULL) == 1 &&
                  EVP_MAC_update(copy, b.p, b.len) == 1 &&
                  EVP_MAC_final(copy, out, &len, SHA256_LEN) == 1;

    EVP_MAC_CTX_free(copy);
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

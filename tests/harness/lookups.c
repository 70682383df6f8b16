/* SPDX-License-Identifier: PostgreSQL */
#include "harness/lookups.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

static _Thread_local unsigned count;

unsigned lookups_take(void)
{
    unsigned taken = count;

    count = 0;
    return taken;
}

/* A function of OpenSSL that is counted; the linker puts the wrap in its place. */
#define COUNTED(result, name, parameters, arguments)                                           \
    result __real_##name parameters;                                                           \
    result __wrap_##name parameters;                                                           \
    result __wrap_##name parameters                                                            \
    {                                                                                          \
        count++;                                                                               \
        return __real_##name arguments;                                                        \
    }

COUNTED(EVP_CIPHER *, EVP_CIPHER_fetch, (OSSL_LIB_CTX * l, const char *a, const char *p),
        (l, a, p))
COUNTED(EVP_MD *, EVP_MD_fetch, (OSSL_LIB_CTX * l, const char *a, const char *p), (l, a, p))
COUNTED(EVP_MAC *, EVP_MAC_fetch, (OSSL_LIB_CTX * l, const char *a, const char *p), (l, a, p))
COUNTED(EVP_KDF *, EVP_KDF_fetch, (OSSL_LIB_CTX * l, const char *a, const char *p), (l, a, p))
COUNTED(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), ())
COUNTED(EVP_MAC_CTX *, EVP_MAC_CTX_new, (EVP_MAC * m), (m))
COUNTED(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
COUNTED(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *m), (m))
COUNTED(SSL_CTX *, SSL_CTX_new_ex, (OSSL_LIB_CTX * l, const char *p, const SSL_METHOD *m),
        (l, p, m))
COUNTED(X509_STORE *, X509_STORE_new, (void), ())
COUNTED(BIO_METHOD *, BIO_meth_new, (int t, const char *n), (t, n))

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/seen.h"

#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

/* Whole certificates are compared, signature and all: names and numbers may be anybody's. */
static bool is_the_same(const struct tls_seen *seen, const unsigned char *der, int len)
{
    return seen->der != NULL &&
           bytes_equal(bytes_of(der, (size_t)len), bytes_of(seen->der, (size_t)seen->der_len));
}

enum fail tls_seen_look(struct tls_seen *seen, X509 *certificate, struct failure *why)
{
    struct tls_seen fresh = { 0 };
    enum fail       rc;

    fresh.der_len = i2d_X509(certificate, &fresh.der);
    ERR_clear_error();
    if (fresh.der_len <= 0)
        return fail(why, FAIL_MEMORY, "out of memory");
    if (is_the_same(seen, fresh.der, fresh.der_len)) {
        OPENSSL_free(fresh.der);
        return FAIL_NONE;
    }
    if ((rc = certificate_facts_init(&fresh.facts, certificate, why)) != FAIL_NONE) {
        OPENSSL_free(fresh.der);
        return rc;
    }
    tls_seen_fini(seen);
    *seen = fresh;
    return FAIL_NONE;
}

const struct endpoint_hash *tls_seen_endpoint(struct tls_seen *seen, X509 *certificate)
{
    if (seen->endpoint.signature == NULL)
        endpoint_hash_make(&seen->endpoint, certificate);
    return &seen->endpoint;
}

void tls_seen_fini(struct tls_seen *seen)
{
    OPENSSL_free(seen->der);
    certificate_facts_fini(&seen->facts);
    *seen = (struct tls_seen){ 0 };
}

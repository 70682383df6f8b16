/* SPDX-License-Identifier: PostgreSQL */
#include "x509/pem_write.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Moves what was printed to `out`, and frees `bio`. */
static enum fail finish(BIO *bio, bool was_printed, struct buf *out, struct failure *why)
{
    char *text = NULL;
    long  len = was_printed ? BIO_get_mem_data(bio, &text) : 0;

    if (len > 0)
        buf_put(out, bytes_of(text, (size_t)len));
    BIO_free(bio);
    ERR_clear_error();
    return len > 0 && buf_ok(out) ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

enum fail pem_write_certificate(struct buf *out, X509 *certificate, struct failure *why)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return finish(bio, bio != NULL && PEM_write_bio_X509(bio, certificate) == 1, out, why);
}

enum fail pem_write_request(struct buf *out, X509_REQ *request, struct failure *why)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return finish(bio, bio != NULL && PEM_write_bio_X509_REQ(bio, request) == 1, out, why);
}

enum fail pem_write_crl(struct buf *out, X509_CRL *crl, struct failure *why)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return finish(bio, bio != NULL && PEM_write_bio_X509_CRL(bio, crl) == 1, out, why);
}

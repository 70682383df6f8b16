/* SPDX-License-Identifier: PostgreSQL */
#include "x509/endpoint_hash.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* NID_undef: none, or no single one. */
static int hash_of_signature(X509 *certificate)
{
    int hash = NID_undef;

    /* it knows the parameters of RSA-PSS, which OBJ_find_sigid_algs() does not */
    if (X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1)
        return NID_undef;
    return hash == NID_md5 || hash == NID_sha1 || hash == NID_md5_sha1 ? NID_sha256 : hash;
}

void endpoint_hash_make(struct endpoint_hash *out, X509 *certificate)
{
    int           nid = hash_of_signature(certificate);
    const EVP_MD *md = nid != NID_undef ? EVP_get_digestbynid(nid) : NULL;
    unsigned      len = 0;

    *out =
        (struct endpoint_hash){ .signature = OBJ_nid2sn(X509_get_signature_nid(certificate)) };
    if (md != NULL && EVP_MD_get_size(md) <= (int)sizeof out->hash &&
        (EVP_MD_get_flags(md) & EVP_MD_FLAG_XOF) == 0 &&
        X509_digest(certificate, md, out->hash, &len) == 1)
        out->len = (uint8_t)len;
    ERR_clear_error();
}

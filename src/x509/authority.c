/* SPDX-License-Identifier: PostgreSQL */
#include "x509/authority.h"

#include "x509/certificate.h"
#include "x509/pem_file.h"
#include "x509/pem_write.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

struct authority {
    struct stack_st_X509 *chain; /* the authority's own certificate first */
    X509                 *root;  /* counted; NULL where it is not known */
    EVP_PKEY             *key;
};

static bool signed_by(X509 *certificate, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool      good = X509_check_issued(issuer, certificate) == X509_V_OK && key != NULL &&
                X509_verify(certificate, key) == 1;

    ERR_clear_error();
    return good;
}

static bool is_self_signed(X509 *certificate)
{
    return signed_by(certificate, certificate);
}

static X509 *own(const struct authority *authority)
{
    return sk_X509_value(authority->chain, 0);
}

static enum fail check_is_authority(X509 *certificate, const char *file, struct failure *why)
{
    uint32_t usage = X509_get_key_usage(certificate);

    if (X509_check_ca(certificate) != 1) {
        fail_hint(why, "make one with pgtls cert ca or pgtls cert intermediate");
        return fail(why, FAIL_CERT, "the first certificate in %s is not of an authority", file);
    }
    if (usage != UINT32_MAX && (usage & KU_KEY_CERT_SIGN) == 0)
        return fail(why, FAIL_CERT, "the authority in %s may not sign certificates (key usage)",
                    file);
    return FAIL_NONE;
}

static enum fail check_dates(X509 *certificate, const char *file, int64_t now,
                             struct failure *why)
{
    if (certificate_seconds(X509_get0_notAfter(certificate)) <= now) {
        fail_hint(why, "make a new authority, or set the clock of this machine");
        return fail(why, FAIL_CERT, "the authority in %s has expired", file);
    }
    if (certificate_seconds(X509_get0_notBefore(certificate)) > now) {
        fail_hint(why, "set the clock of this machine");
        return fail(why, FAIL_CERT, "the authority in %s is not valid yet", file);
    }
    return FAIL_NONE;
}

static enum fail check_order(const struct authority *authority, const char *file,
                             struct failure *why)
{
    for (int i = 0; i + 1 < sk_X509_num(authority->chain); i++) {
        if (signed_by(sk_X509_value(authority->chain, i),
                      sk_X509_value(authority->chain, i + 1)))
            continue;
        fail_hint(why, "the authority's own certificate first, then those above it in order");
        return fail(why, FAIL_CERT, "certificate %d in %s was not signed by the one behind it",
                    i + 1, file);
    }
    return FAIL_NONE;
}

/* The chain's last if that is a root, or the one in `root_file` that signed the last. */
static enum fail find_root(struct authority *authority, const char *root_file,
                           struct failure *why)
{
    X509 *last = sk_X509_value(authority->chain, sk_X509_num(authority->chain) - 1);
    struct stack_st_X509 *roots;

    if (is_self_signed(last))
        authority->root = last;
    else if (root_file != NULL && access(root_file, F_OK) == 0) {
        if ((roots = pem_file_certificates(root_file, why)) == NULL)
            return FAIL_CERT;
        for (int i = 0; authority->root == NULL && i < sk_X509_num(roots); i++)
            if (signed_by(last, sk_X509_value(roots, i)))
                authority->root = sk_X509_value(roots, i);
        if (authority->root != NULL)
            X509_up_ref(authority->root);
        pem_file_free_certificates(roots);
        return FAIL_NONE;
    }
    if (authority->root != NULL)
        X509_up_ref(authority->root);
    return FAIL_NONE;
}

struct authority *authority_load(const char *cert_file, const char *root_file, int64_t now,
                                 struct failure *why)
{
    struct authority *authority = calloc(1, sizeof *authority);

    if (authority == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    if ((authority->chain = pem_file_certificates(cert_file, why)) != NULL &&
        check_is_authority(own(authority), cert_file, why) == FAIL_NONE &&
        check_dates(own(authority), cert_file, now, why) == FAIL_NONE &&
        check_order(authority, cert_file, why) == FAIL_NONE &&
        find_root(authority, root_file, why) == FAIL_NONE)
        return authority;
    authority_free(authority);
    return NULL;
}

void authority_free(struct authority *authority)
{
    if (authority == NULL)
        return;
    EVP_PKEY_free(authority->key);
    X509_free(authority->root);
    pem_file_free_certificates(authority->chain);
    free(authority);
}

enum fail authority_load_key(struct authority *authority, const char *key_file,
                             const struct passphrase_source *passphrase, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    if ((authority->key = private_key_load(key_file, passphrase, why)) == NULL)
        return FAIL_CERT;
    if (X509_check_private_key(own(authority), authority->key) != 1)
        rc = fail(why, FAIL_CERT, "%s is not the key of the authority's certificate", key_file);
    ERR_clear_error();
    return rc;
}

X509 *authority_certificate(const struct authority *authority)
{
    return own(authority);
}

EVP_PKEY *authority_key(const struct authority *authority)
{
    return authority->key;
}

int64_t authority_not_after(const struct authority *authority)
{
    return certificate_seconds(X509_get0_notAfter(own(authority)));
}

enum fail authority_write_chain(const struct authority *authority, struct buf *out,
                                struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (int i = 0; rc == FAIL_NONE && i < sk_X509_num(authority->chain); i++) {
        X509 *certificate = sk_X509_value(authority->chain, i);

        if (authority->root == NULL || X509_cmp(certificate, authority->root) != 0)
            rc = pem_write_certificate(out, certificate, why);
    }
    return rc;
}

bool authority_knows_root(const struct authority *authority)
{
    return authority->root != NULL;
}

enum fail authority_write_root(const struct authority *authority, struct buf *out,
                               struct failure *why)
{
    return pem_write_certificate(out, authority->root, why);
}

bool authority_has_signed(const struct authority *authority, X509 *certificate)
{
    return signed_by(certificate, own(authority));
}

X509 *authority_load_signed(const struct authority *authority, const char *file,
                            struct failure *why)
{
    struct stack_st_X509 *chain = pem_file_certificates(file, why);
    X509                 *first = NULL;

    if (chain == NULL)
        return NULL;
    if (authority_has_signed(authority, sk_X509_value(chain, 0))) {
        first = sk_X509_value(chain, 0);
        X509_up_ref(first);
    } else {
        fail_hint(why, "revoke it where it was signed; `pgtls cert show` says by whom");
        fail(why, FAIL_CERT, "%s was signed by another authority", file);
    }
    pem_file_free_certificates(chain);
    return first;
}

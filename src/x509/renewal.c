/* SPDX-License-Identifier: PostgreSQL */
#include "x509/renewal.h"

#include "x509/authority.h"
#include "x509/certificate.h"
#include "x509/key_kind.h"
#include "x509/pem_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static int no_passphrase(char *out, int size, int is_for_writing, void *unused)
{
    return -1;
}

/* Whose file it is does not matter here: a renewal by root serves keys of others. */
static bool is_its_key(X509 *certificate, const char *key_file)
{
    struct buf text;
    BIO       *bio = NULL;
    EVP_PKEY  *key = NULL;
    bool       fits;

    if (pem_file_read(key_file, PEM_FILE_CERTIFICATES, &text, NULL) == FAIL_NONE)
        bio = BIO_new_mem_buf(buf_bytes(&text).p, (int)buf_bytes(&text).len);
    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    fits = key != NULL && X509_check_private_key(certificate, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    pem_file_wipe(&text);
    ERR_clear_error();
    return fits;
}

static bool has_name(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0)
            return true;
    return false;
}

static bool same_names(X509 *certificate, const GENERAL_NAMES *wanted)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int            count = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
    bool           same = count == (wanted != NULL ? sk_GENERAL_NAME_num(wanted) : 0);

    for (int i = 0; same && i < count; i++)
        same = has_name(wanted, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return same;
}

static bool same_kind(X509 *certificate, const char *kind)
{
    char      text[KEY_KIND_TEXT];
    EVP_PKEY *key = X509_get0_pubkey(certificate);

    return kind == NULL || (key != NULL && strcmp(key_kind_of(key, text), kind) == 0);
}

static bool ends_soon(const struct renewal *renewal, X509 *certificate)
{
    int64_t end = certificate_seconds(X509_get0_notAfter(certificate));

    if (renewal->authority != NULL && end >= authority_not_after(renewal->authority))
        return end <= renewal->now;
    return end - renewal->now < renewal->before_s;
}

static const char *judge(const struct renewal *renewal, X509 *certificate)
{
    if (ends_soon(renewal, certificate))
        return "it ends soon";
    if (renewal->authority != NULL && !authority_has_signed(renewal->authority, certificate))
        return "another authority signs now";
    if (X509_NAME_cmp(X509_get_subject_name(certificate), renewal->subject) != 0)
        return "its subject is another";
    if (!same_names(certificate, renewal->names))
        return "its names are others";
    if (!same_kind(certificate, renewal->key_kind))
        return "its kind of key is another";
    return is_its_key(certificate, renewal->key_file) ? NULL : "the key is not its key";
}

enum fail renewal_judge(const struct renewal *renewal, const char **due, struct failure *why)
{
    struct stack_st_X509 *chain = pem_file_certificates(renewal->cert_file, why);

    *due = NULL;
    if (chain == NULL)
        return FAIL_CERT;
    *due = judge(renewal, sk_X509_value(chain, 0));
    pem_file_free_certificates(chain);
    ERR_clear_error();
    return FAIL_NONE;
}

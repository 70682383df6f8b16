/* SPDX-License-Identifier: PostgreSQL */
#include "x509/trust.h"

#include "x509/certificate.h"
#include "x509/crl.h"
#include "x509/pem_file.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trust {
    atomic_uint               holders;
    struct stack_st_X509     *certificates; /* NULL: the platform's store */
    struct certificate_facts *facts;
    struct crl_list          *crls; /* NULL: none */
    uint8_t                   digest[32];
    char                     *file;
};

static const char *setting_or(const char *variable, const char *preset)
{
    const char *value = getenv(variable);

    return value != NULL ? value : preset;
}

static enum fail check_system_store(struct failure *why)
{
    const char *file =
        setting_or(X509_get_default_cert_file_env(), X509_get_default_cert_file());
    const char *dir = setting_or(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());

    if (access(file, R_OK) == 0 || access(dir, R_OK | X_OK) == 0)
        return FAIL_NONE;
    fail_hint(why, "install the package ca-certificates, or name a file");
    return fail(why, FAIL_CERT,
                "the system has no certificate store: neither %s nor %s can be read", file,
                dir);
}

static enum fail load_facts(struct trust *trust, struct failure *why)
{
    size_t n = trust_count(trust);

    if ((trust->facts = calloc(n, sizeof *trust->facts)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        X509 *certificate = sk_X509_value(trust->certificates, (int)i);

        if (certificate_facts_init(&trust->facts[i], certificate, why) != FAIL_NONE)
            return FAIL_MEMORY;
    }
    return FAIL_NONE;
}

/* Each fingerprint is a digest already, and as long as any other. */
static bool make_digest(struct trust *trust)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool        good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; good && i < trust_count(trust); i++)
        good = EVP_DigestUpdate(md, trust->facts[i].fingerprint,
                                strlen(trust->facts[i].fingerprint)) == 1;
    good = good && EVP_DigestUpdate(md, "|", 1) == 1;
    for (size_t i = 0; good && i < trust_crl_count(trust); i++) {
        const char *fingerprint = trust_crl_facts(trust, i)->fingerprint;

        good = EVP_DigestUpdate(md, fingerprint, strlen(fingerprint)) == 1;
    }
    good = good && EVP_DigestFinal_ex(md, trust->digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    return good;
}

static enum fail load_bundle(struct trust *trust, const char *file, struct failure *why)
{
    if (strcmp(file, TRUST_SYSTEM) == 0)
        return check_system_store(why);
    if ((trust->certificates = pem_file_certificates(file, why)) == NULL)
        return FAIL_CERT;
    return load_facts(trust, why);
}

static enum fail load(struct trust *trust, const struct trust_files *files, struct failure *why)
{
    enum fail rc = load_bundle(trust, files->file, why);

    if (rc == FAIL_NONE && (trust->file = certificate_copy_text(files->file)) == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    if (rc != FAIL_NONE)
        return rc;
    if ((files->crl_file != NULL || files->crl_dir != NULL) &&
        (trust->crls = crl_list_load(files->crl_file, files->crl_dir, why)) == NULL)
        return FAIL_CERT;
    return make_digest(trust) ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

static void trust_free(struct trust *trust)
{
    for (size_t i = 0; trust->facts != NULL && i < trust_count(trust); i++)
        certificate_facts_fini(&trust->facts[i]);
    free(trust->facts);
    pem_file_free_certificates(trust->certificates);
    crl_list_free(trust->crls);
    free(trust->file);
    free(trust);
}

struct trust *trust_load(const char *file, struct failure *why)
{
    return trust_load_files(&(struct trust_files){ .file = file }, why);
}

struct trust *trust_load_files(const struct trust_files *files, struct failure *why)
{
    struct trust *trust = calloc(1, sizeof *trust);

    if (trust == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&trust->holders, 1);
    if (load(trust, files, why) == FAIL_NONE)
        return trust;
    trust_free(trust);
    return NULL;
}

struct trust *trust_hold(struct trust *trust)
{
    atomic_fetch_add_explicit(&trust->holders, 1, memory_order_relaxed);
    return trust;
}

void trust_release(struct trust *trust)
{
    if (trust != NULL && atomic_fetch_sub(&trust->holders, 1) == 1)
        trust_free(trust);
}

const char *trust_source(const struct trust *trust)
{
    return trust->file;
}

bool trust_is_system(const struct trust *trust)
{
    return trust->certificates == NULL;
}

size_t trust_count(const struct trust *trust)
{
    return trust_is_system(trust) ? 0 : (size_t)sk_X509_num(trust->certificates);
}

const struct certificate_facts *trust_facts(const struct trust *trust, size_t n)
{
    return &trust->facts[n];
}

size_t trust_crl_count(const struct trust *trust)
{
    return crl_list_count(trust->crls);
}

const struct crl_facts *trust_crl_facts(const struct trust *trust, size_t n)
{
    return crl_list_facts(trust->crls, n);
}

static bool is_over(const struct crl_facts *facts, int64_t now_s)
{
    return facts->next_update != 0 && now_s > facts->next_update;
}

bool trust_crl_has_ended(const struct trust *trust, size_t n, int64_t now_s)
{
    const char *issuer = trust_crl_facts(trust, n)->issuer;

    for (size_t i = 0; i < trust_crl_count(trust); i++) {
        const struct crl_facts *facts = trust_crl_facts(trust, i);

        if (strcmp(facts->issuer, issuer) == 0 && !is_over(facts, now_s))
            return false;
    }
    return true;
}

struct bytes trust_digest(const struct trust *trust)
{
    return bytes_of(trust->digest, sizeof trust->digest);
}

static bool add_crls(X509_STORE *store, const struct trust *trust)
{
    for (size_t i = 0; i < trust_crl_count(trust); i++) {
        if (X509_STORE_add_crl(store, crl_list_get(trust->crls, i)) != 1)
            return false;
    }
    return trust->crls == NULL ||
           X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

static bool fill_store(X509_STORE *store, const struct trust *trust)
{
    if (!add_crls(store, trust))
        return false;
    if (trust_is_system(trust))
        return X509_STORE_set_default_paths(store) == 1;
    for (int i = 0; i < sk_X509_num(trust->certificates); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(trust->certificates, i)) != 1)
            return false;
    }
    return true;
}

X509_STORE *trust_new_store(const struct trust *trust, struct failure *why)
{
    X509_STORE *store = X509_STORE_new();

    if (store == NULL || !fill_store(store, trust)) {
        fail(why, FAIL_CERT, "no certificate store can be made from the trusted certificates");
        X509_STORE_free(store);
        store = NULL;
    }
    ERR_clear_error();
    return store;
}

static bool has_name(struct stack_st_X509_NAME *names, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0)
            return true;
    }
    return false;
}

static bool add_name(struct stack_st_X509_NAME *names, const X509_NAME *name)
{
    X509_NAME *copy;

    if (has_name(names, name))
        return true;
    if ((copy = X509_NAME_dup(name)) == NULL)
        return false;
    if (sk_X509_NAME_push(names, copy) > 0)
        return true;
    X509_NAME_free(copy);
    return false;
}

struct stack_st_X509_NAME *trust_new_names(const struct trust *trust)
{
    struct stack_st_X509_NAME *names = trust_is_system(trust) ? NULL : sk_X509_NAME_new_null();

    for (int i = 0; names != NULL && i < sk_X509_num(trust->certificates); i++) {
        X509 *certificate = sk_X509_value(trust->certificates, i);

        if (!add_name(names, X509_get_subject_name(certificate))) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            names = NULL;
        }
    }
    ERR_clear_error();
    return names;
}

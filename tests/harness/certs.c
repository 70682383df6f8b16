/* SPDX-License-Identifier: PostgreSQL */
#include "harness/certs.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HALF_A_YEAR (INT64_C(183) * 24 * 3600)

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "harness/certs: %s failed\n", what);
        abort();
    }
}

static void sign(struct cert *cert, const struct cert *issuer)
{
    must(X509_sign(cert->x509, issuer != NULL ? issuer->key : cert->key, EVP_sha256()) > 0,
         "sign");
}

static void add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX      ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, x509, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(extension != NULL && X509_add_ext(x509, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

static void add_odd_extension(X509 *x509)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT       *kind = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    X509_EXTENSION    *extension;

    ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
    extension = X509_EXTENSION_create_by_OBJ(NULL, kind, 1, value);
    must(extension != NULL && X509_add_ext(x509, extension, -1) == 1, "odd extension");
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(kind);
}

static void set_dates(X509 *x509, const struct cert_spec *spec)
{
    int64_t from = spec->not_before != 0 ? spec->not_before : CERTS_NOW - HALF_A_YEAR;
    int64_t to = spec->not_after != 0 ? spec->not_after : CERTS_NOW + HALF_A_YEAR;

    must(ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)from) != NULL, "date");
    must(ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)to) != NULL, "date");
}

static void add_common_name(X509_NAME *subject, const char *name)
{
    if (name != NULL)
        must(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                        (const unsigned char *)name, -1, -1, 0) == 1,
             "common name");
}

struct cert cert_make(const struct cert_spec *spec, const struct cert *issuer)
{
    static long serial = 0x1000;
    struct cert cert = { .x509 = X509_new() };
    X509_NAME  *subject = X509_get_subject_name(cert.x509);

    cert.key = spec->is_weak  ? EVP_RSA_gen(1024)
               : spec->is_rsa ? EVP_RSA_gen(2048)
                              : EVP_EC_gen("P-256");
    must(cert.x509 != NULL && cert.key != NULL, "new");
    X509_set_version(cert.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), ++serial);
    set_dates(cert.x509, spec);
    add_common_name(subject, spec->common_name);
    add_common_name(subject, spec->second_name);
    X509_set_issuer_name(cert.x509,
                         issuer != NULL ? X509_get_subject_name(issuer->x509) : subject);
    X509_set_pubkey(cert.x509, cert.key);
    add_extension(cert.x509, NID_basic_constraints,
                  spec->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (spec->is_ca)
        add_extension(cert.x509, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (spec->usage != NULL)
        add_extension(cert.x509, NID_ext_key_usage, spec->usage);
    if (spec->names != NULL)
        add_extension(cert.x509, NID_subject_alt_name, spec->names);
    if (spec->is_odd)
        add_odd_extension(cert.x509);
    sign(&cert, issuer);
    return cert;
}

void cert_free(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    *cert = (struct cert){ NULL, NULL };
}

void cert_set_raw_names(struct cert *cert, const void *der, size_t len,
                        const struct cert *issuer)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION    *extension;

    ASN1_OCTET_STRING_set(value, der, (int)len);
    extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
    must(extension != NULL && X509_add_ext(cert->x509, extension, -1) == 1, "raw extension");
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    sign(cert, issuer);
}

void cert_set_raw_common_name(struct cert *cert, const void *name, size_t len,
                              const struct cert *issuer)
{
    X509_NAME *subject = X509_NAME_new();

    must(X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING, name, (int)len,
                                    -1, 0) == 1,
         "raw common name");
    X509_set_subject_name(cert->x509, subject);
    X509_NAME_free(subject);
    sign(cert, issuer);
}

char *certs_dir_new(void)
{
    const char *parent = getenv("TMPDIR");
    char       *dir;

    must(asprintf(&dir, "%s/pgtls-test-XXXXXX", parent != NULL ? parent : "/tmp") > 0, "path");
    must(mkdtemp(dir) != NULL, "mkdtemp");
    return dir;
}

void certs_dir_free(char *dir)
{
    DIR           *open_dir = opendir(dir);
    struct dirent *entry;

    while (open_dir != NULL && (entry = readdir(open_dir)) != NULL)
        unlinkat(dirfd(open_dir), entry->d_name, 0);
    if (open_dir != NULL)
        closedir(open_dir);
    rmdir(dir);
    free(dir);
}

static FILE *create(const char *dir, const char *name, char **path)
{
    FILE *file;
    int   fd;

    must(asprintf(path, "%s/%s", dir, name) > 0, "path");
    fd = open(*path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0, *path);
    file = fdopen(fd, "w");
    must(file != NULL, *path);
    return file;
}

char *certs_write_chain(const char *dir, const char *name, const struct cert *const *chain)
{
    char *path;
    FILE *file = create(dir, name, &path);

    for (; *chain != NULL; chain++)
        must(PEM_write_X509(file, (*chain)->x509) == 1, path);
    must(fclose(file) == 0, path);
    return path;
}

char *certs_write_key(const char *dir, const char *name, const struct cert *cert)
{
    char *path;
    FILE *file = create(dir, name, &path);

    must(PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL) == 1, path);
    must(fclose(file) == 0, path);
    return path;
}

static void add_revoked(X509_CRL *crl, const struct cert *cert)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME    *date = ASN1_TIME_set(NULL, (time_t)CERTS_NOW - 100);

    must(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert->x509)) == 1 &&
             X509_REVOKED_set_revocationDate(entry, date) == 1 &&
             X509_CRL_add0_revoked(crl, entry) == 1,
         "revoke");
    ASN1_TIME_free(date);
}

static void set_update(X509_CRL *crl, int (*set)(X509_CRL *, const ASN1_TIME *), int64_t when)
{
    ASN1_TIME *date = ASN1_TIME_set(NULL, (time_t)when);

    must(set(crl, date) == 1, "date of a CRL");
    ASN1_TIME_free(date);
}

char *certs_write_crl(const char *dir, const char *name, const struct crl_spec *spec,
                      const struct cert *issuer)
{
    X509_CRL *crl = X509_CRL_new();
    int64_t   day = 24 * 3600;
    char     *path;
    FILE     *file = create(dir, name, &path);

    must(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
             X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)) == 1,
         "CRL");
    set_update(crl, X509_CRL_set1_lastUpdate,
               spec->this_update != 0 ? spec->this_update : CERTS_NOW - day);
    if (spec->next_update >= 0)
        set_update(crl, X509_CRL_set1_nextUpdate,
                   spec->next_update != 0 ? spec->next_update : CERTS_NOW + 7 * day);
    for (const struct cert *const *cert = spec->revoked; cert != NULL && *cert != NULL; cert++)
        add_revoked(crl, *cert);
    must(X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0, "sign");
    must(PEM_write_X509_CRL(file, crl) == 1 && fclose(file) == 0, path);
    X509_CRL_free(crl);
    return path;
}

char *certs_write_text(const char *dir, const char *name, const void *text, size_t len)
{
    char *path;
    FILE *file = create(dir, name, &path);

    must(len == 0 || fwrite(text, len, 1, file) == 1, path);
    must(fclose(file) == 0, path);
    return path;
}

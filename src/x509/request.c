/* SPDX-License-Identifier: PostgreSQL */
#include "x509/request.h"

#include "x509/certificate.h"
#include "x509/key_kind.h"
#include "x509/pem_file.h"
#include "x509/subject.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_NAMES   1000
#define LONGEST_NAME 1024

static bool add_names(X509_REQ *request, GENERAL_NAMES *names)
{
    struct stack_st_X509_EXTENSION *extensions = NULL;
    bool                            good;

    if (names == NULL || sk_GENERAL_NAME_num(names) == 0)
        return true;
    good =
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
        X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return good;
}

X509_REQ *request_make(X509_NAME *subject, GENERAL_NAMES *names, EVP_PKEY *key,
                       struct failure *why)
{
    X509_REQ *request = X509_REQ_new();

    if (request == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_subject_name(request, subject) != 1 ||
        X509_REQ_set_pubkey(request, key) != 1 || !add_names(request, names) ||
        X509_REQ_sign(request, key, key_kind_hash(key)) <= 0) {
        fail(why, FAIL_CERT, "the request cannot be made");
        X509_REQ_free(request);
        request = NULL;
    }
    ERR_clear_error();
    return request;
}

static enum fail check(X509_REQ *request, const char *file, struct failure *why)
{
    EVP_PKEY *key = request != NULL ? X509_REQ_get0_pubkey(request) : NULL;

    if (request == NULL) {
        fail_hint(why, "PEM text with BEGIN CERTIFICATE REQUEST is expected");
        return fail(why, FAIL_CERT, "no certificate request can be read from %s", file);
    }
    if (key == NULL || X509_REQ_verify(request, key) != 1) {
        fail_hint(why, "it was damaged on its way, or made by someone without the key");
        return fail(why, FAIL_CERT, "the request in %s is not signed by its own key", file);
    }
    if (!key_kind_is_weak(key))
        return FAIL_NONE;
    fail_hint(why, "RSA needs 2048 bits or more, EC 256");
    return fail(why, FAIL_CERT, "the key in %s is too short: %d bits", file,
                EVP_PKEY_get_bits(key));
}

X509_REQ *request_read(struct bytes text, const char *file, struct failure *why)
{
    BIO      *bio = BIO_new_mem_buf(text.p, (int)text.len);
    X509_REQ *request = NULL;

    if (bio != NULL)
        request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (check(request, file, why) != FAIL_NONE) {
        X509_REQ_free(request);
        request = NULL;
    }
    ERR_clear_error();
    return request;
}

X509_REQ *request_load(const char *file, struct failure *why)
{
    struct buf text;
    X509_REQ  *request = NULL;

    if (pem_file_read(file, PEM_FILE_CERTIFICATES, &text, why) == FAIL_NONE)
        request = request_read(buf_bytes(&text), file, why);
    pem_file_wipe(&text);
    return request;
}

void request_free(X509_REQ *request)
{
    X509_REQ_free(request);
}

EVP_PKEY *request_key(const X509_REQ *request)
{
    return X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)request);
}

X509_NAME *request_subject_copy(const X509_REQ *request, struct failure *why)
{
    X509_NAME *copy = X509_NAME_dup(X509_REQ_get_subject_name(request));

    if (copy == NULL)
        fail(why, FAIL_MEMORY, "out of memory");
    return copy;
}

enum fail request_facts_init(struct request_facts *out, X509_REQ *request, struct failure *why)
{
    struct stack_st_X509_EXTENSION *extensions = X509_REQ_get_extensions(request);
    GENERAL_NAMES *asked = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);

    *out = (struct request_facts){
        .subject = certificate_name_text(X509_REQ_get_subject_name(request)),
        .names = certificate_names_text(asked),
    };
    key_kind_of(X509_REQ_get0_pubkey(request), out->key);
    GENERAL_NAMES_free(asked);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    ERR_clear_error();
    if (out->subject != NULL && out->names != NULL)
        return FAIL_NONE;
    request_facts_fini(out);
    return fail(why, FAIL_MEMORY, "out of memory");
}

void request_facts_fini(struct request_facts *facts)
{
    free(facts->subject);
    free(facts->names);
    *facts = (struct request_facts){ 0 };
}

/* ---- names ---- */

static bool write_address(char *out, size_t size, struct bytes address)
{
    char        text[INET6_ADDRSTRLEN];
    const void *p = address.p;

    if (address.len != 4 && address.len != 16)
        return false;
    if (inet_ntop(address.len == 4 ? AF_INET : AF_INET6, p, text, sizeof text) == NULL)
        return false;
    snprintf(out, size, "IP:%s", text);
    return true;
}

/* As x509/subject.h reads it, which then judges it; false for kinds that it does not know. */
static bool write_name(char *out, size_t size, const GENERAL_NAME *name)
{
    int                type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const char        *kind = type == GEN_DNS ? "DNS" : type == GEN_EMAIL ? "email" : "URI";
    struct bytes       text;

    if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI && type != GEN_IPADD)
        return false;
    text = bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (type == GEN_IPADD)
        return write_address(out, size, text);
    if (text.len == 0 || text.len + 8 > size || memchr(text.p, '\0', text.len) != NULL)
        return false;
    snprintf(out, size, "%s:%.*s", kind, (int)text.len, (const char *)text.p);
    return true;
}

static GENERAL_NAMES *copy_names(const GENERAL_NAMES *asked, struct failure *why)
{
    GENERAL_NAMES *names = subject_names(NULL, 0, why);
    GENERAL_NAMES *one;
    char           text[LONGEST_NAME];
    const char    *texts[] = { text };

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(asked); i++) {
        if (!write_name(text, sizeof text, sk_GENERAL_NAME_value(asked, i))) {
            fail_hint(why, "give the names by --name instead");
            fail(why, FAIL_CERT, "the request asks for a name of a kind that is not issued");
            one = NULL;
        } else
            one = subject_names(texts, 1, why);
        if (one == NULL || sk_GENERAL_NAME_push(names, sk_GENERAL_NAME_value(one, 0)) <= 0) {
            subject_names_free(one);
            subject_names_free(names);
            return NULL;
        }
        sk_GENERAL_NAME_free(one); /* the name is in `names` now */
    }
    return names;
}

GENERAL_NAMES *request_names(X509_REQ *request, struct failure *why)
{
    struct stack_st_X509_EXTENSION *extensions = X509_REQ_get_extensions(request);
    int                             state = -1;
    GENERAL_NAMES *asked = X509V3_get_d2i(extensions, NID_subject_alt_name, &state, NULL);
    GENERAL_NAMES *names = NULL;

    /* -1: no such extension; otherwise it is there twice, or cannot be read */
    if (asked == NULL && state != -1)
        fail(why, FAIL_CERT, "the names that the request asks for cannot be read");
    else if (sk_GENERAL_NAME_num(asked) > MOST_NAMES)
        fail(why, FAIL_CERT, "the request asks for more than %d names", MOST_NAMES);
    else
        names = copy_names(asked, why);
    GENERAL_NAMES_free(asked);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    ERR_clear_error();
    return names;
}

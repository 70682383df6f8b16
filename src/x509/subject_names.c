/* SPDX-License-Identifier: PostgreSQL */
#include "x509/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static enum fail add(struct certificate_names *names, struct bytes name, struct failure *why)
{
    char **more;
    char  *copy;

    if (name.len > 0 && memchr(name.p, '\0', name.len) != NULL)
        return fail(why, FAIL_CERT, "a name in the client's certificate contains a NUL");
    if ((more = realloc(names->items, (names->count + 1) * sizeof *more)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    names->items = more;
    if ((copy = malloc(name.len + 1)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if (name.len > 0)
        memcpy(copy, name.p, name.len);
    copy[name.len] = '\0';
    names->items[names->count++] = copy;
    return FAIL_NONE;
}

/* The bytes as they stand, whatever kind of string they are, as PostgreSQL takes them. */
static enum fail read_common_name(struct certificate_names *names, const X509_NAME *subject,
                                  struct failure *why)
{
    int                at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *text;

    if (at < 0)
        return FAIL_NONE;
    if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return fail(why, FAIL_CERT, "the client's certificate has more than one common name");
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    if (ASN1_STRING_length(text) == 0)
        return FAIL_NONE;
    return add(names, bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
               why);
}

/* As be-secure-openssl.c does for peer_dn: XN_FLAG_RFC2253, so bytes past ASCII become \XX. */
static enum fail read_distinguished_name(struct certificate_names *names,
                                         const X509_NAME *subject, struct failure *why)
{
    BIO      *bio = BIO_new(BIO_s_mem());
    char     *text = NULL;
    long      len;
    enum fail rc;

    if (bio == NULL || X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253) < 0)
        rc = fail(why, FAIL_CERT, "the client's distinguished name cannot be written");
    else {
        len = BIO_get_mem_data(bio, &text);
        rc = len > 0 ? add(names, bytes_of(text, (size_t)len), why) : FAIL_NONE;
    }
    BIO_free(bio);
    return rc;
}

static enum fail read_alternative_names(struct certificate_names *names, X509 *certificate,
                                        int type, struct failure *why)
{
    int            state = -1;
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, &state, NULL);
    enum fail      rc = FAIL_NONE;

    /* -1: no such extension; otherwise it is there twice, or cannot be read */
    if (all == NULL && state != -1)
        return fail(why, FAIL_CERT, "the client's alternative names cannot be read");
    for (int i = 0; rc == FAIL_NONE && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        /* DNS, URI and email are all the same kind of string */
        if (name->type == type)
            rc = add(names,
                     bytes_of(ASN1_STRING_get0_data(name->d.ia5),
                              (size_t)ASN1_STRING_length(name->d.ia5)),
                     why);
    }
    GENERAL_NAMES_free(all);
    return rc;
}

enum fail certificate_names_read(struct certificate_names *out, X509 *certificate,
                                 enum certificate_name_kind kind, struct failure *why)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    enum fail        rc = FAIL_NONE;

    *out = (struct certificate_names){ 0 };
    switch (kind) {
    case CERTIFICATE_CN: rc = read_common_name(out, subject, why); break;
    case CERTIFICATE_DN: rc = read_distinguished_name(out, subject, why); break;
    case CERTIFICATE_SAN_DNS:
        rc = read_alternative_names(out, certificate, GEN_DNS, why);
        break;
    case CERTIFICATE_SAN_URI:
        rc = read_alternative_names(out, certificate, GEN_URI, why);
        break;
    case CERTIFICATE_SAN_EMAIL:
        rc = read_alternative_names(out, certificate, GEN_EMAIL, why);
        break;
    }
    ERR_clear_error();
    return rc;
}

void certificate_names_fini(struct certificate_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct certificate_names){ 0 };
}

bool certificate_names_have(const struct certificate_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (*name != '\0' && strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

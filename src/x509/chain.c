/* SPDX-License-Identifier: PostgreSQL */
#include "x509/chain.h"

#include "x509/name_match.h"
#include "x509/pem_file.h"
#include "x509/trust.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEAK_BITS 112 /* OpenSSL's security level 2: RSA 2048 has them */

struct chain {
    struct stack_st_X509 *certificates;
    struct endpoint_hash  binding; /* of the leaf */
    size_t                length;
    struct chain_link     links[];
};

static X509 *certificate(const struct chain *chain, size_t n)
{
    return sk_X509_value(chain->certificates, (int)n);
}

static bool has_issued(X509 *above, X509 *below)
{
    return X509_check_issued(above, below) == X509_V_OK &&
           X509_verify(below, X509_get0_pubkey(above)) == 1;
}

/* ---- what the certificates say ---- */

/* "P-256" for "prime256v1": the name by which people know it, where it has one. */
static const char *curve_name(const char *group)
{
    const char *nist = EC_curve_nid2nist(OBJ_txt2nid(group));

    return nist != NULL ? nist : group;
}

static void describe_key(struct chain_link *link, X509 *x509)
{
    EVP_PKEY   *key = X509_get0_pubkey(x509);
    const char *kind = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    char        group[16] = "";

    if (kind == NULL) {
        snprintf(link->key, sizeof link->key, "unknown");
        return;
    }
    link->has_weak_key = EVP_PKEY_get_security_bits(key) < WEAK_BITS;
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
        snprintf(link->key, sizeof link->key, "EC %s", curve_name(group));
    else if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        snprintf(link->key, sizeof link->key, "%.12s %d", kind, EVP_PKEY_get_bits(key));
    else
        snprintf(link->key, sizeof link->key, "%.24s", kind);
}

static void describe_signature(struct chain_link *link, X509 *x509)
{
    int hash = NID_undef;

    link->signature = OBJ_nid2sn(X509_get_signature_nid(x509));
    if (X509_get_signature_info(x509, &hash, NULL, NULL, NULL) == 1 && hash != NID_undef)
        link->hash = OBJ_nid2sn(hash);
    link->has_weak_hash = (hash == NID_sha1 || hash == NID_md5) && !has_issued(x509, x509);
}

static void put_use(char *out, size_t size, const char *word)
{
    size_t at = strlen(out);

    snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "", word);
}

static void describe_use(struct chain_link *link, X509 *x509)
{
    uint32_t purposes = X509_get_extended_key_usage(x509);
    long     path = X509_get_pathlen(x509);
    char     text[40];

    if (link->is_ca) {
        put_use(link->use, sizeof link->use, "authority");
        snprintf(text, sizeof text, "path length %ld", path);
        if (path >= 0)
            put_use(link->use, sizeof link->use, text);
    }
    if (purposes == UINT32_MAX) {
        if (!link->is_ca)
            put_use(link->use, sizeof link->use, "any purpose");
        return;
    }
    if ((purposes & (XKU_SSL_SERVER | XKU_ANYEKU)) != 0)
        put_use(link->use, sizeof link->use, "server");
    if ((purposes & (XKU_SSL_CLIENT | XKU_ANYEKU)) != 0)
        put_use(link->use, sizeof link->use, "client");
    if ((purposes & (XKU_SSL_SERVER | XKU_SSL_CLIENT | XKU_ANYEKU)) == 0)
        put_use(link->use, sizeof link->use, "another purpose");
}

/* Itself first: copies of a root would be each other's issuers.  A server's certificate that
 * signed itself counts, too, although its key usage is not an authority's. */
static int find_issuer(const struct chain *chain, size_t n)
{
    if (X509_self_signed(certificate(chain, n), 1) == 1)
        return (int)n;
    for (size_t i = 0; i < chain->length; i++) {
        size_t candidate = (n + 1 + i) % chain->length; /* the one behind it first */

        if (has_issued(certificate(chain, candidate), certificate(chain, n)))
            return (int)candidate;
    }
    return -1;
}

static enum fail describe(struct chain *chain, struct failure *why)
{
    endpoint_hash_make(&chain->binding, certificate(chain, 0));
    for (size_t i = 0; i < chain->length; i++) {
        struct chain_link *link = &chain->links[i];
        X509              *x509 = certificate(chain, i);

        if (certificate_facts_init(&link->facts, x509, why) != FAIL_NONE)
            return FAIL_MEMORY;
        describe_key(link, x509);
        describe_signature(link, x509);
        link->is_ca = X509_check_ca(x509) > 0;
        describe_use(link, x509);
        link->issuer = find_issuer(chain, i);
    }
    return FAIL_NONE;
}

struct chain *chain_new(struct stack_st_X509 *certificates, struct failure *why)
{
    size_t        length = (size_t)sk_X509_num(certificates);
    struct chain *chain = calloc(1, sizeof *chain + length * sizeof chain->links[0]);
    enum fail     rc = FAIL_NONE;

    if (chain == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    chain->length = length;
    if ((chain->certificates = X509_chain_up_ref(certificates)) == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    if (rc == FAIL_NONE)
        rc = describe(chain, why);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return chain;
    chain_free(chain);
    return NULL;
}

struct chain *chain_load(const char *file, struct failure *why)
{
    struct stack_st_X509 *certificates = pem_file_certificates(file, why);
    struct chain         *chain = certificates != NULL ? chain_new(certificates, why) : NULL;

    pem_file_free_certificates(certificates);
    return chain;
}

struct stack_st_X509 *chain_certificates(const struct chain *chain)
{
    return chain->certificates;
}

void chain_free(struct chain *chain)
{
    if (chain == NULL)
        return;
    for (size_t i = 0; i < chain->length; i++)
        certificate_facts_fini(&chain->links[i].facts);
    sk_X509_pop_free(chain->certificates, X509_free);
    free(chain);
}

size_t chain_length(const struct chain *chain)
{
    return chain->length;
}

const struct chain_link *chain_link(const struct chain *chain, size_t n)
{
    return &chain->links[n];
}

bool chain_is_in_order(const struct chain *chain)
{
    for (size_t i = 0; i + 1 < chain->length; i++) {
        if (chain->links[i].issuer != (int)i + 1)
            return false;
    }
    return true;
}

/* ---- names ---- */

enum fail chain_match_name(const struct chain *chain, const char *host, struct failure *why)
{
    return name_match(certificate(chain, 0), host, why);
}

bool chain_has_common_name(const struct chain *chain, const char *user)
{
    return certificate_has_common_name(certificate(chain, 0), user);
}

bool chain_has_broken_names(const struct chain *chain)
{
    struct certificate_names names;
    struct failure           why = { 0 };
    bool                     broken = false;

    for (int kind = CERTIFICATE_CN; kind <= CERTIFICATE_SAN_DNS && !broken; kind++) {
        /* several common names are a failure too, but not of this kind */
        if (kind == CERTIFICATE_DN)
            continue;
        broken = certificate_names_read(&names, certificate(chain, 0),
                                        (enum certificate_name_kind)kind, &why) == FAIL_CERT;
        certificate_names_fini(&names);
    }
    return broken;
}

const struct endpoint_hash *chain_binding(const struct chain *chain)
{
    return &chain->binding;
}

const char *chain_binding_hash(const struct chain *chain)
{
    const char *hash = chain->links[0].hash;

    if (chain->binding.len == 0 || hash == NULL)
        return NULL;
    return strcmp(hash, "MD5") == 0 || strcmp(hash, "SHA1") == 0 ? "SHA256" : hash;
}

/* ---- trust ---- */

static const struct {
    int              error;
    enum chain_fault fault;
} faults[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, CHAIN_EXPIRED },
    { X509_V_ERR_CERT_NOT_YET_VALID, CHAIN_NOT_YET_VALID },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CHAIN_SELF_SIGNED },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, CHAIN_UNKNOWN_CA },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, CHAIN_UNKNOWN_CA },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CHAIN_UNKNOWN_CA },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, CHAIN_UNKNOWN_CA },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE, CHAIN_BAD_SIGNATURE },
    { X509_V_ERR_EE_KEY_TOO_SMALL, CHAIN_WEAK },
    { X509_V_ERR_CA_KEY_TOO_SMALL, CHAIN_WEAK },
    { X509_V_ERR_CA_MD_TOO_WEAK, CHAIN_WEAK },
    { X509_V_ERR_CERT_REVOKED, CHAIN_REVOKED },
    { X509_V_ERR_UNABLE_TO_GET_CRL, CHAIN_NO_CRL },
    { X509_V_ERR_CRL_HAS_EXPIRED, CHAIN_CRL_EXPIRED },
    { X509_V_ERR_INVALID_PURPOSE, CHAIN_WRONG_PURPOSE },
    { X509_V_ERR_INVALID_CA, CHAIN_INVALID_CA },
    { X509_V_ERR_PATH_LENGTH_EXCEEDED, CHAIN_INVALID_CA },
    { X509_V_ERR_KEYUSAGE_NO_CERTSIGN, CHAIN_INVALID_CA },
};

static enum chain_fault fault_of(int error)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (faults[i].error == error)
            return faults[i].fault;
    }
    return CHAIN_OTHER;
}

/* Where the way from the leaf up ends, and how many certificates it passes. */
static size_t top_of(const struct chain *chain, size_t *passed)
{
    size_t at = 0;

    *passed = 1;
    while (chain->links[at].issuer >= 0 && chain->links[at].issuer != (int)at &&
           *passed < chain->length) {
        at = (size_t)chain->links[at].issuer;
        ++*passed;
    }
    return at;
}

static bool is_a_trusted_name(const struct trust *trust, const char *name)
{
    for (size_t i = 0; i < trust_count(trust); i++) {
        if (strcmp(trust_facts(trust, i)->subject, name) == 0)
            return true;
    }
    return false;
}

/* OpenSSL says of all these that it cannot find an issuer. */
static enum chain_fault tell_apart(const struct chain *chain, const struct trust *trust)
{
    size_t passed, top = top_of(chain, &passed);

    if (chain->links[0].issuer == 0)
        return CHAIN_SELF_SIGNED;
    if (is_a_trusted_name(trust, chain->links[top].facts.issuer))
        return CHAIN_BAD_SIGNATURE;
    if (chain->length == 1)
        return CHAIN_LEAF_ONLY;
    return passed < chain->length ? CHAIN_MISSING_LINK : CHAIN_UNKNOWN_CA;
}

static int index_of(const struct chain *chain, X509 *x509)
{
    for (size_t i = 0; x509 != NULL && i < chain->length; i++) {
        if (X509_cmp(certificate(chain, i), x509) == 0)
            return (int)i;
    }
    return -1;
}

static enum chain_fault explain(const struct chain *chain, const struct trust *trust,
                                X509_STORE_CTX *context, int *at, struct failure *why)
{
    int              error = X509_STORE_CTX_get_error(context);
    enum chain_fault fault = fault_of(error);

    *at = index_of(chain, X509_STORE_CTX_get_current_cert(context));
    fail(why, FAIL_CERT, "%s", X509_verify_cert_error_string(error));
    return fault == CHAIN_UNKNOWN_CA ? tell_apart(chain, trust) : fault;
}

static bool prepare(X509_STORE_CTX *context, const struct chain *chain, X509_STORE *store,
                    const struct chain_judge *judge)
{
    X509_VERIFY_PARAM *parameters;

    if (X509_STORE_CTX_init(context, store, certificate(chain, 0), chain->certificates) != 1 ||
        X509_STORE_CTX_set_default(context, "ssl_server") != 1)
        return false;
    parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_auth_level(parameters, judge->security_level);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)judge->wall_s);
    return true;
}

enum chain_fault chain_verify(const struct chain *chain, const struct chain_judge *judge,
                              int *at, struct failure *why)
{
    X509_STORE      *store = trust_new_store(judge->trust, why);
    X509_STORE_CTX  *context = X509_STORE_CTX_new();
    enum chain_fault fault = CHAIN_OTHER;

    *at = -1;
    if (store == NULL || context == NULL || !prepare(context, chain, store, judge))
        fail(why, FAIL_MEMORY, "the chain cannot be verified: out of memory");
    else if (X509_verify_cert(context) == 1)
        fault = CHAIN_GOOD;
    else
        fault = explain(chain, judge->trust, context, at, why);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return fault;
}

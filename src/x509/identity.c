/* SPDX-License-Identifier: PostgreSQL */
#include "x509/identity.h"

#include "x509/certificate.h"
#include "x509/name_match.h"
#include "x509/pem_file.h"
#include "x509/trust_pool.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

struct identity {
    atomic_uint               holders;
    X509                     *leaf;
    struct stack_st_X509     *intermediates;
    EVP_PKEY                 *key;
    struct certificate_facts *facts; /* of the whole chain */
    unsigned char            *der;
    int                       der_len;
    struct endpoint_hash      endpoint;
    char                     *file;
};

static enum fail check_key(const struct identity *id, const struct identity_files *files,
                           struct failure *why)
{
    if (X509_check_private_key(id->leaf, id->key) == 1)
        return FAIL_NONE;
    for (int i = 0; i < sk_X509_num(id->intermediates); i++) {
        if (X509_check_private_key(sk_X509_value(id->intermediates, i), id->key) != 1)
            continue;
        fail_hint(why, "put that certificate first, then the one that signed it, and so on");
        return fail(why, FAIL_CERT, "%s is the key of certificate %d in %s, not of the first",
                    files->key, i + 2, files->cert);
    }
    fail_hint(why, "renew certificate and key together");
    return fail(why, FAIL_CERT, "%s is not the key of %s", files->key, files->cert);
}

static enum fail check_order(const struct identity *id, const char *file, struct failure *why)
{
    X509 *below = id->leaf;

    for (int i = 0; i < sk_X509_num(id->intermediates); i++) {
        X509 *above = sk_X509_value(id->intermediates, i);

        if (X509_check_issued(above, below) != X509_V_OK ||
            X509_verify(below, X509_get0_pubkey(above)) != 1) {
            fail_hint(why, "leaf first, then each certificate that signed the one before it");
            return fail(why, FAIL_CERT, "certificate %d in %s did not sign certificate %d",
                        i + 2, file, i + 1);
        }
        below = above;
    }
    return FAIL_NONE;
}

static enum fail load_facts(struct identity *id, struct failure *why)
{
    size_t    n = identity_chain_length(id);
    enum fail rc = certificate_facts_init(&id->facts[0], id->leaf, why);

    for (size_t i = 1; rc == FAIL_NONE && i < n; i++)
        rc = certificate_facts_init(&id->facts[i], sk_X509_value(id->intermediates, (int)i - 1),
                                    why);
    return rc;
}

static enum fail load(struct identity *id, const struct identity_files *files,
                      struct failure *why)
{
    enum fail rc;

    if ((id->intermediates = pem_file_certificates(files->cert, why)) == NULL)
        return FAIL_CERT;
    id->leaf = sk_X509_shift(id->intermediates);
    if ((id->key = private_key_load(files->key, files->passphrase, why)) == NULL)
        return FAIL_CERT;
    if ((rc = check_key(id, files, why)) != FAIL_NONE ||
        (rc = check_order(id, files->cert, why)) != FAIL_NONE)
        return rc;
    if ((id->facts = calloc(identity_chain_length(id), sizeof *id->facts)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if ((rc = load_facts(id, why)) != FAIL_NONE)
        return rc;
    endpoint_hash_make(&id->endpoint, id->leaf);
    if ((id->file = certificate_copy_text(files->cert)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if ((id->der_len = i2d_X509(id->leaf, &id->der)) <= 0)
        return fail(why, FAIL_MEMORY, "out of memory");
    return FAIL_NONE;
}

static void identity_free(struct identity *id)
{
    for (size_t i = 0; id->facts != NULL && i < identity_chain_length(id); i++)
        certificate_facts_fini(&id->facts[i]);
    free(id->facts);
    X509_free(id->leaf);
    pem_file_free_certificates(id->intermediates);
    EVP_PKEY_free(id->key);
    OPENSSL_free(id->der);
    free(id->file);
    free(id);
}

struct identity *identity_load(const struct identity_files *files, struct failure *why)
{
    struct identity *id = calloc(1, sizeof *id);
    enum fail        rc;

    if (id == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&id->holders, 1);
    rc = load(id, files, why);
    ERR_clear_error();
    if (rc == FAIL_NONE)
        return id;
    identity_free(id);
    return NULL;
}

struct identity *identity_hold(struct identity *identity)
{
    atomic_fetch_add_explicit(&identity->holders, 1, memory_order_relaxed);
    return identity;
}

void identity_release(struct identity *identity)
{
    if (identity != NULL && atomic_fetch_sub(&identity->holders, 1) == 1)
        identity_free(identity);
}

const struct certificate_facts *identity_facts(const struct identity *identity)
{
    return &identity->facts[0];
}

const struct certificate_facts *identity_chain_facts(const struct identity *identity, size_t n)
{
    return &identity->facts[n];
}

const char *identity_file(const struct identity *identity)
{
    return identity->file;
}

static bool is_root(X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate),
                         X509_get_issuer_name(certificate)) == 0;
}

static X509 *last_of(const struct identity *identity)
{
    int above = sk_X509_num(identity->intermediates);

    return above > 0 ? sk_X509_value(identity->intermediates, above - 1) : identity->leaf;
}

/* The issuer of the last certificate, or NULL; the caller's. */
static X509 *find_issuer(const struct identity *identity, struct trust_pool *pool,
                         struct trust *known)
{
    X509_STORE     *store = trust_pool_store(pool, known, NULL);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509           *issuer = NULL;

    if (store != NULL && context != NULL &&
        X509_STORE_CTX_init(context, store, last_of(identity), NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&issuer, context, last_of(identity)) != 1)
        issuer = NULL;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return issuer;
}

enum identity_end identity_end(const struct identity *identity, struct trust_pool *pool,
                               struct trust *known)
{
    enum identity_end end = IDENTITY_ENDS_UNKNOWN;
    X509             *issuer;

    if (is_root(last_of(identity)))
        return IDENTITY_ENDS_AT_ROOT;
    issuer = find_issuer(identity, pool, known);
    if (issuer != NULL)
        end = is_root(issuer) ? IDENTITY_ENDS_AT_ROOT : IDENTITY_LACKS_ITS_LINK;
    X509_free(issuer);
    return end;
}

bool identity_covers_name(const struct identity *identity, const char *host)
{
    return name_match(identity->leaf, host, NULL) == FAIL_NONE;
}

bool identity_has_server_auth(const struct identity *identity)
{
    return X509_check_purpose(identity->leaf, X509_PURPOSE_SSL_SERVER, 0) == 1;
}

bool identity_has_client_auth(const struct identity *identity)
{
    return X509_check_purpose(identity->leaf, X509_PURPOSE_SSL_CLIENT, 0) == 1;
}

/* Of the certificate: a provider's key may not tell. */
static int kind_of(const struct identity *identity)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(identity->leaf));
}

bool identity_same_kind(const struct identity *a, const struct identity *b)
{
    return kind_of(a) == kind_of(b);
}

const char *identity_kind(const struct identity *identity)
{
    const char *name = EVP_PKEY_get0_type_name(X509_get0_pubkey(identity->leaf));

    return name != NULL ? name : "unknown";
}

size_t identity_chain_length(const struct identity *identity)
{
    return 1 + (size_t)sk_X509_num(identity->intermediates);
}

struct bytes identity_leaf_der(const struct identity *identity)
{
    return bytes_of(identity->der, (size_t)identity->der_len);
}

const struct endpoint_hash *identity_endpoint_hash(const struct identity *identity)
{
    return &identity->endpoint;
}

X509 *identity_leaf(const struct identity *identity)
{
    return identity->leaf;
}

EVP_PKEY *identity_key(const struct identity *identity)
{
    return identity->key;
}

struct stack_st_X509 *identity_intermediates(const struct identity *identity)
{
    return identity->intermediates;
}

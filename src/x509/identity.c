/* SPDX-License-Identifier: PostgreSQL */
#include "x509/identity.h"

#include "x509/certificate.h"
#include "x509/pem_file.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

struct identity {
    atomic_uint              holders;
    X509                    *leaf;
    struct stack_st_X509    *intermediates;
    EVP_PKEY                *key;
    struct certificate_facts facts;
    unsigned char           *der;
    int                      der_len;
};

/* OpenSSL asks for a passphrase here instead of on the terminal. */
static int no_passphrase(char *passphrase, int size, int is_for_writing, void *was_asked)
{
    *(bool *)was_asked = true;
    return -1;
}

static enum fail parse_key(EVP_PKEY **out, struct bytes text, const char *file,
                           struct failure *why)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
    bool was_asked = false;

    if (bio != NULL)
        *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &was_asked);
    BIO_free(bio);
    ERR_clear_error();
    if (*out != NULL)
        return FAIL_NONE;
    if (was_asked) {
        fail_hint(why, "take the passphrase off: openssl pkey -in %s -out NEW", file);
        return fail(why, FAIL_CERT, "private key %s needs a passphrase", file);
    }
    fail_hint(why, "PEM text with BEGIN PRIVATE KEY (or RSA, EC PRIVATE KEY) is expected");
    return fail(why, FAIL_CERT, "no private key can be read from %s", file);
}

static enum fail load_key(EVP_PKEY **out, const char *file, struct failure *why)
{
    struct buf text;
    enum fail  rc = pem_file_read(file, PEM_FILE_KEY, &text, why);

    if (rc == FAIL_NONE)
        rc = parse_key(out, buf_bytes(&text), file, why);
    pem_file_wipe(&text);
    return rc;
}

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

static enum fail load(struct identity *id, const struct identity_files *files,
                      struct failure *why)
{
    enum fail rc;

    if ((id->intermediates = pem_file_certificates(files->cert, why)) == NULL)
        return FAIL_CERT;
    id->leaf = sk_X509_shift(id->intermediates);
    if ((rc = load_key(&id->key, files->key, why)) != FAIL_NONE ||
        (rc = check_key(id, files, why)) != FAIL_NONE ||
        (rc = check_order(id, files->cert, why)) != FAIL_NONE ||
        (rc = certificate_facts_init(&id->facts, id->leaf, why)) != FAIL_NONE)
        return rc;
    if ((id->der_len = i2d_X509(id->leaf, &id->der)) <= 0)
        return fail(why, FAIL_MEMORY, "out of memory");
    return FAIL_NONE;
}

static void identity_free(struct identity *id)
{
    X509_free(id->leaf);
    pem_file_free_certificates(id->intermediates);
    EVP_PKEY_free(id->key);
    OPENSSL_free(id->der);
    certificate_facts_fini(&id->facts);
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
    return &identity->facts;
}

size_t identity_chain_length(const struct identity *identity)
{
    return 1 + (size_t)sk_X509_num(identity->intermediates);
}

struct bytes identity_leaf_der(const struct identity *identity)
{
    return bytes_of(identity->der, (size_t)identity->der_len);
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

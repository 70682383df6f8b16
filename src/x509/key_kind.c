/* SPDX-License-Identifier: PostgreSQL */
#include "x509/key_kind.h"

#include "base/text.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

static const struct kind {
    const char *name;
    const char *algorithm;
    const char *curve;
    size_t      bits;
} kinds[] = {
    { "ec:P-256", "EC", "P-256", 0 },  { "ec:P-384", "EC", "P-384", 0 },
    { "rsa:3072", "RSA", NULL, 3072 }, { "rsa:4096", "RSA", NULL, 4096 },
    { "ed25519", "ED25519", NULL, 0 },
};

#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static const char *const names[] = { "ec:P-256", "ec:P-384", "rsa:3072",
                                     "rsa:4096", "ed25519",  NULL };

_Static_assert(sizeof names / sizeof *names == KIND_COUNT + 1, "a name a kind");

const char *const *key_kind_names(void)
{
    return names;
}

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

bool key_kind_is_known(const char *name)
{
    return find(name) != NULL;
}

static EVP_PKEY *generate(const struct kind *kind)
{
    if (kind->curve != NULL)
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->curve);
    if (kind->bits != 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->bits);
    return EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm);
}

EVP_PKEY *key_kind_make(const char *name, struct failure *why)
{
    const struct kind *kind = find(name);
    EVP_PKEY          *key;
    char               shown[KEY_KIND_TEXT];

    text_escape(shown, sizeof shown, bytes_of_string(name));
    if (kind == NULL) {
        fail_hint(why, "ec:P-256, ec:P-384, rsa:3072, rsa:4096 and ed25519 are known");
        fail(why, FAIL_CONFIG, "kind of key \"%s\" is not known", shown);
        return NULL;
    }
    if ((key = generate(kind)) == NULL)
        fail(why, FAIL_CERT, "the TLS library makes no key of the kind %s", shown);
    ERR_clear_error();
    return key;
}

static void ec_name(const EVP_PKEY *key, char out[static KEY_KIND_TEXT])
{
    char        group[KEY_KIND_TEXT - 8] = "";
    size_t      len = 0;
    const char *nist;

    if (EVP_PKEY_get_group_name(key, group, sizeof group, &len) != 1)
        snprintf(group, sizeof group, "unknown");
    nist = EC_curve_nid2nist(OBJ_txt2nid(group));
    snprintf(out, KEY_KIND_TEXT, "ec:%s", nist != NULL ? nist : group);
}

const char *key_kind_of(const EVP_PKEY *key, char out[static KEY_KIND_TEXT])
{
    const char *type = EVP_PKEY_get0_type_name(key);

    if (EVP_PKEY_is_a(key, "EC"))
        ec_name(key, out);
    else if (EVP_PKEY_is_a(key, "RSA"))
        snprintf(out, KEY_KIND_TEXT, "rsa:%d", EVP_PKEY_get_bits(key));
    else if (EVP_PKEY_is_a(key, "ED25519"))
        snprintf(out, KEY_KIND_TEXT, "ed25519");
    else
        snprintf(out, KEY_KIND_TEXT, "%s:%d", type != NULL ? type : "unknown",
                 EVP_PKEY_get_bits(key));
    ERR_clear_error();
    return out;
}

const EVP_MD *key_kind_hash(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
        return NULL;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 256 ? EVP_sha384()
                                                                    : EVP_sha256();
}

bool key_kind_is_weak(const EVP_PKEY *key)
{
    int least = EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "DSA") ? 2048 : 250;

    return EVP_PKEY_get_bits(key) < least;
}

static bool print(BIO *to, const EVP_PKEY *key, const struct secret *passphrase)
{
    if (passphrase == NULL)
        return PEM_write_bio_PKCS8PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1;
    return PEM_write_bio_PKCS8PrivateKey(to, key, EVP_aes_256_cbc(),
                                         (const char *)passphrase->memory, (int)passphrase->len,
                                         NULL, NULL) == 1;
}

enum fail key_kind_write(EVP_PKEY *key, const struct secret *passphrase, struct secret *out,
                         struct failure *why)
{
    BIO      *bio = BIO_new(BIO_s_mem()); /* wiped when it is freed, and when it grows */
    char     *text = NULL;
    long      len = 0;
    enum fail rc;

    if (bio != NULL && print(bio, key, passphrase))
        len = BIO_get_mem_data(bio, &text);
    if (len <= 0)
        rc = fail(why, FAIL_CERT, "the private key cannot be written as PEM");
    else if ((rc = secret_init(out, (size_t)len, why)) == FAIL_NONE &&
             !secret_put(out, bytes_of(text, (size_t)len)))
        rc = fail(why, FAIL_MEMORY, "out of memory");
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

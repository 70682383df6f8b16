/* SPDX-License-Identifier: PostgreSQL */
#include "tls/key_schedule.h"

#include "base/secret.h"
#include "crypto/hkdf.h"
#include "tls/engine_parts.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#define NAME       "pgtls"
#define PROPERTIES "?provider=" NAME

static OSSL_PROVIDER                   *started; /* for the life of the process */
static const char                      *refusal = "nothing else was asked for";
static _Thread_local struct tls_engine *listener;

/* The top of the schedule where there is no PSK: the same for everybody. */
static struct top {
    uint8_t nothing[HKDF_LONGEST_HASH]; /* Hash("") */
    uint8_t early[HKDF_LONGEST_HASH];   /* secret */
    uint8_t derived[HKDF_LONGEST_HASH]; /* from it */
} tops[HKDF_HASHES];

/* Each secret is expanded three times or more: the last ones are kept ready while there is
 * somebody who waits for them. */
#define READY_MOST 4u
static _Thread_local struct ready {
    size_t             len; /* 0: none */
    uint8_t            secret[HKDF_LONGEST_HASH];
    struct hkdf_secret as;
} ready[READY_MOST];
static _Thread_local unsigned next_ready;

/* ---- what is asked for ---- */

/* libssl gives all of it with each derivation. */
struct wish {
    int            mode;
    enum hkdf_hash hash;
    struct bytes   key, salt, prefix, label, data;
};

/* As the provider that libssl has its hashes of calls them. */
static const struct {
    const char    *name;
    enum hkdf_hash hash;
} hash_names[] = {
    { "SHA2-256", HKDF_SHA256 },
    { "SHA256", HKDF_SHA256 },
    { "SHA2-384", HKDF_SHA384 },
    { "SHA384", HKDF_SHA384 },
};

static bool read_hash(enum hkdf_hash *to, const OSSL_PARAM *param)
{
    struct bytes name = bytes_of(param->data, param->data_size);

    if (param->data_type != OSSL_PARAM_UTF8_STRING)
        return false;
    for (size_t i = 0; i < sizeof hash_names / sizeof hash_names[0]; i++) {
        if (!bytes_equal(name, bytes_of_string(hash_names[i].name)))
            continue;
        *to = hash_names[i].hash;
        return true;
    }
    return false;
}

static bool read_wish(struct wish *wish, const OSSL_PARAM *params)
{
    const struct {
        const char   *name;
        struct bytes *to;
    } strings[] = {
        { OSSL_KDF_PARAM_KEY, &wish->key },       { OSSL_KDF_PARAM_SALT, &wish->salt },
        { OSSL_KDF_PARAM_PREFIX, &wish->prefix }, { OSSL_KDF_PARAM_LABEL, &wish->label },
        { OSSL_KDF_PARAM_DATA, &wish->data },
    };
    bool has_hash = false;

    *wish = (struct wish){ .mode = -1 };
    for (; params != NULL && params->key != NULL; params++) {
        if (strcmp(params->key, OSSL_KDF_PARAM_MODE) == 0)
            OSSL_PARAM_get_int(params, &wish->mode);
        else if (strcmp(params->key, OSSL_KDF_PARAM_DIGEST) == 0)
            has_hash = read_hash(&wish->hash, params);
        for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
            if (strcmp(params->key, strings[i].name) == 0 && params->data != NULL)
                *strings[i].to = bytes_of(params->data, params->data_size);
        }
    }
    return has_hash;
}

/* ---- RFC 8446 7.1 ---- */

#define LONGEST_INFO (2u + 1 + 255 + 1 + 255) /* struct HkdfLabel */

static uint8_t *put(uint8_t *to, struct bytes b)
{
    if (b.len > 0)
        memcpy(to, b.p, b.len);
    return to + b.len;
}

static const struct hkdf_secret *keep_ready(enum hkdf_hash hash, struct bytes secret)
{
    struct ready *one = &ready[next_ready++ % READY_MOST];

    one->len = secret.len;
    memcpy(one->secret, secret.p, secret.len);
    hkdf_secret_set(&one->as, hash, secret);
    return &one->as;
}

/* NULL where it is not to be kept. */
static const struct hkdf_secret *find_ready(enum hkdf_hash hash, struct bytes secret)
{
    if (listener == NULL || secret.len > HKDF_LONGEST_HASH)
        return NULL;
    for (size_t i = 0; i < READY_MOST; i++) {
        if (ready[i].len == secret.len && ready[i].as.hash == hash &&
            CRYPTO_memcmp(ready[i].secret, secret.p, secret.len) == 0)
            return &ready[i].as;
    }
    return keep_ready(hash, secret);
}

static void forget_ready(void)
{
    if (next_ready > 0)
        secret_wipe(ready, sizeof ready);
    next_ready = 0;
}

/* HKDF-Expand-Label(secret, label, context, len) */
static bool expand_label(const struct wish *wish, struct bytes secret, struct bytes context,
                         uint8_t *out, size_t len)
{
    const struct hkdf_secret *known = find_ready(wish->hash, secret);
    struct hkdf_secret        once;
    uint8_t                   info[LONGEST_INFO], *at = info;
    size_t                    label_len = wish->prefix.len + wish->label.len;
    bool                      good;

    if (len > UINT16_MAX || label_len > UINT8_MAX || context.len > UINT8_MAX)
        return false;
    *at++ = (uint8_t)(len >> 8);
    *at++ = (uint8_t)len;
    *at++ = (uint8_t)label_len;
    at = put(at, wish->prefix);
    at = put(at, wish->label);
    *at++ = (uint8_t)context.len;
    at = put(at, context);
    if (known != NULL)
        return hkdf_expand(known, bytes_of(info, (size_t)(at - info)), out, len);
    hkdf_secret_set(&once, wish->hash, secret);
    good = hkdf_expand(&once, bytes_of(info, (size_t)(at - info)), out, len);
    secret_wipe(&once, sizeof once);
    return good;
}

#define PREFIX  "tls13 "
#define DERIVED "derived"

/* Derive-Secret(secret, "derived", "") */
static bool derive(const struct wish *wish, struct bytes secret, uint8_t *out)
{
    const struct top *top = &tops[wish->hash];

    if (!bytes_equal(wish->prefix, bytes_of_string(PREFIX)) ||
        !bytes_equal(wish->label, bytes_of_string(DERIVED)))
        return false;
    if (CRYPTO_memcmp(secret.p, top->early, secret.len) != 0)
        return expand_label(wish, secret, bytes_of(top->nothing, secret.len), out, secret.len);
    memcpy(out, top->derived, secret.len);
    return true;
}

/*
 * A step down the left side of the picture: Derive-Secret(before, "derived", ""), from which
 * HKDF-Extract makes the next secret with the keying material that came in; at the top there is
 * no secret before, and where nothing came in, "a string of Hash.length bytes set to zeros"
 * stands for it.
 */
static bool extract(const struct wish *wish, uint8_t *out, size_t len)
{
    static const uint8_t zeros[HKDF_LONGEST_HASH];
    size_t               hash_bytes = hkdf_hash_bytes(wish->hash);
    struct bytes         in = wish->key.len > 0 ? wish->key : bytes_of(zeros, hash_bytes);
    uint8_t              derived[HKDF_LONGEST_HASH];

    if (len != hash_bytes || (wish->salt.len > 0 && wish->salt.len != hash_bytes))
        return false;
    if (wish->salt.len == 0 && wish->key.len == 0) {
        memcpy(out, tops[wish->hash].early, len);
        return true;
    }
    if (wish->salt.len > 0 && !derive(wish, wish->salt, derived))
        return false;
    hkdf_extract(wish->hash, bytes_of(derived, wish->salt.len), in, out);
    secret_wipe(derived, sizeof derived);
    return true;
}

static void fill_top(enum hkdf_hash hash)
{
    const struct wish    wish = { .hash = hash,
                                  .prefix = bytes_of_string(PREFIX),
                                  .label = bytes_of_string(DERIVED) };
    static const uint8_t zeros[HKDF_LONGEST_HASH];
    struct top          *top = &tops[hash];
    size_t               len = hkdf_hash_bytes(hash);

    hkdf_hash_of_nothing(hash, top->nothing);
    hkdf_extract(hash, bytes_of(NULL, 0), bytes_of(zeros, len), top->early);
    (void)!expand_label(&wish, bytes_of(top->early, len), bytes_of(top->nothing, len),
                        top->derived, len); /* fails with other lengths only */
}

/* Secrets of what follows the handshake, and what is derived from them. */
static void tell(struct bytes from, struct bytes label, struct bytes value)
{
    if (listener == NULL)
        return;
    if (bytes_equal(label, bytes_of_string("c ap traffic")))
        tls_handover_secret(listener, true, value);
    else if (bytes_equal(label, bytes_of_string("s ap traffic")))
        tls_handover_secret(listener, false, value);
    else if (bytes_equal(label, bytes_of_string("key")))
        tls_handover_key(listener, from, value);
    else if (bytes_equal(label, bytes_of_string("iv")))
        tls_handover_iv(listener, from, value);
}

/* ---- the provider ---- */

/* What OpenSSL holds for a derivation; nothing stays from one to the next. */
static void *on_new(void *provider)
{
    return provider;
}

static void on_free(void *context)
{
}

static int on_derive(void *context, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
    struct wish wish;

    if (!read_wish(&wish, params))
        return 0;
    if (wish.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
        return extract(&wish, out, len);
    if (wish.mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || wish.key.len == 0 ||
        !expand_label(&wish, wish.key, wish.data, out, len))
        return 0;
    tell(wish.key, wish.label, bytes_of(out, len));
    return 1;
}

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache)
{
#define FUNCTION(number, function)                                                             \
    {                                                                                          \
        number, (void (*)(void))(function)                                                     \
    }
    static const OSSL_DISPATCH kdf[] = {
        FUNCTION(OSSL_FUNC_KDF_NEWCTX, on_new),
        FUNCTION(OSSL_FUNC_KDF_FREECTX, on_free),
        FUNCTION(OSSL_FUNC_KDF_RESET, on_free),
        FUNCTION(OSSL_FUNC_KDF_DERIVE, on_derive),
        { 0, NULL },
    };
    static const OSSL_ALGORITHM kdfs[] = {
        { OSSL_KDF_NAME_TLS1_3_KDF, "provider=" NAME, kdf, NULL },
        { NULL, NULL, NULL, NULL },
    };

    *no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int on_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                    const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, on_query),
        { 0, NULL },
    };

    *out = functions;
    *provider = (void *)(uintptr_t)handle;
    return 1;
}

/* ---- starting ---- */

/* Whether these properties bring the derivations of that provider. */
static bool are_of(const char *wanted, const char *query)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, query);
    bool     result =
        kdf != NULL && strcmp(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf)), wanted) == 0;

    EVP_KDF_free(kdf);
    return result;
}

/* Returns why not; what is started by then is stopped again. */
static const char *start(void)
{
    static bool is_added;

    for (int hash = 0; hash < HKDF_HASHES; hash++)
        fill_top((enum hkdf_hash)hash);
    if (!are_of("default", NULL))
        return "OpenSSL is set up to derive by another provider than its default one";
    is_added = is_added || OSSL_PROVIDER_add_builtin(NULL, NAME, on_start) == 1;
    if (is_added)
        started = OSSL_PROVIDER_try_load(NULL, NAME, 1);
    if (started == NULL || !are_of(NAME, PROPERTIES))
        return "OpenSSL takes no provider";
    return tls_key_schedule_is_right(PROPERTIES)
               ? NULL
               : "a self-test against RFC 8448 failed: this build or libcrypto is broken";
}

bool tls_key_schedule_start(void)
{
    if (started == NULL)
        refusal = start();
    if (started != NULL && refusal != NULL) {
        OSSL_PROVIDER_unload(started);
        started = NULL;
    }
    ERR_clear_error();
    return started != NULL;
}

const char *tls_key_schedule_refusal(void)
{
    return refusal;
}

const char *tls_key_schedule_properties(void)
{
    return started != NULL ? PROPERTIES : NULL;
}

void tls_key_schedule_tell(struct tls_engine *engine)
{
    listener = engine;
    if (engine == NULL)
        forget_ready();
}

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/policy.h"

#include "tls/context.h"
#include "tls/parameters.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LARGEST_RECORD  16384u /* RFC 8446 5.1 */
#define SMALLEST_RECORD 512u

struct tls_policy {
    atomic_uint               holders;
    struct tls_policy_options options; /* its texts are copies */
    EVP_PKEY                 *dh;
    uint8_t                   session_context[TLS_SESSION_CONTEXT_BYTES];
};

static enum fail check_identities(const struct tls_policy_options *options, struct failure *why)
{
    const struct identity *all[TLS_MOST_IDENTITIES] = { options->identity };

    for (size_t i = 1; i < TLS_MOST_IDENTITIES; i++) {
        all[i] = options->more_identities[i - 1];
        if (all[i] != NULL && options->role == TLS_CLIENT)
            return fail(why, FAIL_CONFIG, "a TLS client shows one certificate only");
        for (size_t j = 0; all[i] != NULL && j < i; j++) {
            if (all[j] == NULL || !identity_same_kind(all[i], all[j]))
                continue;
            fail_hint(why, "one certificate for each kind of key, such as EC and RSA");
            return fail(why, FAIL_CONFIG, "two certificates have keys of the same kind, %s",
                        identity_kind(all[i]));
        }
    }
    return FAIL_NONE;
}

static enum fail check_server_options(const struct tls_policy_options *options,
                                      struct failure                  *why)
{
    if (options->role == TLS_SERVER && options->ticket_keys != NULL &&
        options->ticket_scope.len == 0)
        return fail(why, FAIL_CONFIG, "session tickets need a scope");
    if (options->role == TLS_SERVER)
        return FAIL_NONE;
    if (options->dh_params_file != NULL)
        return fail(why, FAIL_CONFIG, "dh_params_file is for servers");
    if (options->ticket_keys != NULL)
        return fail(why, FAIL_CONFIG, "keys of session tickets are for servers");
    if (options->order != TLS_ORDER_LIBRARY)
        return fail(why, FAIL_CONFIG, "whose order counts is the server's to say");
    return FAIL_NONE;
}

/* Our own record layer is for TLS 1.3 only. */
static enum fail check_record_layer(const struct tls_policy_options *options,
                                    struct failure                  *why)
{
    const char *const ends[] = { options->min_protocol, options->max_protocol };

    for (int i = 0; i < 2 && options->record_layer == TLS_RECORDS_OWN; i++) {
        if (ends[i] == NULL || strcmp(ends[i], "TLSv1.2") != 0)
            continue;
        fail_hint(why, "record_layer \"auto\" leaves TLS 1.2 to OpenSSL");
        return fail(why, FAIL_CONFIG,
                    "record_layer \"record\" is for TLS 1.3 only, and %s_protocol_version is "
                    "\"TLSv1.2\"",
                    i == 0 ? "min" : "max");
    }
    return FAIL_NONE;
}

static enum fail check_options(const struct tls_policy_options *options, struct failure *why)
{
    bool is_server = options->role == TLS_SERVER;
    bool verifies = options->peer_check != TLS_PEER_ANY;

    if (is_server && options->identity == NULL)
        return fail(why, FAIL_CONFIG, "a TLS server needs a certificate and its key");
    if (is_server && options->peer_check == TLS_PEER_NAME)
        return fail(why, FAIL_CONFIG, "a TLS server cannot compare a client with a host name");
    if (verifies && options->trust == NULL)
        return fail(why, FAIL_CONFIG, "certificates cannot be verified without a CA");
    if (!verifies && options->trust != NULL)
        return fail(why, FAIL_CONFIG, "a CA is given, but nothing is verified with it");
    if (options->max_record_bytes != 0 && (options->max_record_bytes < SMALLEST_RECORD ||
                                           options->max_record_bytes > LARGEST_RECORD))
        return fail(why, FAIL_CONFIG, "the largest TLS record must be of %u to %u bytes",
                    SMALLEST_RECORD, LARGEST_RECORD);
    if (check_server_options(options, why) != FAIL_NONE ||
        check_record_layer(options, why) != FAIL_NONE)
        return FAIL_CONFIG;
    return check_identities(options, why);
}

/* Replaces a text of the caller by a copy; false when out of memory. */
static bool own_text(const char **text)
{
    size_t size = *text != NULL ? strlen(*text) + 1 : 0;
    char  *copy;

    if (size == 0)
        return true;
    if ((copy = malloc(size)) != NULL)
        memcpy(copy, *text, size);
    *text = copy;
    return copy != NULL;
}

/* All of them, also where one has failed: none may stay the caller's. */
static bool own_texts(struct tls_policy_options *options)
{
    bool good = own_text(&options->min_protocol);

    good = own_text(&options->max_protocol) && good;
    good = own_text(&options->ciphers) && good;
    good = own_text(&options->ciphersuites) && good;
    good = own_text(&options->groups) && good;
    return own_text(&options->dh_params_file) && good;
}

static void free_texts(struct tls_policy_options *options)
{
    free((char *)(uintptr_t)options->min_protocol);
    free((char *)(uintptr_t)options->max_protocol);
    free((char *)(uintptr_t)options->ciphers);
    free((char *)(uintptr_t)options->ciphersuites);
    free((char *)(uintptr_t)options->groups);
    free((char *)(uintptr_t)options->dh_params_file);
}

static void hold_parts(struct tls_policy_options *options)
{
    if (options->identity != NULL)
        identity_hold(options->identity);
    for (size_t i = 0; i < TLS_MOST_IDENTITIES - 1; i++) {
        if (options->more_identities[i] != NULL)
            identity_hold(options->more_identities[i]);
    }
    if (options->trust != NULL)
        trust_hold(options->trust);
    if (options->ticket_keys != NULL)
        tls_ticket_keys_hold(options->ticket_keys);
    if (options->max_record_bytes == 0)
        options->max_record_bytes = LARGEST_RECORD;
}

/* CVE-2025-23419: a ticket is good where all of this is the same, and nowhere else. */
static bool make_session_context(struct tls_policy *policy)
{
    struct tls_policy_options *options = &policy->options;
    EVP_MD_CTX                *md = EVP_MD_CTX_new();
    uint8_t                    check = (uint8_t)options->peer_check;
    bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(md, "pgtls 1", 8) == 1 && EVP_DigestUpdate(md, &check, 1) == 1;

    if (good && options->trust != NULL) {
        struct bytes digest = trust_digest(options->trust);

        good = EVP_DigestUpdate(md, digest.p, digest.len) == 1;
    }
    good = good &&
           EVP_DigestUpdate(md, options->ticket_scope.p, options->ticket_scope.len) == 1 &&
           EVP_DigestFinal_ex(md, policy->session_context, NULL) == 1;
    EVP_MD_CTX_free(md);
    options->ticket_scope = bytes_of(NULL, 0); /* the caller's bytes end here */
    return good;
}

static enum fail make(struct tls_policy *policy, struct failure *why)
{
    struct tls_policy_options *options = &policy->options;
    struct tls_context        *proof;

    hold_parts(options);
    if (!own_texts(options) || !make_session_context(policy))
        return fail(why, FAIL_MEMORY, "out of memory");
    if (options->dh_params_file != NULL &&
        (policy->dh = tls_parameters_load_dh(options->dh_params_file, why)) == NULL)
        return FAIL_CONFIG;
    proof = tls_context_new_in(policy, options->pool, why);
    options->pool = NULL;
    if (proof == NULL)
        return FAIL_TLS;
    tls_context_release(proof);
    return FAIL_NONE;
}

struct tls_policy *tls_policy_new(const struct tls_policy_options *options, struct failure *why)
{
    struct tls_policy *policy;

    if (check_options(options, why) != FAIL_NONE)
        return NULL;
    if ((policy = calloc(1, sizeof *policy)) == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&policy->holders, 1);
    policy->options = *options;
    if (make(policy, why) == FAIL_NONE)
        return policy;
    tls_policy_release(policy);
    return NULL;
}

struct tls_policy *tls_policy_hold(struct tls_policy *policy)
{
    atomic_fetch_add_explicit(&policy->holders, 1, memory_order_relaxed);
    return policy;
}

void tls_policy_release(struct tls_policy *policy)
{
    if (policy == NULL || atomic_fetch_sub(&policy->holders, 1) != 1)
        return;
    identity_release(policy->options.identity);
    for (size_t i = 0; i < TLS_MOST_IDENTITIES - 1; i++)
        identity_release(policy->options.more_identities[i]);
    trust_release(policy->options.trust);
    tls_ticket_keys_release(policy->options.ticket_keys);
    EVP_PKEY_free(policy->dh);
    free_texts(&policy->options);
    free(policy);
}

const struct tls_policy_options *tls_policy_options(const struct tls_policy *policy)
{
    return &policy->options;
}

const struct identity *tls_policy_identity(const struct tls_policy *policy, size_t n)
{
    return n == 0 ? policy->options.identity : policy->options.more_identities[n - 1];
}

EVP_PKEY *tls_policy_dh(const struct tls_policy *policy)
{
    return policy->dh;
}

const uint8_t *tls_policy_session_context(const struct tls_policy *policy)
{
    return policy->session_context;
}

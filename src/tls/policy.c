/* SPDX-License-Identifier: PostgreSQL */
#include "tls/policy.h"

#include "tls/context.h"

#include <stdatomic.h>
#include <stdlib.h>

#define LARGEST_RECORD  16384u /* RFC 8446 5.1 */
#define SMALLEST_RECORD 512u

struct tls_policy {
    atomic_uint               holders;
    struct tls_policy_options options;
};

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
    return FAIL_NONE;
}

static void hold_parts(struct tls_policy_options *options)
{
    if (options->identity != NULL)
        identity_hold(options->identity);
    if (options->trust != NULL)
        trust_hold(options->trust);
    if (options->max_record_bytes == 0)
        options->max_record_bytes = LARGEST_RECORD;
}

struct tls_policy *tls_policy_new(const struct tls_policy_options *options, struct failure *why)
{
    struct tls_policy  *policy;
    struct tls_context *proof;

    if (check_options(options, why) != FAIL_NONE)
        return NULL;
    if ((policy = calloc(1, sizeof *policy)) == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&policy->holders, 1);
    policy->options = *options;
    hold_parts(&policy->options);
    if ((proof = tls_context_new(policy, why)) == NULL) {
        tls_policy_release(policy);
        return NULL;
    }
    tls_context_release(proof);
    return policy;
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
    trust_release(policy->options.trust);
    free(policy);
}

const struct tls_policy_options *tls_policy_options(const struct tls_policy *policy)
{
    return &policy->options;
}

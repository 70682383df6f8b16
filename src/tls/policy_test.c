/* SPDX-License-Identifier: PostgreSQL */
#include "tls/policy.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <pthread.h>
#include <string.h>

static void assert_refused(struct tls_policy_options options, const char *text)
{
    struct failure why = { 0 };

    assert_null(tls_policy_new(&options, &why));
    assert_int_equal(why.kind, FAIL_CONFIG);
    assert_non_null(strstr(why.text, text));
}

static void what_cannot_take_effect_is_refused(void **state)
{
    assert_refused((struct tls_policy_options){ .role = TLS_SERVER }, "needs a certificate");
    assert_refused((struct tls_policy_options){ .role = TLS_SERVER,
                                                .identity = pki.server,
                                                .trust = pki.trust,
                                                .peer_check = TLS_PEER_NAME },
                   "host name");
    assert_refused(
        (struct tls_policy_options){ .role = TLS_CLIENT, .peer_check = TLS_PEER_CHAIN },
        "without a CA");
    assert_refused((struct tls_policy_options){ .role = TLS_CLIENT, .trust = pki.trust },
                   "nothing is verified");
    assert_refused((struct tls_policy_options){ .role = TLS_CLIENT, .max_record_bytes = 511 },
                   "512 to 16384");
    assert_refused((struct tls_policy_options){ .role = TLS_CLIENT, .max_record_bytes = 16385 },
                   "512 to 16384");
    assert_refused((struct tls_policy_options){ .role = TLS_CLIENT,
                                                .record_layer = TLS_RECORDS_OWN,
                                                .max_protocol = "TLSv1.2" },
                   "max_protocol_version is \"TLSv1.2\"");
    assert_refused((struct tls_policy_options){ .role = TLS_CLIENT,
                                                .record_layer = TLS_RECORDS_OWN,
                                                .min_protocol = "TLSv1.2" },
                   "min_protocol_version is \"TLSv1.2\"");
}

static void a_policy_holds_what_it_was_made_of(void **state)
{
    struct tls_pki      own;
    struct tls_policy  *policy;
    struct tls_context *context;

    tls_pki_init(&own);
    policy = tls_policy_new(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                          .identity = own.server,
                                                          .trust = own.trust,
                                                          .peer_check = TLS_PEER_CHAIN },
                            NULL);
    assert_non_null(policy);
    tls_pki_fini(&own);
    assert_int_equal(tls_policy_options(policy)->max_record_bytes, 16384);
    context = tls_context_new(policy, NULL);
    assert_non_null(context);
    tls_policy_release(tls_policy_hold(policy));
    tls_policy_release(policy);
    assert_ptr_equal(tls_context_policy(context), policy);
    tls_context_release(tls_context_hold(context));
    tls_context_release(context);
    tls_context_release(NULL);
    tls_policy_release(NULL);
}

static void a_client_that_compares_names_must_be_told_one(void **state)
{
    struct failure     why = { 0 };
    struct tls_policy *policy = tls_policy_new(
        &(struct tls_policy_options){
            .role = TLS_CLIENT, .trust = pki.trust, .peer_check = TLS_PEER_NAME },
        NULL);
    struct tls_context *context = tls_context_new(policy, NULL);

    assert_null(
        tls_engine_new(context, &(struct tls_engine_options){ .verify_name = "" }, &why));
    assert_non_null(strstr(why.text, "no host name"));
    tls_context_release(context);
    tls_policy_release(policy);
}

struct policies {
    struct tls_policy *client, *server;
};

/* A worker: contexts of its own, made from policies that it shares. */
static void *shake_hands(void *shared)
{
    struct policies          *policies = shared;
    struct tls_context       *client = tls_context_new(policies->client, NULL);
    struct tls_context       *server = tls_context_new(policies->server, NULL);
    struct tls_engine_options options = { .verify_name = "10.0.0.5", .wall_s = CERTS_NOW };
    bool                      good = true;

    for (int i = 0; i < 5; i++) {
        struct tls_pair pair;

        tls_pair_init(&pair, tls_engine_new(client, &options, NULL),
                      tls_engine_new(server, &options, NULL));
        tls_pair_handshake(&pair, SIZE_MAX);
        good = good && pair.client.verdict == TLS_DONE && pair.server.verdict == TLS_DONE;
        tls_pair_fini(&pair);
    }
    tls_context_release(client);
    tls_context_release(server);
    tls_policy_release(policies->client);
    tls_policy_release(policies->server);
    return good ? shared : NULL;
}

static void workers_share_policies_but_no_contexts(void **state)
{
    struct policies policies = {
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT,
                                                     .peer_check = TLS_PEER_NAME,
                                                     .identity = pki.client,
                                                     .trust = pki.trust },
                       NULL),
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                     .peer_check = TLS_PEER_CHAIN,
                                                     .identity = pki.server,
                                                     .trust = pki.trust },
                       NULL),
    };
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        tls_policy_hold(policies.client);
        tls_policy_hold(policies.server);
        assert_int_equal(pthread_create(&threads[i], NULL, shake_hands, &policies), 0);
    }
    tls_policy_release(policies.client);
    tls_policy_release(policies.server);
    for (size_t i = 0; i < 4; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &policies);
    }
}

static struct tls_engine *make_all(struct failure *why)
{
    static const char *const name = "a";
    struct tls_host          host = { &name, 1, NULL };
    struct tls_hosts        *hosts = NULL;
    struct tls_context      *context = NULL;
    struct tls_engine       *engine = NULL;

    host.policy = tls_policy_new(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                               .identity = pki.server,
                                                               .min_protocol = "TLSv1.2",
                                                               .max_protocol = "TLSv1.3",
                                                               .ciphers = "ECDHE+AESGCM",
                                                               .groups = "P-256" },
                                 why);
    if (host.policy != NULL)
        hosts = tls_hosts_new(&host, 1, why);
    if (hosts != NULL)
        context = tls_context_new_for_hosts(hosts, NULL, why);
    if (context != NULL)
        engine = tls_engine_new(
            context,
            &(struct tls_engine_options){ .alpn = "postgresql", .alpn_required = true }, why);
    tls_context_release(context);
    tls_hosts_release(hosts);
    tls_policy_release(host.policy);
    return engine;
}

static void making_fails_cleanly_when_memory_runs_out(void **state)
{
    unsigned n;

    for (n = 1; n < 100; n++) {
        struct failure     why = { 0 };
        struct tls_engine *engine;

        alloc_fail_at(n);
        engine = make_all(&why);
        if (!alloc_has_failed()) {
            assert_non_null(engine);
            tls_engine_free(engine);
            break;
        }
        assert_null(engine);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 14 && n < 100);
}

static void the_library_tells_its_version(void **state)
{
    assert_int_equal(strncmp(tls_library_version(), "OpenSSL 3.", 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_take_effect_is_refused),
        cmocka_unit_test(a_policy_holds_what_it_was_made_of),
        cmocka_unit_test(a_client_that_compares_names_must_be_told_one),
        cmocka_unit_test(workers_share_policies_but_no_contexts),
        cmocka_unit_test(making_fails_cleanly_when_memory_runs_out),
        cmocka_unit_test(the_library_tells_its_version),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

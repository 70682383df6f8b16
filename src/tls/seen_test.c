/* SPDX-License-Identifier: PostgreSQL */
#include "tls/seen.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "harness/tls_pair.h"

static const struct cert_spec spec = { .common_name = "server", .names = "DNS:db" };

static void assert_tells_of(const struct tls_seen *seen, X509 *certificate)
{
    struct certificate_facts facts;

    assert_int_equal(certificate_facts_init(&facts, certificate, NULL), FAIL_NONE);
    assert_string_equal(seen->facts.subject, facts.subject);
    assert_string_equal(seen->facts.serial, facts.serial);
    assert_string_equal(seen->facts.fingerprint, facts.fingerprint);
    certificate_facts_fini(&facts);
}

static void assert_endpoint_of(struct tls_seen *seen, X509 *certificate)
{
    struct endpoint_hash hash;

    endpoint_hash_make(&hash, certificate);
    assert_int_equal(hash.len, 32);
    assert_true(bytes_equal(endpoint_hash_bytes(tls_seen_endpoint(seen, certificate)),
                            endpoint_hash_bytes(&hash)));
}

/* As it comes with each connection: another X509 of the same bytes. */
static void the_same_certificate_is_read_once(void **state)
{
    struct tls_seen seen = { 0 };
    struct cert     cert = cert_make(&spec, NULL);
    X509           *again = X509_dup(cert.x509);
    const char     *subject;

    assert_int_equal(tls_seen_look(&seen, cert.x509, NULL), FAIL_NONE);
    assert_tells_of(&seen, cert.x509);
    assert_endpoint_of(&seen, cert.x509);
    subject = seen.facts.subject;
    seen.endpoint.hash[0] ^= 1; /* would be made right if it were made anew */
    alloc_fail_at(1);
    assert_int_equal(tls_seen_look(&seen, again, NULL), FAIL_NONE);
    assert_false(alloc_has_failed());
    assert_ptr_equal(seen.facts.subject, subject);
    seen.endpoint.hash[0] ^= 1;
    assert_endpoint_of(&seen, again);
    X509_free(again);
    cert_free(&cert);
    tls_seen_fini(&seen);
}

/* The second has the names of the first and another key; the third differs in its signature. */
static void what_only_looks_like_it_is_another(void **state)
{
    struct tls_seen seen = { 0 };
    struct cert     first = cert_make(&spec, NULL), second = cert_make(&spec, NULL);
    X509           *third = X509_dup(first.x509);
    X509           *all[] = { first.x509, second.x509, third, first.x509 };

    assert_true(X509_sign(third, second.key, EVP_sha256()) > 0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(tls_seen_look(&seen, all[i], NULL), FAIL_NONE);
        assert_tells_of(&seen, all[i]);
        assert_endpoint_of(&seen, all[i]);
    }
    X509_free(third);
    cert_free(&first);
    cert_free(&second);
    tls_seen_fini(&seen);
}

static void without_memory_it_has_what_it_had(void **state)
{
    struct tls_seen seen = { 0 };
    struct cert     first = cert_make(&spec, NULL), second = cert_make(&spec, NULL);
    struct failure  why = { 0 };
    unsigned        n = 1;

    assert_int_equal(tls_seen_look(&seen, first.x509, NULL), FAIL_NONE);
    for (;; n++) {
        enum fail rc;

        alloc_fail_at(n);
        rc = tls_seen_look(&seen, second.x509, &why);
        if (!alloc_has_failed())
            break;
        assert_int_equal(rc, FAIL_MEMORY);
        assert_tells_of(&seen, first.x509);
    }
    assert_true(n > 5);
    assert_tells_of(&seen, second.x509);
    cert_free(&first);
    cert_free(&second);
    tls_seen_fini(&seen);
}

/* ---- on the wire ---- */

static struct tls_pair shaken(const struct tls_pki *pki, struct tls_context *context,
                              struct identity *shown)
{
    struct tls_engine *client =
        tls_engine_new(context, &(struct tls_engine_options){ .wall_s = CERTS_NOW }, NULL);
    struct tls_pair pair;

    assert_non_null(client);
    tls_pair_init(
        &pair, client,
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER, .identity = shown },
                        &(struct tls_engine_options){ .wall_s = CERTS_NOW }));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.client.verdict, TLS_DONE);
    return pair;
}

static void assert_knows(const struct tls_pair *pair, const struct identity *shown)
{
    const struct tls_facts *facts = tls_engine_facts(pair->client.engine);

    assert_string_equal(facts->peer_fingerprint, identity_facts(shown)->fingerprint);
    assert_string_equal(facts->peer_subject, identity_facts(shown)->subject);
    assert_true(bytes_equal(endpoint_hash_bytes(facts->peer_endpoint),
                            endpoint_hash_bytes(identity_endpoint_hash(shown))));
}

/* Servers behind one context that take turns, and connections that outlive those after them. */
static void each_connection_knows_its_own_server(void **state)
{
    struct tls_pki      pki;
    struct tls_policy  *policy;
    struct tls_context *context;
    struct tls_pair     pairs[4];

    tls_pki_init(&pki);
    policy = tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT }, NULL);
    context = tls_context_new(policy, NULL);
    assert_non_null(context);
    for (size_t i = 0; i < 4; i++)
        pairs[i] = shaken(&pki, context, i == 2 ? pki.client : pki.server);
    for (size_t i = 0; i < 4; i++) {
        assert_knows(&pairs[i], i == 2 ? pki.client : pki.server);
        tls_pair_fini(&pairs[i]);
    }
    tls_context_release(context);
    tls_policy_release(policy);
    tls_pki_fini(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_certificate_is_read_once),
        cmocka_unit_test(what_only_looks_like_it_is_another),
        cmocka_unit_test(without_memory_it_has_what_it_had),
        cmocka_unit_test(each_connection_knows_its_own_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

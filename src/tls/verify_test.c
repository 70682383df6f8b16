/* SPDX-License-Identifier: PostgreSQL */
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"
#include "tls/engine.h"

#include <string.h>

/* One handshake with what differs from the good case. */
struct attempt {
    struct identity *server; /* NULL: the good one */
    struct identity *client; /* NULL: none */
    struct trust    *server_trust;
    struct trust    *client_trust;
    const char      *verify_name; /* NULL: chain only */
    int64_t          server_now, client_now;
};

static struct tls_pair attempt(const struct attempt *a)
{
    struct tls_policy_options server = {
        .role = TLS_SERVER,
        .peer_check = TLS_PEER_CHAIN,
        .identity = a->server != NULL ? a->server : pki.server,
        .trust = a->server_trust != NULL ? a->server_trust : pki.trust,
    };
    struct tls_policy_options client = {
        .role = TLS_CLIENT,
        .peer_check = a->verify_name != NULL ? TLS_PEER_NAME : TLS_PEER_CHAIN,
        .identity = a->client,
        .trust = a->client_trust != NULL ? a->client_trust : pki.trust,
    };
    struct tls_engine_options for_server = { .wall_s =
                                                 a->server_now ? a->server_now : CERTS_NOW };
    struct tls_engine_options for_client = { .wall_s =
                                                 a->client_now ? a->client_now : CERTS_NOW,
                                             .verify_name = a->verify_name };
    struct tls_pair           pair;
    struct buf                plain = BUF_LIMIT(100);

    tls_pair_init(&pair, tls_pair_engine(&client, &for_client),
                  tls_pair_engine(&server, &for_server));
    tls_pair_handshake(&pair, SIZE_MAX);
    /* in TLS 1.3 the client is done before the server has looked at its certificate */
    if (pair.client.verdict == TLS_DONE && pair.server.verdict == TLS_FAILED)
        tls_pair_carry(&pair.server, &pair.client, SIZE_MAX, &plain);
    return pair;
}

static void assert_tells(const struct tls_side *side, const char *text, const char *hint)
{
    const struct failure *why = tls_engine_failure(side->engine);

    assert_int_equal(side->verdict, TLS_FAILED);
    if (strstr(why->text, text) == NULL || strstr(why->hint, hint) == NULL)
        print_error("\"%s\"; \"%s\"\n", why->text, why->hint);
    assert_non_null(strstr(why->text, text));
    assert_non_null(strstr(why->hint, hint));
}

static struct identity *new_identity(const struct cert_spec *spec, const struct cert *issuer,
                                     const struct cert *above)
{
    struct cert      cert = cert_make(spec, issuer);
    struct identity *id = tls_pki_identity(&pki, (const struct cert *[]){ &cert, above, NULL });

    cert_free(&cert);
    return id;
}

static void both_sides_verify_three_level_chains(void **state)
{
    struct tls_pair pair =
        attempt(&(struct attempt){ .client = pki.client, .verify_name = "db.example.com" });
    const struct tls_facts *server = tls_engine_facts(pair.server.engine);

    assert_int_equal(pair.client.verdict, TLS_DONE);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_true(server->peer_presented && server->peer_verified);
    assert_string_equal(server->peer_subject, "CN=alice");
    assert_string_equal(server->peer_issuer, "CN=issuing");
    assert_true(strlen(server->peer_serial) >= 4);
    assert_true(tls_engine_peer_is(pair.server.engine, identity_leaf_der(pki.client)));
    tls_pair_fini(&pair);
}

static void a_client_without_a_certificate_gets_through_and_is_known_to_have_none(void **state)
{
    struct tls_pair pair = attempt(&(struct attempt){ .client = NULL });

    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_false(tls_engine_facts(pair.server.engine)->peer_presented);
    assert_false(tls_engine_facts(pair.server.engine)->peer_verified);
    tls_pair_fini(&pair);
}

static void a_client_of_another_ca_is_refused_with_unknown_ca(void **state)
{
    struct cert ca =
        cert_make(&(struct cert_spec){ .common_name = "evil", .is_ca = true }, NULL);
    struct identity *mallory = new_identity(
        &(struct cert_spec){ .common_name = "alice", .usage = "clientAuth" }, &ca, NULL);
    struct tls_pair pair = attempt(&(struct attempt){ .client = mallory });

    assert_tells(&pair.server, "client's certificate: unable to get local issuer certificate",
                 "CA is not among the trusted");
    assert_tells(&pair.server, "depth 0, serial ", "");
    assert_tells(&pair.server, "subject CN=alice, issuer CN=evil)", "");
    assert_tells(&pair.server, "TLS handshake (alert 48 unknown_ca sent): ", "");
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 48);
    assert_tells(&pair.client, "the server sent alert 48 unknown_ca", "does not trust the CA");
    assert_int_equal(tls_engine_alert_received(pair.client.engine), 48);
    tls_pair_fini(&pair);
    identity_release(mallory);
    cert_free(&ca);
}

static void a_ca_of_the_same_name_with_another_key_is_no_ca_of_ours(void **state)
{
    struct cert ca =
        cert_make(&(struct cert_spec){ .common_name = "root", .is_ca = true }, NULL);
    struct identity *mallory = new_identity(
        &(struct cert_spec){ .common_name = "alice", .usage = "clientAuth" }, &ca, NULL);
    struct tls_pair pair = attempt(&(struct attempt){ .client = mallory });

    assert_tells(&pair.server, "certificate signature failure", "same name but another key");
    tls_pair_fini(&pair);
    identity_release(mallory);
    cert_free(&ca);
}

static void dates_are_judged_by_the_time_that_is_told(void **state)
{
    const int64_t   year = 366 * 24 * 3600;
    struct tls_pair pair =
        attempt(&(struct attempt){ .client = pki.client, .server_now = CERTS_NOW + year });

    assert_tells(&pair.server, "certificate has expired", "renewed");
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 45);
    assert_tells(&pair.client, "alert 45 certificate_expired", "peer's clock");
    tls_pair_fini(&pair);

    pair = attempt(&(struct attempt){ .client_now = CERTS_NOW + year });
    assert_tells(&pair.client, "server's certificate: certificate has expired", "renewed");
    tls_pair_fini(&pair);

    pair = attempt(&(struct attempt){ .client_now = CERTS_NOW - year });
    assert_tells(&pair.client, "not yet valid", "clock");
    tls_pair_fini(&pair);
}

static void only_the_expired_certificate_is_blamed(void **state)
{
    struct identity *old = new_identity(&(struct cert_spec){ .common_name = "old",
                                                             .usage = "clientAuth",
                                                             .not_after = CERTS_NOW - 1 },
                                        &pki.issuing, &pki.issuing);
    struct tls_pair  pair = attempt(&(struct attempt){ .client = old });

    assert_tells(&pair.server, "has expired (depth 0", "");
    assert_tells(&pair.server, "subject CN=old", "");
    tls_pair_fini(&pair);
    pair = attempt(&(struct attempt){ .client = old, .server_now = CERTS_NOW - 2 });
    assert_int_equal(pair.server.verdict, TLS_DONE);
    tls_pair_fini(&pair);
    identity_release(old);
}

static void a_certificate_for_the_other_purpose_is_refused(void **state)
{
    struct tls_pair pair = attempt(&(struct attempt){ .client = pki.server });

    assert_tells(&pair.server, "depth 0", "clientAuth");
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 43);
    tls_pair_fini(&pair);
    pair = attempt(&(struct attempt){ .server = pki.client });
    assert_tells(&pair.client, "depth 0", "serverAuth");
    tls_pair_fini(&pair);
}

static void a_peer_that_sends_no_intermediate_is_refused_with_a_hint(void **state)
{
    struct identity *bare =
        tls_pki_identity(&pki, (const struct cert *[]){ &pki.server_cert, NULL });
    struct tls_pair pair = attempt(&(struct attempt){ .server = bare });

    assert_tells(&pair.client, "unable to get local issuer", "does not send its intermediates");
    tls_pair_fini(&pair);
    identity_release(bare);
}

static void an_intermediate_alone_is_no_anchor(void **state)
{
    struct trust *only_issuing =
        tls_pki_trust(&pki, (const struct cert *[]){ &pki.issuing, NULL });
    struct tls_pair pair = attempt(&(struct attempt){ .client_trust = only_issuing });

    assert_tells(&pair.client, "unable to get issuer certificate", "root certificate too");
    tls_pair_fini(&pair);
    trust_release(only_issuing);
}

static void a_leaf_is_no_ca_for_another(void **state)
{
    struct identity *forged;
    struct cert      bad = cert_make(
             &(struct cert_spec){ .common_name = "root", .usage = "clientAuth" }, &pki.client_cert);
    struct tls_pair pair;

    forged = tls_pki_identity(
        &pki, (const struct cert *[]){ &bad, &pki.client_cert, &pki.issuing, NULL });
    pair = attempt(&(struct attempt){ .client = forged });
    assert_tells(&pair.server, "invalid CA certificate (depth 1", "no CA has signed");
    tls_pair_fini(&pair);
    identity_release(forged);
    cert_free(&bad);
}

static void a_self_signed_server_is_told_apart(void **state)
{
    struct identity *self =
        new_identity(&(struct cert_spec){ .common_name = "db", .names = "DNS:db" }, NULL, NULL);
    struct tls_pair pair = attempt(&(struct attempt){ .server = self });

    assert_tells(&pair.client, "self", "self-signed");
    tls_pair_fini(&pair);
    identity_release(self);
}

static void a_name_that_does_not_fit_ends_the_handshake_with_close_notify(void **state)
{
    struct buf      plain = BUF_LIMIT(100);
    struct tls_pair pair = attempt(&(struct attempt){ .verify_name = "other.example.com" });

    assert_tells(
        &pair.client,
        "TLS handshake: server certificate is for \"db.example.com\" (and 1 other name), "
        "not for host \"other.example.com\"",
        "verify");
    assert_int_equal(tls_engine_failure(pair.client.engine)->kind, FAIL_CERT);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_CLOSED);
    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("x"), &pair.client.out),
                     FAIL_CLOSED);
    tls_pair_fini(&pair);

    pair = attempt(&(struct attempt){ .verify_name = "10.0.0.5" });
    assert_int_equal(pair.client.verdict, TLS_DONE);
    tls_pair_fini(&pair);
    pair = attempt(&(struct attempt){ .verify_name = "10.0.0.6" });
    assert_tells(&pair.client, "not for host \"10.0.0.6\"", "");
    tls_pair_fini(&pair);
    pair = attempt(&(struct attempt){ .verify_name = NULL });
    assert_int_equal(pair.client.verdict, TLS_DONE);
    tls_pair_fini(&pair);
}

static void without_verification_any_server_will_do_and_is_not_called_verified(void **state)
{
    struct tls_policy_options client = { .role = TLS_CLIENT };
    struct tls_policy_options server = { .role = TLS_SERVER, .identity = pki.server };
    struct tls_engine_options long_ago = { .wall_s = 1000 };
    struct certificate_names  names;
    struct tls_pair           pair;

    tls_pair_init(&pair, tls_pair_engine(&client, &long_ago),
                  tls_pair_engine(&server, &long_ago));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.client.verdict, TLS_DONE);
    assert_true(tls_engine_facts(pair.client.engine)->peer_presented);
    assert_false(tls_engine_facts(pair.client.engine)->peer_verified);
    assert_int_equal(tls_engine_peer_names(pair.client.engine, CERTIFICATE_CN, &names, NULL),
                     FAIL_NONE);
    assert_int_equal(names.count, 0);
    tls_pair_fini(&pair);
}

/* What a client shows to a server that verifies; it has no scruples of its own. */
static void assert_client_refused(const struct cert_spec *spec, int alert, const char *text,
                                  const char *hint)
{
    struct cert        cert = cert_make(spec, &pki.issuing);
    struct tls_engine *server =
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                      .peer_check = TLS_PEER_CHAIN,
                                                      .identity = pki.server,
                                                      .trust = pki.trust },
                        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    struct tls_side   side = { .engine = server };
    struct raw_client client;

    raw_client_init(&client);
    SSL_set_security_level(client.ssl, 0);
    assert_int_equal(SSL_use_cert_and_key(client.ssl, cert.x509, cert.key, NULL, 1), 1);
    assert_int_equal(SSL_add1_chain_cert(client.ssl, pki.issuing.x509), 1);
    raw_client_shake(&client, server, SIZE_MAX);
    side.verdict = client.server;
    assert_tells(&side, text, hint);
    assert_int_equal(client.alert, alert);
    raw_client_fini(&client);
    tls_engine_free(server);
    cert_free(&cert);
}

static void weak_keys_and_unknown_critical_extensions_are_refused(void **state)
{
    assert_client_refused(&(struct cert_spec){ .common_name = "w", .is_weak = true }, 42,
                          "EE certificate key too weak (depth 0", "security level");
    assert_client_refused(&(struct cert_spec){ .common_name = "o", .is_odd = true }, 46,
                          "unhandled critical extension (depth 0", "nobody here understands");
    assert_client_refused(&(struct cert_spec){ .common_name = "s", .usage = "serverAuth" }, 43,
                          "purpose", "clientAuth");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_verify_three_level_chains),
        cmocka_unit_test(a_client_without_a_certificate_gets_through_and_is_known_to_have_none),
        cmocka_unit_test(a_client_of_another_ca_is_refused_with_unknown_ca),
        cmocka_unit_test(a_ca_of_the_same_name_with_another_key_is_no_ca_of_ours),
        cmocka_unit_test(dates_are_judged_by_the_time_that_is_told),
        cmocka_unit_test(only_the_expired_certificate_is_blamed),
        cmocka_unit_test(a_certificate_for_the_other_purpose_is_refused),
        cmocka_unit_test(weak_keys_and_unknown_critical_extensions_are_refused),
        cmocka_unit_test(a_peer_that_sends_no_intermediate_is_refused_with_a_hint),
        cmocka_unit_test(an_intermediate_alone_is_no_anchor),
        cmocka_unit_test(a_leaf_is_no_ca_for_another),
        cmocka_unit_test(a_self_signed_server_is_told_apart),
        cmocka_unit_test(a_name_that_does_not_fit_ends_the_handshake_with_close_notify),
        cmocka_unit_test(without_verification_any_server_will_do_and_is_not_called_verified),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

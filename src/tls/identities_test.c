/* SPDX-License-Identifier: PostgreSQL */
/* Two certificates with different keys in one policy, and the names of a peer. */
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"

#include <stdlib.h>
#include <string.h>

static struct cert      rsa_cert;
static struct identity *rsa;

static int make_pki(void **state)
{
    group_pki_make(state);
    rsa_cert =
        cert_make(&(struct cert_spec){ .common_name = "rsa", .is_rsa = true }, &pki.issuing);
    rsa = tls_pki_identity(&pki, (const struct cert *[]){ &rsa_cert, &pki.issuing, NULL });
    return 0;
}

static int remove_pki(void **state)
{
    identity_release(rsa);
    cert_free(&rsa_cert);
    return group_pki_remove(state);
}

static struct tls_engine *new_server(void)
{
    return tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                         .identity = pki.server,
                                                         .more_identities = { rsa } },
                           &(struct tls_engine_options){ .wall_s = CERTS_NOW });
}

static void each_client_gets_the_certificate_that_it_can_verify(void **state)
{
    static const struct {
        int         version;
        const char *signatures;
        bool        is_rsa;
    } cases[] = {
        { TLS1_3_VERSION, "ECDSA+SHA256", false },
        { TLS1_3_VERSION, "RSA-PSS+SHA256", true },
        { TLS1_2_VERSION, "ECDSA+SHA256", false },
        { TLS1_2_VERSION, "RSA+SHA256", true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_engine *server = new_server();
        struct raw_client  client;
        X509              *peer;

        raw_client_init(&client);
        SSL_set_max_proto_version(client.ssl, cases[i].version);
        SSL_set1_sigalgs_list(client.ssl, cases[i].signatures);
        raw_client_shake(&client, server, SIZE_MAX);
        assert_true(client.is_done);
        peer = SSL_get1_peer_certificate(client.ssl);
        assert_int_equal(X509_cmp(peer, cases[i].is_rsa ? rsa_cert.x509 : pki.server_cert.x509),
                         0);
        /* the chain is sent whole for either */
        assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(client.ssl)), 2);
        assert_ptr_equal(tls_engine_own_identity(server), cases[i].is_rsa ? rsa : pki.server);
        X509_free(peer);
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

static void two_keys_of_one_kind_and_two_for_a_client_are_refused(void **state)
{
    struct failure why = { 0 };

    assert_null(tls_policy_new(
        &(struct tls_policy_options){
            .role = TLS_SERVER, .identity = pki.server, .more_identities = { pki.client } },
        &why));
    assert_non_null(strstr(why.text, "keys of the same kind, EC"));
    why = (struct failure){ 0 };
    assert_null(tls_policy_new(
        &(struct tls_policy_options){
            .role = TLS_SERVER, .identity = pki.server, .more_identities = { NULL, rsa, rsa } },
        &why));
    assert_non_null(strstr(why.text, "keys of the same kind, RSA"));
    why = (struct failure){ 0 };
    assert_null(tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT,
                                                             .identity = pki.server,
                                                             .more_identities = { rsa } },
                               &why));
    assert_non_null(strstr(why.text, "one certificate only"));
}

static struct tls_pair shaken(struct identity *client)
{
    struct tls_engine_options now = { .wall_s = CERTS_NOW };
    struct tls_pair           pair;

    tls_pair_init(
        &pair,
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_CLIENT, .identity = client },
                        &now),
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                      .identity = pki.server,
                                                      .peer_check = TLS_PEER_CHAIN,
                                                      .trust = pki.trust },
                        &now));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    return pair;
}

static void the_names_of_a_verified_client_are_told(void **state)
{
    struct cert cert = cert_make(
        &(struct cert_spec){ .common_name = "bob", .names = "email:bob@x,URI:u:bob,DNS:b" },
        &pki.issuing);
    struct identity *bob =
        tls_pki_identity(&pki, (const struct cert *[]){ &cert, &pki.issuing, NULL });
    struct tls_pair          pair = shaken(bob);
    struct certificate_names names;
    static const char *const expected[] = { "bob", "CN=bob", "b", "u:bob", "bob@x" };

    for (int kind = CERTIFICATE_CN; kind <= CERTIFICATE_SAN_EMAIL; kind++) {
        assert_int_equal(tls_engine_peer_names(pair.server.engine,
                                               (enum certificate_name_kind)kind, &names, NULL),
                         FAIL_NONE);
        assert_int_equal(names.count, 1);
        assert_string_equal(names.items[0], expected[kind]);
        certificate_names_fini(&names);
    }
    tls_pair_fini(&pair);
    identity_release(bob);
    cert_free(&cert);

    pair = shaken(NULL);
    assert_int_equal(tls_engine_peer_names(pair.server.engine, CERTIFICATE_CN, &names, NULL),
                     FAIL_NONE);
    assert_int_equal(names.count, 0);
    tls_pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_gets_the_certificate_that_it_can_verify),
        cmocka_unit_test(two_keys_of_one_kind_and_two_for_a_client_are_refused),
        cmocka_unit_test(the_names_of_a_verified_client_are_told),
    };

    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}

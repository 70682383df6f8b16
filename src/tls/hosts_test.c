/* SPDX-License-Identifier: PostgreSQL */
#include "tls/hosts.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"

#include <stdlib.h>
#include <string.h>

static struct cert        b_cert, b_ca;
static struct identity   *b_identity;
static struct trust      *b_trust;
static struct tls_policy *a_policy, *b_policy;

#define NAMES(...)                                                                             \
    (const char *const[]){ __VA_ARGS__ },                                                      \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static int make_policies(void **state)
{
    group_pki_make(state);
    b_ca = cert_make(&(struct cert_spec){ .common_name = "ca of b", .is_ca = true }, NULL);
    b_cert = cert_make(&(struct cert_spec){ .common_name = "b", .is_rsa = true }, &pki.issuing);
    b_identity = tls_pki_identity(&pki, (const struct cert *[]){ &b_cert, &pki.issuing, NULL });
    b_trust = tls_pki_trust(&pki, (const struct cert *[]){ &b_ca, NULL });
    a_policy = tls_policy_new(
        &(struct tls_policy_options){ .role = TLS_SERVER, .identity = pki.server }, NULL);
    b_policy =
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                     .identity = b_identity,
                                                     .trust = b_trust,
                                                     .peer_check = TLS_PEER_CHAIN,
                                                     .max_record_bytes = 1000,
                                                     .max_protocol = "TLSv1.2",
                                                     .order = TLS_ORDER_CLIENT,
                                                     .groups = "P-384:P-256",
                                                     .ciphers = "ECDHE-RSA-AES128-GCM-SHA256:"
                                                                "ECDHE-RSA-AES256-GCM-SHA384" },
                       NULL);
    assert_non_null(a_policy);
    assert_non_null(b_policy);
    return 0;
}

static int free_policies(void **state)
{
    tls_policy_release(a_policy);
    tls_policy_release(b_policy);
    identity_release(b_identity);
    trust_release(b_trust);
    cert_free(&b_cert);
    cert_free(&b_ca);
    return group_pki_remove(state);
}

static struct tls_engine *new_engine(const struct tls_host *hosts, size_t count,
                                     const struct tls_engine_options *options)
{
    struct failure      why = { 0 };
    struct tls_hosts   *set = tls_hosts_new(hosts, count, &why);
    struct tls_context *context =
        set != NULL ? tls_context_new_for_hosts(set, NULL, &why) : NULL;
    struct tls_engine *engine = context != NULL ? tls_engine_new(context, options, &why) : NULL;

    if (engine == NULL)
        print_error("%s\n", why.text);
    assert_non_null(engine);
    tls_context_release(context);
    tls_hosts_release(set);
    return engine;
}

static const struct tls_engine_options now = { .wall_s = CERTS_NOW };

/* Two hosts, in the order told, so that each is once the first. */
static struct tls_engine *new_server(bool is_b_first)
{
    struct tls_host hosts[] = {
        { NAMES("a.example.com", "A2.example.com"), a_policy },
        { NAMES("b.example.com"), b_policy },
    };
    struct tls_host swapped[] = { hosts[1], hosts[0] };

    return new_engine(is_b_first ? swapped : hosts, 2, &now);
}

static void shake(struct raw_client *client, struct tls_engine *server, const char *sni)
{
    raw_client_init(client);
    if (sni != NULL)
        assert_int_equal(SSL_set_tlsext_host_name(client->ssl, sni), 1);
    raw_client_shake(client, server, SIZE_MAX);
}

static const char *subject_of(const struct raw_client *client, char *out, size_t size)
{
    X509 *peer = SSL_get1_peer_certificate(client->ssl);

    assert_non_null(peer);
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, out, (int)size);
    X509_free(peer);
    return out;
}

static void each_name_gets_its_certificate_whatever_its_case(void **state)
{
    static const struct {
        const char *sni, *subject;
        int         host;
    } cases[] = {
        { "a.example.com", "server", 0 },
        { "a2.EXAMPLE.com", "server", 0 },
        { "b.example.com", "b", 1 },
        { "B.Example.Com", "b", 1 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_engine *server = new_server(false);
        struct raw_client  client;
        char               subject[64];

        assert_int_equal(tls_engine_host(server), -1);
        shake(&client, server, cases[i].sni);
        assert_true(client.is_done);
        assert_int_equal(client.server, TLS_DONE);
        assert_string_equal(subject_of(&client, subject, sizeof subject), cases[i].subject);
        assert_int_equal(tls_engine_host(server), cases[i].host);
        assert_string_equal(tls_engine_facts(server)->sni, cases[i].sni);
        assert_ptr_equal(tls_engine_own_identity(server),
                         cases[i].host == 0 ? pki.server : b_identity);
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

/* Writes a text and tells how long the first record is. */
static size_t record_length(struct tls_engine *server)
{
    static const uint8_t text[3000];
    struct buf           out = BUF_LIMIT(10000);
    size_t               len;

    assert_int_equal(tls_engine_write(server, bytes_of(text, sizeof text), &out), FAIL_NONE);
    len = bytes_u16(out.memory + out.head + 3);
    buf_fini(&out);
    return len;
}

static void nothing_of_one_host_is_left_with_the_other(void **state)
{
    for (int is_b_first = 0; is_b_first < 2; is_b_first++) {
        struct tls_engine *a = new_server(is_b_first), *b = new_server(is_b_first);
        struct raw_client  client;
        const struct stack_st_X509_NAME *names;

        shake(&client, a, "a.example.com");
        assert_int_equal(SSL_version(client.ssl), TLS1_3_VERSION);
        assert_int_equal(SSL_get_client_CA_list(client.ssl) != NULL &&
                             sk_X509_NAME_num(SSL_get_client_CA_list(client.ssl)) > 0,
                         0);
        assert_string_equal(tls_engine_facts(a)->cipher, "TLS_AES_256_GCM_SHA384");
        assert_string_not_equal(tls_engine_facts(a)->group, "secp384r1");
        assert_int_equal(record_length(a), 3000 + 17);
        raw_client_fini(&client);

        raw_client_init(&client);
        SSL_set_tlsext_host_name(client.ssl, "b.example.com");
        SSL_set_cipher_list(client.ssl,
                            "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256");
        SSL_set1_groups_list(client.ssl, "X25519:P-384:P-256");
        raw_client_shake(&client, b, SIZE_MAX);
        assert_int_equal(SSL_version(client.ssl), TLS1_2_VERSION);
        assert_string_equal(tls_engine_facts(b)->cipher, "ECDHE-RSA-AES256-GCM-SHA384");
        assert_string_equal(tls_engine_facts(b)->group, "secp384r1");
        names = SSL_get_client_CA_list(client.ssl);
        assert_int_equal(sk_X509_NAME_num(names), 1);
        assert_int_equal(
            X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(b_ca.x509)), 0);
        assert_int_equal(record_length(b), 1000 + 24);
        raw_client_fini(&client);
        tls_engine_free(a);
        tls_engine_free(b);
    }
}

static struct tls_engine *new_verifying_client(struct identity *identity, const char *sni)
{
    return tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_CLIENT, .identity = identity },
        &(struct tls_engine_options){ .sni = sni, .wall_s = CERTS_NOW });
}

/* A certificate of b's CA is good at b; the one of another CA is refused there. */
static void clients_are_verified_by_the_ca_of_the_host_they_mean(void **state)
{
    struct cert cert =
        cert_make(&(struct cert_spec){ .common_name = "bob", .usage = "clientAuth" }, &b_ca);
    struct identity *bob = tls_pki_identity(&pki, (const struct cert *[]){ &cert, NULL });

    for (int is_b_first = 0; is_b_first < 2; is_b_first++) {
        struct tls_pair pair;

        tls_pair_init(&pair, new_verifying_client(bob, "b.example.com"),
                      new_server(is_b_first));
        tls_pair_handshake(&pair, SIZE_MAX);
        assert_int_equal(pair.server.verdict, TLS_DONE);
        assert_true(tls_engine_facts(pair.server.engine)->peer_verified);
        assert_string_equal(tls_engine_facts(pair.server.engine)->peer_subject, "CN=bob");
        tls_pair_fini(&pair);

        tls_pair_init(&pair, new_verifying_client(pki.client, "b.example.com"),
                      new_server(is_b_first));
        tls_pair_handshake(&pair, SIZE_MAX);
        assert_int_equal(pair.server.verdict, TLS_FAILED);
        assert_int_equal(tls_engine_alert_sent(pair.server.engine), 48);
        assert_string_equal(tls_engine_facts(pair.server.engine)->sni, "b.example.com");
        assert_int_equal(tls_engine_host(pair.server.engine), !is_b_first);
        tls_pair_fini(&pair);

        tls_pair_init(&pair, new_verifying_client(pki.client, "a.example.com"),
                      new_server(is_b_first));
        tls_pair_handshake(&pair, SIZE_MAX);
        assert_int_equal(pair.server.verdict, TLS_DONE);
        assert_false(tls_engine_facts(pair.server.engine)->peer_presented);
        tls_pair_fini(&pair);
    }
    identity_release(bob);
    cert_free(&cert);
}

/* The time of the engine is the time of the host's verification, too. */
static void dates_are_judged_by_the_engines_time_at_a_host(void **state)
{
    struct tls_host hosts[] = { { NAMES("b.example.com"), b_policy } };
    struct cert     cert =
        cert_make(&(struct cert_spec){ .common_name = "bob", .usage = "clientAuth" }, &b_ca);
    struct identity *bob = tls_pki_identity(&pki, (const struct cert *[]){ &cert, NULL });
    struct tls_pair  pair;

    tls_pair_init(
        &pair, new_verifying_client(bob, "b.example.com"),
        new_engine(hosts, 1,
                   &(struct tls_engine_options){ .wall_s = CERTS_NOW + 365 * 24 * 3600 }));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 45);
    tls_pair_fini(&pair);
    identity_release(bob);
    cert_free(&cert);
}

static void assert_refused(const struct tls_host *hosts, size_t count, const char *sni,
                           int alert, const char *text)
{
    struct tls_engine *server = new_engine(hosts, count, &now);
    struct raw_client  client;

    shake(&client, server, sni);
    assert_int_equal(client.server, TLS_FAILED);
    assert_false(client.is_done);
    assert_int_equal(client.alert, alert);
    assert_int_equal(tls_engine_alert_sent(server), alert);
    assert_int_equal(tls_engine_host(server), -1);
    assert_non_null(strstr(tls_engine_failure(server)->text, text));
    if (sni != NULL)
        assert_string_equal(tls_engine_facts(server)->sni, sni);
    raw_client_fini(&client);
    tls_engine_free(server);
}

static void a_name_of_nobody_is_refused_with_112_and_none_at_all_with_109(void **state)
{
    struct tls_host named[] = { { NAMES("a.example.com"), a_policy } };
    struct tls_host unnamed[] = { { NAMES("/no_sni/"), a_policy } };
    struct tls_host preset[] = { { NAMES("*"), a_policy } };

    assert_refused(named, 1, "c.example.com", 112, "no host has the name \"c.example.com\"");
    assert_refused(named, 1, "xa.example.com", 112, "no host");
    assert_refused(named, 1, "a.example.com.", 112, "no host");
    assert_refused(preset, 1, "a.example.com.", 112, "no host");
    assert_refused(named, 1, NULL, 109, "announces no server name");
    assert_refused(unnamed, 1, "a.example.com", 112, "no host");
    assert_refused(preset, 1, NULL, 109, "announces no server name");
}

static void the_default_takes_other_names_and_no_sni_those_without(void **state)
{
    struct tls_host hosts[] = {
        { NAMES("a.example.com"), a_policy },
        { NAMES("*"), b_policy },
        { NAMES("/no_sni/", "d.example.com"), a_policy },
    };
    static const struct {
        const char *sni;
        int         host;
    } cases[] = {
        { "a.example.com", 0 }, { "zz", 1 },       { NULL, 2 },
        { "d.example.com", 2 }, { "/no_sni/", 1 }, { "*", 1 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_engine *server = new_engine(hosts, 3, &now);
        struct raw_client  client;

        shake(&client, server, cases[i].sni);
        assert_true(client.is_done);
        assert_int_equal(tls_engine_host(server), cases[i].host);
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

static void the_hello_is_found_in_any_number_of_segments(void **state)
{
    for (size_t piece = 1; piece < 600; piece = piece * 2 + 1) {
        struct tls_engine *server = new_server(true);
        struct raw_client  client;

        raw_client_init(&client);
        SSL_set_tlsext_host_name(client.ssl, "a.example.com");
        raw_client_shake(&client, server, piece);
        assert_true(client.is_done);
        assert_int_equal(tls_engine_host(server), 1);
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

/* Cuts the one record of a ClientHello into many, of `piece` bytes each. */
static void split_records(struct buf *to, struct bytes hello, size_t piece)
{
    struct bytes body = bytes_of(hello.p + 5, hello.len - 5);

    while (body.len > 0) {
        struct bytes part = bytes_first(body, piece);

        buf_put(to, bytes_of(hello.p, 3));
        buf_put_u16(to, (uint16_t)part.len);
        buf_put(to, part);
        bytes_skip(&body, part.len);
    }
}

static void the_hello_is_found_in_any_number_of_records(void **state)
{
    for (size_t piece = 1; piece < 300; piece = piece * 3 + 1) {
        struct tls_engine *client = new_verifying_client(NULL, "b.example.com");
        struct tls_engine *server = new_server(false);
        struct buf   hello = BUF_LIMIT(10000), cut = BUF_LIMIT(100000), out = BUF_LIMIT(10000);
        struct bytes in = { NULL, 0 };

        tls_engine_handshake(client, &in, &hello);
        split_records(&cut, buf_bytes(&hello), piece);
        in = buf_bytes(&cut);
        assert_int_equal(tls_engine_handshake(server, &in, &out), TLS_WANT_MORE);
        assert_int_equal(tls_engine_host(server), 1);
        assert_true(out.len > 0);
        buf_fini(&hello);
        buf_fini(&cut);
        buf_fini(&out);
        tls_engine_free(client);
        tls_engine_free(server);
    }
}

static void a_hello_after_a_retry_is_the_same_host(void **state)
{
    struct tls_policy *picky = tls_policy_new(
        &(struct tls_policy_options){
            .role = TLS_SERVER, .identity = pki.server, .groups = "P-521" },
        NULL);
    struct tls_host    hosts[] = { { NAMES("a"), a_policy }, { NAMES("p"), picky } };
    struct tls_engine *server = new_engine(hosts, 2, &now);
    struct raw_client  client;

    raw_client_init(&client);
    SSL_set_tlsext_host_name(client.ssl, "p");
    SSL_set1_groups_list(client.ssl, "X25519:P-521");
    raw_client_shake(&client, server, SIZE_MAX);
    assert_true(client.is_done);
    assert_string_equal(tls_engine_facts(server)->group, "secp521r1");
    assert_int_equal(tls_engine_host(server), 1);
    raw_client_fini(&client);
    tls_engine_free(server);
    tls_policy_release(picky);
}

static void assert_bad(const struct tls_host *hosts, size_t count, const char *text)
{
    struct failure why = { 0 };

    assert_null(tls_hosts_new(hosts, count, &why));
    assert_int_equal(why.kind, FAIL_CONFIG);
    if (strstr(why.text, text) == NULL)
        print_error("%s\n", why.text);
    assert_non_null(strstr(why.text, text));
}

static void names_that_cannot_be_announced_and_names_twice_are_refused(void **state)
{
    static const char *const bad[] = { "",         "*.example.com", "a.example.com.",
                                       "10.0.0.1", "::1",           "a b",
                                       ".a",       "a..b",          "a\x01",
                                       "b\xc3\xbc" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_bad(&(struct tls_host){ &bad[i], 1, a_policy }, 1, "cannot be announced");
    assert_bad((struct tls_host[]){ { NAMES("a", "b"), a_policy }, { NAMES("A"), b_policy } },
               2, "\"a\" is there twice");
    assert_bad(&(struct tls_host){ NAMES("a", "a"), a_policy }, 1, "twice");
    assert_bad((struct tls_host[]){ { NAMES("*"), a_policy }, { NAMES("*"), a_policy } }, 2,
               "\"*\" is there twice");
    assert_bad((struct tls_host[]){ { NAMES("/no_sni/", "/no_sni/"), a_policy } }, 1, "twice");
    assert_bad(&(struct tls_host){ NULL, 0, a_policy }, 1, "without names");
    assert_bad(NULL, 0, "1 to");
}

static void hosts_outlive_their_makers_and_fail_cleanly_without_memory(void **state)
{
    struct tls_host hosts[] = { { NAMES("a", "b", "*"), a_policy }, { NAMES("c"), b_policy } };
    unsigned        n;

    for (n = 1; n < 50; n++) {
        struct failure    why = { 0 };
        struct tls_hosts *set;

        alloc_fail_at(n);
        set = tls_hosts_new(hosts, 2, &why);
        if (!alloc_has_failed()) {
            assert_int_equal(tls_hosts_count(set), 2);
            assert_ptr_equal(tls_hosts_policy(set, 1), b_policy);
            tls_hosts_release(tls_hosts_hold(set));
            tls_hosts_release(set);
            break;
        }
        assert_null(set);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_int_equal(n, 7);
    tls_hosts_release(NULL);
}

static X509_STORE *store_of(const struct tls_context *context, size_t host)
{
    return SSL_CTX_get_cert_store(tls_context_library(tls_context_of_host(context, host)));
}

/* A thousand hosts may trust the platform's store: each copy would cost as much as all. */
static void hosts_that_trust_the_same_share_its_store(void **state)
{
    const struct tls_host hosts[] = {
        { NAMES("b.example.com"), b_policy },
        { NAMES("c.example.com"), b_policy },
        { NAMES("a.example.com"), a_policy },
    };
    struct tls_hosts   *set = tls_hosts_new(hosts, 3, NULL);
    struct trust_pool  *pool = trust_pool_new();
    struct tls_context *shared = tls_context_new_for_hosts(set, pool, NULL);
    struct tls_context *alone = tls_context_new_for_hosts(set, NULL, NULL);

    assert_ptr_equal(store_of(shared, 0), store_of(shared, 1));
    assert_ptr_not_equal(store_of(shared, 0), store_of(shared, 2));
    assert_ptr_not_equal(store_of(alone, 0), store_of(alone, 1));
    trust_pool_free(pool);
    tls_context_release(shared);
    tls_context_release(alone);
    tls_hosts_release(set);
}

static void direct_tls_without_alpn_is_refused_with_120_at_any_host(void **state)
{
    struct tls_host hosts[] = { { NAMES("a"), a_policy } };

    for (int offers = 0; offers < 2; offers++) {
        struct tls_engine *server =
            new_engine(hosts, 1,
                       &(struct tls_engine_options){
                           .wall_s = CERTS_NOW, .alpn = "postgresql", .alpn_required = true });
        struct raw_client client;

        raw_client_init(&client);
        SSL_set_tlsext_host_name(client.ssl, "a");
        if (offers)
            SSL_set_alpn_protos(client.ssl, (const unsigned char *)"\x0apostgresql", 11);
        raw_client_shake(&client, server, SIZE_MAX);
        assert_int_equal(client.server, offers ? TLS_DONE : TLS_FAILED);
        assert_int_equal(client.alert, offers ? -1 : 120);
        if (!offers)
            assert_non_null(
                strstr(tls_engine_failure(server)->text,
                       "(alert 120 no_application_protocol sent): the client offers no"));
        assert_string_equal(tls_engine_facts(server)->sni, "a");
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_gets_its_certificate_whatever_its_case),
        cmocka_unit_test(nothing_of_one_host_is_left_with_the_other),
        cmocka_unit_test(clients_are_verified_by_the_ca_of_the_host_they_mean),
        cmocka_unit_test(dates_are_judged_by_the_engines_time_at_a_host),
        cmocka_unit_test(a_name_of_nobody_is_refused_with_112_and_none_at_all_with_109),
        cmocka_unit_test(the_default_takes_other_names_and_no_sni_those_without),
        cmocka_unit_test(the_hello_is_found_in_any_number_of_segments),
        cmocka_unit_test(the_hello_is_found_in_any_number_of_records),
        cmocka_unit_test(a_hello_after_a_retry_is_the_same_host),
        cmocka_unit_test(names_that_cannot_be_announced_and_names_twice_are_refused),
        cmocka_unit_test(hosts_outlive_their_makers_and_fail_cleanly_without_memory),
        cmocka_unit_test(hosts_that_trust_the_same_share_its_store),
        cmocka_unit_test(direct_tls_without_alpn_is_refused_with_120_at_any_host),
    };

    return cmocka_run_group_tests(tests, make_policies, free_policies);
}

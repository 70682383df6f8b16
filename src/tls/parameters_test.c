/* SPDX-License-Identifier: PostgreSQL */
#include "tls/parameters.h"

#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cert      rsa_cert;
static struct identity *rsa;

static int make_pki(void **state)
{
    group_pki_make(state);
    rsa_cert = cert_make(
        &(struct cert_spec){ .common_name = "rsa", .names = "DNS:db", .is_rsa = true },
        &pki.issuing);
    rsa = tls_pki_identity(&pki, (const struct cert *[]){ &rsa_cert, &pki.issuing, NULL });
    return 0;
}

static int remove_pki(void **state)
{
    identity_release(rsa);
    cert_free(&rsa_cert);
    return group_pki_remove(state);
}

static struct tls_policy_options server_of(struct identity *identity)
{
    return (struct tls_policy_options){ .role = TLS_SERVER, .identity = identity };
}

/* A handshake of a client with these options; the server's verdict is in it. */
static struct tls_pair shaken(const struct tls_policy_options *server,
                              struct tls_policy_options        client)
{
    const struct tls_engine_options now = { .wall_s = CERTS_NOW };
    struct tls_pair                 pair;

    client.role = TLS_CLIENT;
    tls_pair_init(&pair, tls_pair_engine(&client, &now), tls_pair_engine(server, &now));
    tls_pair_handshake(&pair, SIZE_MAX);
    return pair;
}

static void assert_fact(const struct tls_policy_options *server,
                        struct tls_policy_options client, const char *version,
                        const char *cipher, const char *group)
{
    struct tls_pair         pair = shaken(server, client);
    const struct tls_facts *facts = tls_engine_facts(pair.server.engine);

    if (pair.server.verdict != TLS_DONE)
        print_error("%s\n", tls_engine_failure(pair.server.engine)->text);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_int_equal(pair.client.verdict, TLS_DONE);
    if (version != NULL)
        assert_string_equal(facts->version, version);
    if (cipher != NULL)
        assert_string_equal(facts->cipher, cipher);
    if (group != NULL)
        assert_string_equal(facts->group, group);
    tls_pair_fini(&pair);
}

static void assert_alert(const struct tls_policy_options *server,
                         struct tls_policy_options client, int alert)
{
    struct tls_pair pair = shaken(server, client);

    assert_int_equal(pair.server.verdict, TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), alert);
    tls_pair_fini(&pair);
}

static void assert_refused(struct tls_policy_options options, const char *text,
                           const char *hint)
{
    struct failure why = { 0 };

    assert_null(tls_policy_new(&options, &why));
    if (strstr(why.text, text) == NULL || strstr(why.hint, hint) == NULL)
        print_error("\"%s\"; \"%s\"\n", why.text, why.hint);
    assert_int_equal(why.kind, FAIL_CONFIG);
    assert_non_null(strstr(why.text, text));
    assert_non_null(strstr(why.hint, hint));
}

/* Both roles refuse the same words. */
static void assert_both_refuse(struct tls_policy_options options, const char *text,
                               const char *hint)
{
    options.role = TLS_CLIENT;
    assert_refused(options, text, hint);
    options.role = TLS_SERVER;
    options.identity = rsa;
    assert_refused(options, text, hint);
}

static void the_range_of_versions_holds_on_either_side(void **state)
{
    struct tls_policy_options any = server_of(rsa), old = any, new = any;

    old.max_protocol = "TLSv1.2";
    new.min_protocol = "TLSv1.3";
    assert_fact(&any, (struct tls_policy_options){ 0 }, "TLSv1.3", NULL, NULL);
    assert_fact(&old, (struct tls_policy_options){ 0 }, "TLSv1.2", NULL, NULL);
    assert_fact(&any, (struct tls_policy_options){ .max_protocol = "TLSv1.2" }, "TLSv1.2", NULL,
                NULL);
    assert_fact(&new, (struct tls_policy_options){ .min_protocol = "TLSv1.3" }, "TLSv1.3", NULL,
                NULL);
    assert_alert(&new, (struct tls_policy_options){ .max_protocol = "TLSv1.2" }, 70);
    assert_alert(&old, (struct tls_policy_options){ .min_protocol = "TLSv1.3" }, 70);
}

static void tls_1_0_and_1_1_are_refused_with_protocol_version(void **state)
{
    static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION };

    for (int i = 0; i < 2; i++) {
        struct tls_policy_options options = server_of(rsa);
        struct tls_engine        *server =
            tls_pair_engine(&options, &(struct tls_engine_options){ .wall_s = CERTS_NOW });
        struct raw_client client;

        raw_client_init(&client);
        SSL_set_cipher_list(client.ssl, "ALL:@SECLEVEL=0");
        SSL_set_min_proto_version(client.ssl, TLS1_VERSION);
        SSL_set_max_proto_version(client.ssl, versions[i]);
        raw_client_shake(&client, server, SIZE_MAX);
        assert_int_equal(client.server, TLS_FAILED);
        assert_int_equal(client.alert, 70);
        raw_client_fini(&client);
        tls_engine_free(server);
    }
}

static void a_range_that_is_no_range_is_refused(void **state)
{
    assert_both_refuse((struct tls_policy_options){ .min_protocol = "TLSv1.1" },
                       "min_protocol_version: \"TLSv1.1\"", "RFC 8996");
    assert_both_refuse((struct tls_policy_options){ .max_protocol = "tlsv1.3" },
                       "max_protocol_version: \"tlsv1.3\"", "TLSv1.2");
    assert_both_refuse((struct tls_policy_options){ .min_protocol = "" },
                       "min_protocol_version", "TLSv1.2");
    assert_both_refuse(
        (struct tls_policy_options){ .min_protocol = "TLSv1.3", .max_protocol = "TLSv1.2" },
        "nothing is left", "");
}

static void ciphers_are_those_that_are_named(void **state)
{
    struct tls_policy_options server = server_of(rsa);
    struct tls_policy_options client = { .max_protocol = "TLSv1.2" };

    server.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    assert_fact(&server, client, "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", NULL);
    server.ciphers = "ECDHE-RSA-CHACHA20-POLY1305";
    assert_fact(&server, client, "TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305", NULL);
    client.ciphers = "ECDHE-RSA-AES256-GCM-SHA384";
    assert_alert(&server, client, 40);
}

/* testssl.sh complains of CBC suites; a client that has nothing else is refused. */
static void the_default_lets_no_cbc_suite_and_no_rsa_key_exchange_in(void **state)
{
    static const char *const  bad[] = { "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA",
                                        "AES256-GCM-SHA384", "AES128-SHA",
                                        "DHE-RSA-AES128-GCM-SHA256" };
    struct tls_policy_options server = server_of(rsa);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_alert(
            &server,
            (struct tls_policy_options){ .max_protocol = "TLSv1.2", .ciphers = bad[i] }, 40);
}

static void ciphers_that_hide_or_prove_nothing_and_unknown_ones_are_refused(void **state)
{
    static const struct {
        const char *list, *text, *hint;
    } cases[] = {
        { "ALL:eNULL:@SECLEVEL=0", "ciphers: ", "!aNULL" },
        { "ECDHE-RSA-AES128-GCM-SHA256:eNULL", "encrypts nothing", "!eNULL" },
        { "ECDHE-RSA-AES128-GCM-SHA256:aNULL", "authenticates nobody", "!aNULL" },
        { "ALL", "authenticates nobody", "!aNULL" },
        { "", "no cipher is selected", "" },
        { ":", "no cipher is selected", "" },
        { "FOO", "no cipher is selected", "" },
        { "!ALL", "no cipher is selected", "" },
        { "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA257",
          "\"ECDHE-RSA-AES128-GCM-SHA257\" is unknown", "openssl ciphers" },
        { "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256", "is not of TLS 1.2",
          "ciphersuites" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_both_refuse((struct tls_policy_options){ .ciphers = cases[i].list },
                           cases[i].text, cases[i].hint);
    assert_both_refuse(
        (struct tls_policy_options){ .ciphers = "ECDHE+AESGCM", .min_protocol = "TLSv1.3" },
        "min_protocol_version excludes", "");
}

/* PostgreSQL's old default, and words for classes that this build has nothing in. */
static void lists_that_people_have_are_taken(void **state)
{
    static const char *const lists[] = { "HIGH:MEDIUM:+3DES:!aNULL", "HIGH:!aNULL:!MD5:!RC4",
                                         "EECDH+AESGCM:EDH+AESGCM",
                                         "ECDHE-RSA-AES128-GCM-SHA256, ECDHE+CHACHA20",
                                         "DEFAULT:@SECLEVEL=2" };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct tls_policy_options server = server_of(rsa);

        server.ciphers = lists[i];
        assert_fact(&server, (struct tls_policy_options){ .max_protocol = "TLSv1.2" },
                    "TLSv1.2", NULL, NULL);
    }
}

static void suites_of_tls_1_3_are_those_that_are_named(void **state)
{
    struct tls_policy_options server = server_of(rsa);

    server.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
    assert_fact(&server, (struct tls_policy_options){ 0 }, "TLSv1.3",
                "TLS_CHACHA20_POLY1305_SHA256", NULL);
    assert_alert(&server,
                 (struct tls_policy_options){ .ciphersuites = "TLS_AES_128_GCM_SHA256",
                                              .min_protocol = "TLSv1.3" },
                 40);
    assert_both_refuse((struct tls_policy_options){ .ciphersuites = "" }, "no suite", "");
    assert_both_refuse(
        (struct tls_policy_options){ .ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_AES_129" },
        "\"TLS_AES_129\" is unknown", "openssl ciphers");
    assert_both_refuse(
        (struct tls_policy_options){ .ciphersuites = "ECDHE-RSA-AES128-GCM-SHA256" },
        "\"ECDHE-RSA-AES128-GCM-SHA256\" is unknown", "");
    assert_both_refuse((struct tls_policy_options){ .ciphersuites = "TLS_AES_128_GCM_SHA256",
                                                    .max_protocol = "TLSv1.2" },
                       "max_protocol_version excludes", "");
}

#define CCM "TLS_AES_128_CCM_SHA256"

static void suites_that_our_records_do_not_have_are_refused_with_them_alone(void **state)
{
    struct tls_policy_options server = server_of(rsa);
    const char *const         lists[] = { CCM, "TLS_AES_128_GCM_SHA256:" CCM };

    for (size_t i = 0; i < 2; i++)
        assert_both_refuse((struct tls_policy_options){ .ciphersuites = lists[i],
                                                        .record_layer = TLS_RECORDS_OWN },
                           "ciphersuites: record_layer \"record\" does not have " CCM,
                           "let record_layer be \"auto\"");
    server.ciphersuites = CCM;
    assert_fact(&server, (struct tls_policy_options){ .ciphersuites = CCM }, "TLSv1.3", CCM,
                NULL);
}

static void groups_are_those_that_are_named(void **state)
{
    struct tls_policy_options server = server_of(rsa);

    server.groups = "P-521:P-384";
    assert_fact(&server, (struct tls_policy_options){ .groups = "P-384" }, NULL, NULL,
                "secp384r1");
    assert_fact(&server, (struct tls_policy_options){ 0 }, NULL, NULL, NULL);
    assert_alert(&server, (struct tls_policy_options){ .groups = "X25519" }, 40);
    assert_both_refuse((struct tls_policy_options){ .groups = "X25519:P-257:P-384" },
                       "groups: \"P-257\" is unknown", "OpenSSL 3.");
    assert_both_refuse((struct tls_policy_options){ .groups = "" }, "no group is selected", "");
}

static void the_post_quantum_group_is_taken_where_the_library_has_it(void **state)
{
    struct tls_policy_options server = server_of(rsa);

    server.groups = "X25519MLKEM768:X25519";
    if (OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 5) {
        assert_refused(server, "\"X25519MLKEM768\" is unknown", "");
        return;
    }
    assert_fact(&server, (struct tls_policy_options){ .groups = "X25519MLKEM768" }, "TLSv1.3",
                NULL, "X25519MLKEM768");
    assert_fact(&server, (struct tls_policy_options){ .groups = "X25519" }, "TLSv1.3", NULL,
                NULL);
}

static void whose_order_counts_is_as_told(void **state)
{
    struct tls_policy_options server = server_of(rsa);
    struct tls_policy_options client = {
        .max_protocol = "TLSv1.2",
        .ciphers = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
    };

    server.ciphers = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
    assert_fact(&server, client, NULL, "ECDHE-RSA-AES256-GCM-SHA384", NULL);
    server.order = TLS_ORDER_SERVER;
    assert_fact(&server, client, NULL, "ECDHE-RSA-AES128-GCM-SHA256", NULL);
    server.order = TLS_ORDER_CLIENT;
    assert_fact(&server, client, NULL, "ECDHE-RSA-AES256-GCM-SHA384", NULL);
    client.role = TLS_CLIENT;
    client.order = TLS_ORDER_CLIENT;
    assert_refused(client, "the server's to say", "");
}

static char *write_dh(const char *name, int nid, int bits)
{
    char         *path = certs_write_text(pki.dir, name, "", 0);
    FILE         *file = fopen(path, "w");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    EVP_PKEY     *dh = NULL;

    assert_int_equal(EVP_PKEY_paramgen_init(ctx), 1);
    if (nid != 0)
        assert_int_equal(EVP_PKEY_CTX_set_dh_nid(ctx, nid), 1);
    else
        assert_int_equal(EVP_PKEY_CTX_set_dh_paramgen_prime_len(ctx, bits), 1);
    assert_int_equal(EVP_PKEY_paramgen(ctx, &dh), 1);
    BIO *bio = BIO_new_fp(file, BIO_CLOSE);
    assert_int_equal(PEM_write_bio_Parameters(bio, dh), 1);
    BIO_free(bio);
    EVP_PKEY_free(dh);
    EVP_PKEY_CTX_free(ctx);
    return path;
}

/* The size of the prime that a server sends. */
static int dh_bits(const struct tls_policy_options *options)
{
    struct tls_engine *server =
        tls_pair_engine(options, &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    struct raw_client client;
    EVP_PKEY         *key = NULL;
    int               bits = 0;

    raw_client_init(&client);
    SSL_set_max_proto_version(client.ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(client.ssl, "DHE-RSA-AES128-GCM-SHA256");
    raw_client_shake(&client, server, SIZE_MAX);
    if (client.is_done && SSL_get_peer_tmp_key(client.ssl, &key) == 1)
        bits = EVP_PKEY_get_bits(key);
    EVP_PKEY_free(key);
    raw_client_fini(&client);
    tls_engine_free(server);
    return bits;
}

static void dh_parameters_are_those_of_the_file_or_fit_the_key(void **state)
{
    char                     *file = write_dh("dh.pem", NID_ffdhe3072, 0);
    struct tls_policy_options options = server_of(rsa);

    assert_int_equal(dh_bits(&options), 0);
    options.ciphers = "ECDHE+AESGCM:DHE+AESGCM";
    assert_int_equal(dh_bits(&options), 2048);
    options.dh_params_file = file;
    assert_int_equal(dh_bits(&options), 3072);
    free(file);
}

static void weak_bad_and_idle_dh_parameters_are_refused(void **state)
{
    static const char         cut[] = "-----BEGIN DH PARAMETERS-----\nMIIB\n";
    char                     *weak = write_dh("weak.pem", 0, 512);
    char                     *good = write_dh("good.pem", NID_ffdhe2048, 0);
    char                     *bad = certs_write_text(pki.dir, "bad.pem", cut, sizeof cut - 1);
    char                     *key = certs_write_key(pki.dir, "key.pem", &rsa_cert);
    struct tls_policy_options options = server_of(rsa);

    options.dh_params_file = good;
    assert_refused(options, "no cipher uses it", "DHE+AESGCM");
    options.ciphers = "DHE+AESGCM";
    options.dh_params_file = weak;
    assert_refused(options, "have 512 bits", "OpenSSL knows good ones");
    options.dh_params_file = bad;
    assert_refused(options, "no DH parameters in", "openssl dhparam");
    options.dh_params_file = key;
    assert_refused(options, "no DH parameters in", "openssl dhparam");
    options = (struct tls_policy_options){ .role = TLS_CLIENT, .dh_params_file = good };
    assert_refused(options, "for servers", "");
    free(weak);
    free(good);
    free(bad);
    free(key);
}

/* ---- openssl.cnf, which OpenSSL reads once: in a child ---- */

static void report(struct tls_policy_options server, struct tls_policy_options client)
{
    struct tls_pair         pair = shaken(&server, client);
    const struct tls_facts *facts = tls_engine_facts(pair.server.engine);

    if (pair.server.verdict == TLS_DONE)
        printf("%s %s %s\n", facts->version, facts->cipher, facts->group);
    else
        printf("alert %d\n", tls_engine_alert_sent(pair.server.engine));
    tls_pair_fini(&pair);
}

static int child(void)
{
    struct tls_policy_options server, own;

    make_pki(NULL);
    server = own = server_of(rsa);
    own.min_protocol = "TLSv1.2";
    own.groups = "P-521";
    own.ciphersuites = "TLS_AES_128_GCM_SHA256";
    report(server, (struct tls_policy_options){ 0 });
    report(server,
           (struct tls_policy_options){ .min_protocol = "TLSv1.2", .max_protocol = "TLSv1.2" });
    report(own, (struct tls_policy_options){ .groups = "P-521" });
    remove_pki(NULL);
    return 0;
}

static void openssl_cnf_says_what_the_settings_do_not(void **state)
{
    static const char cnf[] = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\n"
                              "system_default = all\n[all]\nMinProtocol = TLSv1.3\n"
                              "Groups = P-384\nCiphersuites = TLS_CHACHA20_POLY1305_SHA256:"
                              "TLS_AES_128_GCM_SHA256\n";
    char             *file = certs_write_text(pki.dir, "openssl.cnf", cnf, sizeof cnf - 1);
    char              command[512], answer[512];
    FILE             *run;
    size_t            n;

    snprintf(command, sizeof command, "OPENSSL_CONF=%s /proc/%d/exe child", file,
             (int)getpid());
    run = popen(command, "r");
    n = fread(answer, 1, sizeof answer - 1, run);
    answer[n] = '\0';
    assert_int_equal(pclose(run), 0);
    assert_string_equal(answer, "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 secp384r1\n"
                                "alert 70\n"
                                "TLSv1.3 TLS_AES_128_GCM_SHA256 secp521r1\n");
    free(file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_range_of_versions_holds_on_either_side),
        cmocka_unit_test(tls_1_0_and_1_1_are_refused_with_protocol_version),
        cmocka_unit_test(a_range_that_is_no_range_is_refused),
        cmocka_unit_test(ciphers_are_those_that_are_named),
        cmocka_unit_test(the_default_lets_no_cbc_suite_and_no_rsa_key_exchange_in),
        cmocka_unit_test(ciphers_that_hide_or_prove_nothing_and_unknown_ones_are_refused),
        cmocka_unit_test(lists_that_people_have_are_taken),
        cmocka_unit_test(suites_of_tls_1_3_are_those_that_are_named),
        cmocka_unit_test(suites_that_our_records_do_not_have_are_refused_with_them_alone),
        cmocka_unit_test(groups_are_those_that_are_named),
        cmocka_unit_test(the_post_quantum_group_is_taken_where_the_library_has_it),
        cmocka_unit_test(whose_order_counts_is_as_told),
        cmocka_unit_test(dh_parameters_are_those_of_the_file_or_fit_the_key),
        cmocka_unit_test(weak_bad_and_idle_dh_parameters_are_refused),
        cmocka_unit_test(openssl_cnf_says_what_the_settings_do_not),
    };

    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return child();
    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}

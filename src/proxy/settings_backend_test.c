/* SPDX-License-Identifier: PostgreSQL */
#include "harness/settings_samples.h"

#include <stdio.h>

static void a_backend_that_says_little_gets_its_mode_from_its_address(void **state)
{
    static const struct {
        const char  *backend;
        enum sslmode mode;
    } rows[] = {
        { "address = \"db.example.com:2\"\nroot_ca = \"c\"\n", SSLMODE_VERIFY_FULL },
        { "address = \"10.0.0.5:2\"\ntls_enabled = true\nroot_ca = \"system\"\n",
          SSLMODE_VERIFY_FULL },
        { "address = \"[2001:db8::1]:2\"\nroot_ca = \"c\"\nsni = \"a.b\"\n",
          SSLMODE_VERIFY_FULL },
        { "address = \"db:2\"\nroot_ca = \"c\"\nsni = \"\"\nverify_name = \"x\"\n",
          SSLMODE_VERIFY_FULL },
        { "address = \"db:2\"\ntls_enabled = false\n", SSLMODE_DISABLE },
        { "address = \"db:2\"\nsslmode = \"require\"\nroot_ca = \"c\"\n", SSLMODE_REQUIRE },
        { "address = \"localhost:2\"\n", SSLMODE_DISABLE },
        { "address = \"[::1]:2\"\n", SSLMODE_DISABLE },
        { "address = [\"db:2\", \"127.0.0.1:2\"]\ntls_enabled = false\n", SSLMODE_DISABLE },
        { "address = [\"[::1]:3\", \"127.0.0.1:2\"]\n", SSLMODE_DISABLE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char                     text[1000];
        struct proxy_settings   *settings;
        struct backend_settings *backend;

        snprintf(text, sizeof text, ROUTE PLAIN_LISTENER "[proxy.backend]\n%s",
                 rows[i].backend);
        settings = load_without_a_word(text);
        backend = &settings->routes[0].backend;
        assert_int_equal(backend->sslmode, rows[i].mode);
        settings_free(settings);
    }
}

static void backend_settings_that_contradict_each_other_are_told(void **state)
{
    static const struct sample rows[] = {
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"db:2\"\n",
          "5: route \"r\": backend.sslmode: missing; set root_ca for \"verify-full\", or write "
          "sslmode = \"disable\" for plaintext to the server\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND "sslmode = \"verify-ca\"\n",
          "7: route \"r\": backend.sslmode: \"verify-ca\" needs root_ca; name the file of the "
          "authorities that sign the server's certificate\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND "sslmode = \"verify-ca\"\nroot_ca = \"system\"\n",
          "8: route \"r\": backend.root_ca: \"system\" trusts whoever has a public "
          "certificate, "
          "but sslmode is \"verify-ca\"; write \"verify-full\"\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND "sslmode = \"require\"\nroot_ca = \"system\"\n",
          "8: route \"r\": backend.root_ca: \"system\" trusts whoever has a public "
          "certificate, "
          "but sslmode is \"require\"; write \"verify-full\"\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND "tls_enabled = true\n",
          "7: route \"r\": backend.tls_enabled: \"verify-full\" needs root_ca; name the file "
          "of the "
          "authorities that sign the server's certificate, or \"system\"\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "tls_enabled = true\nsslmode = \"verify-ca\"\n",
          "8: route \"r\": backend.tls_enabled: true means sslmode \"verify-full\" and "
          "contradicts "
          "\"verify-ca\"; leave one of the two out\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "tls_enabled = false\nsslmode = \"require\"\n",
          "8: route \"r\": backend.tls_enabled: false means sslmode \"disable\" and "
          "contradicts "
          "\"require\"; leave one of the two out\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"127.0.0.1:2\"\nclient_cert = "
                               "\"c\"\nclient_key = \"k\"\n"
                               "verify_name = \"n\"\nsni = \"s\"\n",
          "7: route \"r\": backend.client_cert: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"verify-full\"\n"
          "8: route \"r\": backend.client_key: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"verify-full\"\n"
          "9: route \"r\": backend.verify_name: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"verify-full\"\n"
          "10: route \"r\": backend.sni: has no effect with sslmode \"disable\"; leave it out, "
          "or "
          "write sslmode \"verify-full\"\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "tls_enabled = false\n",
          "7: route \"r\": backend.root_ca: has no effect with sslmode \"disable\"; leave it "
          "out, "
          "or write sslmode \"verify-full\"\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "client_key = \"k\"\n",
          "8: route \"r\": backend.client_key: client_cert and client_key belong together; set "
          "both "
          "or neither\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "sslmode = \"verify-ca\"\nverify_name = \"n\"\n",
          "9: route \"r\": backend.verify_name: has no effect with sslmode \"verify-ca\"; only "
          "\"verify-full\" compares names\n" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "sni = \"10.0.0.1\"\n",
          "8: route \"r\": backend.sni: \"10.0.0.1\" is not a host name; \"\" announces "
          "none\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"unix:/run/x\"\nroot_ca = \"c\"\n",
          "6: route \"r\": backend.address: \"unix:/run/x\" takes no TLS, but sslmode is "
          "\"verify-full\"; write sslmode = \"disable\"\n" },
    };

    CHECK_SAMPLES(rows, false);
}

static void a_server_that_is_not_authenticated_warns(void **state)
{
    static const struct sample rows[] = {
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"db:2\"\nsslmode = \"require\"\n",
          "7: warning: route \"r\": backend.sslmode: \"require\" without root_ca encrypts but "
          "does "
          "not authenticate the server; set root_ca and write \"verify-full\"\n" },
    };

    CHECK_SAMPLES(rows, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_that_says_little_gets_its_mode_from_its_address),
        cmocka_unit_test(backend_settings_that_contradict_each_other_are_told),
        cmocka_unit_test(a_server_that_is_not_authenticated_warns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "harness/settings_samples.h"

#include <stdio.h>

static void a_listener_mode_that_is_not_written_follows_the_certificates(void **state)
{
    static const struct {
        const char        *listener;
        enum sslmode       mode;
        enum cancel_policy cancel;
    } rows[] = {
        { TLS_LISTENER, SSLMODE_REQUIRE, CANCEL_ALLOW },
        { TLS_LISTENER "client_ca = \"c\"\n", SSLMODE_VERIFY_CA, CANCEL_TLS_ONLY },
        { TLS_LISTENER "client_ca = \"c\"\nmtls = true\n", SSLMODE_VERIFY_CA, CANCEL_TLS_ONLY },
        { TLS_LISTENER "mtls = false\n", SSLMODE_REQUIRE, CANCEL_ALLOW },
        { PLAIN_LISTENER, SSLMODE_DISABLE, CANCEL_ALLOW },
        { "[proxy.listener]\nbind_address = [\"[::1]:1\", \"unix:/run/x\"]\n", SSLMODE_DISABLE,
          CANCEL_ALLOW },
        { "[proxy.listener]\nbind_address = \"0.0.0.0:1\"\nsslmode = \"disable\"\n",
          SSLMODE_DISABLE, CANCEL_ALLOW },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char                   text[1000];
        struct proxy_settings *settings;

        snprintf(text, sizeof text, ROUTE "%s" PLAIN_BACKEND, rows[i].listener);
        settings = load_without_a_word(text);
        assert_int_equal(settings->routes[0].listener.sslmode, rows[i].mode);
        assert_int_equal(settings->routes[0].listener.cancel, rows[i].cancel);
        settings_free(settings);
    }
}

static void listener_settings_that_contradict_each_other_are_told(void **state)
{
    static const struct sample rows[] = {
        { ROUTE "[proxy.listener]\nbind_address = \"0.0.0.0:1\"\n" PLAIN_BACKEND,
          "3: route \"r\": listener.sslmode: missing; without server_cert clients would "
          "connect in "
          "plaintext: set server_cert and server_key, or write sslmode = \"disable\"\n" },
        { ROUTE
          "[proxy.listener]\nbind_address = [\"127.0.0.1:1\", \"[::]:1\"]\n" PLAIN_BACKEND,
          "3: route \"r\": listener.sslmode: missing; without server_cert clients would "
          "connect in "
          "plaintext: set server_cert and server_key, or write sslmode = \"disable\"\n" },
        { ROUTE PLAIN_LISTENER "sslmode = \"require\"\n" PLAIN_BACKEND,
          "5: route \"r\": listener.sslmode: \"require\" needs server_cert; name the server's "
          "certificate file\n"
          "5: route \"r\": listener.sslmode: \"require\" needs server_key; name the key file "
          "of "
          "server_cert\n" },
        { ROUTE TLS_LISTENER "sslmode = \"verify-full\"\n" PLAIN_BACKEND,
          "7: route \"r\": listener.sslmode: \"verify-full\" needs client_ca; name the file of "
          "the "
          "authorities that sign client certificates\n" },
        { ROUTE TLS_LISTENER "mtls = true\n" PLAIN_BACKEND,
          "7: route \"r\": listener.mtls: \"verify-ca\" needs client_ca; name the file of the "
          "authorities that sign client certificates\n" },
        { ROUTE TLS_LISTENER "mtls = true\nsslmode = \"require\"\n" PLAIN_BACKEND,
          "7: route \"r\": listener.mtls: true contradicts sslmode \"require\"; write "
          "\"verify-ca\" or \"verify-full\", or leave one of the two out\n" },
        { ROUTE TLS_LISTENER
          "mtls = false\nsslmode = \"verify-ca\"\nclient_ca = \"c\"\n" PLAIN_BACKEND,
          "7: route \"r\": listener.mtls: false contradicts sslmode \"verify-ca\"; leave one "
          "of the "
          "two out\n" },
        { ROUTE TLS_LISTENER "mtls = false\nclient_ca = \"c\"\n" PLAIN_BACKEND,
          "7: route \"r\": listener.mtls: false contradicts client_ca; write sslmode = "
          "\"require\" "
          "for certificates that are optional\n" },
        { ROUTE TLS_LISTENER
          "sslmode = \"disable\"\nclient_ca = \"c\"\nmax_record_size = \"4KiB\"\n"
          "cancel = \"tls-only\"\n" PLAIN_BACKEND,
          "5: route \"r\": listener.server_cert: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"require\" or stronger\n"
          "6: route \"r\": listener.server_key: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"require\" or stronger\n"
          "8: route \"r\": listener.client_ca: has no effect with sslmode \"disable\"; leave "
          "it "
          "out, or write sslmode \"require\" or stronger\n"
          "9: route \"r\": listener.max_record_size: has no effect with sslmode \"disable\"; "
          "leave "
          "it out, or write sslmode \"require\" or stronger\n"
          "10: route \"r\": listener.cancel: \"tls-only\" would refuse every cancel request "
          "with "
          "sslmode \"disable\"; leave it out\n" },
        { ROUTE "[proxy.listener]\nbind_address = [\"127.0.0.1:1\", \"unix:/run/x\"]\n"
                "server_cert = \"c\"\nserver_key = \"k\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"unix:/run/x\" takes no TLS, but sslmode is "
          "\"require\"; give it a route of its own with sslmode = \"disable\"\n" },
        { ROUTE PLAIN_LISTENER "unix_socket_mode = \"0600\"\n" PLAIN_BACKEND,
          "5: route \"r\": listener.unix_socket_mode: has no effect; no bind_address is a Unix "
          "socket\n" },
    };

    CHECK_SAMPLES(rows, false);
}

static void certificates_that_are_optional_warn(void **state)
{
    static const struct sample rows[] = {
        { ROUTE TLS_LISTENER "sslmode = \"require\"\nclient_ca = \"c\"\n" PLAIN_BACKEND,
          "8: warning: route \"r\": listener.client_ca: client certificates are optional with "
          "sslmode \"require\" and weaker; write \"verify-ca\" or \"verify-full\" to demand "
          "them\n" },
    };

    CHECK_SAMPLES(rows, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_mode_that_is_not_written_follows_the_certificates),
        cmocka_unit_test(listener_settings_that_contradict_each_other_are_told),
        cmocka_unit_test(certificates_that_are_optional_warn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
/* [defaults]: where every route starts, and what it leaves out of them. */
#include "harness/settings_place.h"

#define CERTIFICATES "server_cert = \"s.crt\"\nserver_key = \"s.key\"\n"

static struct proxy_settings *load_good(const char *text)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings =
        settings_load_text("/etc/t.toml", bytes_of_string(text), &problems);

    assert_told(&problems, "/etc", "");
    conf_problems_fini(&problems);
    return settings;
}

static void defaults_are_where_every_route_starts(void **state)
{
    struct proxy_settings *settings =
        load_good("[defaults.listener]\nsslmode = \"disable\"\nclient_ca = \"c\"\n"
                  "[defaults.limits]\nmax_connections = 5\nidle_timeout = \"9s\"\n" ROUTE_AT(
                      "r", "127.0.0.1:1") BACKEND_LINE "limits.max_connections = 7\n");

    /* client_ca has no effect on a plaintext route, but it is not this route that says it */
    assert_int_equal(settings->routes[0].listener.sslmode, SSLMODE_DISABLE);
    assert_int_equal(settings->routes[0].limits.max_connections, 7);
    assert_int_equal(settings->routes[0].limits.idle_timeout_us, 9000000);
    settings_free(settings);
}

static void a_default_that_has_no_effect_on_a_route_is_left_out_there(void **state)
{
    struct proxy_settings *settings = load_good(
        "[defaults.listener]\n" CERTIFICATES "client_ca = \"c.crt\"\nmtls = true\n"
        "cancel = \"tls-only\"\nmax_record_size = \"4KiB\"\nunix_socket_mode = \"0666\"\n"
        "[defaults.backend]\nroot_ca = \"r.crt\"\nverify_name = \"db\"\nsni = \"db\"\n"
        "source_address = \"10.0.0.1\"\ntls_enabled = true\n" ROUTE_AT(
            "tls",
            "127.0.0.1:1") "backend.address = \"db.example.com:2\"\n" ROUTE_AT("clear",
                                                                               "127.0.0.1:"
                                                                               "3") BACKEND_LINE
        "listener.sslmode = \"disable\"\nbackend.sslmode = \"disable\"\n" ROUTE_AT(
            "unix", "unix:/s") "backend.address = \"unix:/t\"\n");
    struct route_settings *tls = &settings->routes[0], *clear = &settings->routes[1],
                          *local = &settings->routes[2];

    assert_int_equal(tls->listener.sslmode, SSLMODE_VERIFY_CA);
    assert_int_equal(tls->listener.max_record_bytes, 4096);
    assert_string_equal(tls->listener.client_ca, "/etc/c.crt");
    assert_int_equal(tls->listener.cancel, CANCEL_TLS_ONLY);
    assert_int_equal(tls->listener.unix_socket_mode, 0660);
    assert_int_equal(tls->backend.sslmode, SSLMODE_VERIFY_FULL);
    assert_string_equal(tls->backend.sni, "db");

    assert_int_equal(clear->listener.server_cert.count, 0);
    assert_null(clear->listener.client_ca);
    assert_int_equal(clear->listener.max_record_bytes, 8192);
    assert_int_equal(clear->listener.cancel, CANCEL_ALLOW);
    assert_null(clear->backend.root_ca);
    assert_null(clear->backend.verify_name);
    assert_null(clear->backend.sni);
    assert_int_equal(clear->backend.source_address.count, 1);

    assert_int_equal(local->listener.sslmode, SSLMODE_DISABLE);
    assert_int_equal(local->listener.unix_socket_mode, 0666);
    assert_int_equal(local->backend.sslmode, SSLMODE_DISABLE);
    assert_int_equal(local->backend.source_address.count, 0);
    settings_free(settings);
}

static void of_two_that_contradict_each_other_the_one_of_the_route_wins(void **state)
{
    static const struct {
        const char *defaults, *route;
        int         listener, backend;
    } rows[] = {
        { "mtls = true\n", "listener.sslmode = \"require\"\n", SSLMODE_REQUIRE, 0 },
        { "mtls = false\n", "listener.sslmode = \"verify-full\"\nlistener.client_ca = \"c\"\n",
          SSLMODE_VERIFY_FULL, 0 },
        { "sslmode = \"require\"\n", "listener.mtls = true\nlistener.client_ca = \"c\"\n",
          SSLMODE_VERIFY_CA, 0 },
        { "client_ca = \"c\"\n", "listener.mtls = false\n", SSLMODE_REQUIRE, 0 },
        { "sslmode = \"verify-ca\"\nclient_ca = \"c\"\n", "listener.mtls = false\n",
          SSLMODE_REQUIRE, 0 },
        { "[defaults.backend]\ntls_enabled = true\n", "backend.sslmode = \"disable\"\n",
          SSLMODE_REQUIRE, SSLMODE_DISABLE },
        { "[defaults.backend]\nsslmode = \"disable\"\n",
          "backend.tls_enabled = true\nbackend.root_ca = \"r\"\n", SSLMODE_REQUIRE,
          SSLMODE_VERIFY_FULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char                   text[1000];
        struct proxy_settings *settings;

        snprintf(text, sizeof text,
                 "[defaults.listener]\n" CERTIFICATES "%s" ROUTE_AT("r", "127.0.0.1:1")
                     BACKEND_LINE "%s",
                 rows[i].defaults, rows[i].route);
        settings = load_good(text);
        assert_int_equal(settings->routes[0].listener.sslmode, rows[i].listener);
        if (rows[i].backend != 0)
            assert_int_equal(settings->routes[0].backend.sslmode, rows[i].backend);
        settings_free(settings);
    }
}

static void a_mode_of_the_defaults_is_never_left_out(void **state)
{
    struct conf_problems problems = { 0 };

    assert_null(settings_load_text(
        "/etc/t.toml",
        bytes_of_string(
            "[defaults.listener]\nsslmode = \"require\"\n" CERTIFICATES
            "[defaults.backend]\nsslmode = \"verify-full\"\nroot_ca = \"r\"\n" ROUTE_AT(
                "r", "unix:/s") "backend.address = \"unix:/t\"\n"),
        &problems));
    assert_told(
        &problems, "/etc",
        "t.toml:10: route \"r\": listener.bind_address: \"unix:/s\" takes no TLS, but "
        "sslmode is \"require\"; give it a route of its own with sslmode = "
        "\"disable\"\n"
        "t.toml:11: route \"r\": backend.address: \"unix:/t\" takes no TLS, but sslmode "
        "is \"verify-full\"; write sslmode = \"disable\"\n");
    conf_problems_fini(&problems);
}

static void a_bad_default_is_told_once_for_all_routes(void **state)
{
    struct conf_problems problems = { 0 };

    assert_null(settings_load_text(
        "/etc/t.toml",
        bytes_of_string(
            "[defaults.listener]\ndeny = [\"x\"]\n[defaults.limits]\ntcp_keepalive = \"5ms\"\n"
            "[defaults]\ncolour = 1\n" ROUTE_AT("a", "127.0.0.1:1")
                BACKEND_LINE ROUTE_AT("b", "127.0.0.1:3") BACKEND_LINE),
        &problems));
    assert_int_equal(problems.count, 3);
    assert_non_null(
        strstr(problems.items[0].text, ":2: route \"a\": defaults.listener.deny: "));
    assert_non_null(
        strstr(problems.items[1].text, ":4: route \"a\": defaults.limits.tcp_keepalive: "));
    assert_non_null(strstr(problems.items[2].text, ":6: defaults.colour: "));
    conf_problems_fini(&problems);
}

static void bad_defaults_are_told_once_with_their_own_line(void **state)
{
    struct conf_problems problems = { 0 };

    assert_null(
        settings_load_text("/etc/t.toml",
                           BYTES("[defaults.limits]\nmax_connections = 0\n[defaults.colours]\n"
                                 "[[proxy]]\nlistener.bind_address = \"127.0.0.1:1\"\n"
                                 "backend.address = \"127.0.0.1:2\"\n"
                                 "[[proxy]]\nlistener.bind_address = \"127.0.0.1:3\"\n"
                                 "backend.address = \"127.0.0.1:2\"\n"),
                           &problems));
    assert_int_equal(problems.count, 2);
    assert_string_equal(
        problems.items[0].text,
        "/etc/t.toml:2: defaults.limits.max_connections: 0 is out of range; the "
        "least is 1, the most 1000000");
    assert_string_equal(problems.items[1].text,
                        "/etc/t.toml:3: defaults.colours: unknown section; write "
                        "[defaults.listener], [defaults.backend] or [defaults.limits]");
    conf_problems_fini(&problems);
}

static void a_default_that_breaks_a_route_is_told_at_its_line(void **state)
{
    struct conf_problems problems = { 0 };

    assert_null(settings_load_text("/etc/t.toml",
                                   BYTES("[defaults.listener]\nsslmode = \"require\"\n"
                                         "[[proxy]]\nname = \"r\"\n"
                                         "listener.bind_address = \"127.0.0.1:1\"\n"
                                         "backend.address = \"127.0.0.1:2\"\n"),
                                   &problems));
    assert_string_equal(
        problems.items[0].text,
        "/etc/t.toml:2: route \"r\": defaults.listener.sslmode: \"require\" needs "
        "server_cert; name the server's certificate file");
    conf_problems_fini(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_where_every_route_starts),
        cmocka_unit_test(a_default_that_has_no_effect_on_a_route_is_left_out_there),
        cmocka_unit_test(of_two_that_contradict_each_other_the_one_of_the_route_wins),
        cmocka_unit_test(a_mode_of_the_defaults_is_never_left_out),
        cmocka_unit_test(a_bad_default_is_told_once_for_all_routes),
        cmocka_unit_test(bad_defaults_are_told_once_with_their_own_line),
        cmocka_unit_test(a_default_that_breaks_a_route_is_told_at_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
/* The settings of TLS: what they become, and what they say about each other. */
#include "harness/settings.h"

#include <stdlib.h>

#define LISTENER                                                                               \
    "[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"              \
    "server_cert = \"s.crt\"\nserver_key = \"s.key\"\n"
#define CLIENTS       "client_ca = \"ca.crt\"\n"
#define BACKEND       "[proxy.backend]\naddress = \"127.0.0.1:2\"\n"
#define CLEAR_BACKEND BACKEND
#define TLS_BACKEND   BACKEND "root_ca = \"root.crt\"\n"

static void each_setting_of_the_listener_lands_where_it_belongs(void **state)
{
    struct proxy_settings *settings = load_good(
        "[[proxy]]\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
        "server_cert = [\"ec.crt\", \"/rsa.crt\"]\nserver_key = [\"ec.key\", "
        "\"pkcs11:token=t;object=rsa\"]\n"
        "sslmode = \"verify-full\"\nclient_ca = \"ca.crt\"\nclient_crl_file = \"f.crl\"\n"
        "client_crl_dir = \"crls\"\nclient_name = \"SAN-URI\"\nident_file = \"ident\"\n"
        "ident_map = \"m\"\nkey_passphrase_command = \"cat %p.pass\"\n"
        "min_protocol_version = \"TLSv1.2\"\nmax_protocol_version = \"TLSv1.3\"\n"
        "ciphers = \"ECDHE+AESGCM\"\nciphersuites = \"TLS_AES_128_GCM_SHA256\"\n"
        "groups = \"P-256\"\nprefer_server_ciphers = true\ndh_params_file = \"dh.pem\"\n"
        "session_tickets = true\nticket_key_file = \"t.keys\"\n" CLEAR_BACKEND);
    const struct listener_settings *listener = &settings->routes[0].listener;

    assert_int_equal(listener->server_cert.count, 2);
    assert_string_equal(listener->server_cert.items[0], "/etc/pgtls/ec.crt");
    assert_string_equal(listener->server_cert.items[1], "/rsa.crt");
    assert_string_equal(listener->server_key.items[0], "/etc/pgtls/ec.key");
    assert_string_equal(listener->server_key.items[1], "pkcs11:token=t;object=rsa");
    assert_string_equal(listener->client_crl_file, "/etc/pgtls/f.crl");
    assert_string_equal(listener->client_crl_dir, "/etc/pgtls/crls");
    assert_int_equal(listener->client_name, CERTIFICATE_SAN_URI);
    assert_string_equal(listener->ident_file, "/etc/pgtls/ident");
    assert_string_equal(listener->ident_map, "m");
    assert_string_equal(listener->key_passphrase_command, "cat %p.pass");
    assert_int_equal(listener->tls.min_protocol, VERSION_TLS_1_2);
    assert_int_equal(listener->tls.max_protocol, VERSION_TLS_1_3);
    assert_string_equal(listener->tls.ciphers, "ECDHE+AESGCM");
    assert_string_equal(listener->tls.ciphersuites, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(listener->tls.groups, "P-256");
    assert_int_equal(listener->prefer_server_ciphers, 1);
    assert_string_equal(listener->dh_params_file, "/etc/pgtls/dh.pem");
    assert_int_equal(listener->session_tickets, 1);
    assert_string_equal(listener->ticket_key_file, "/etc/pgtls/t.keys");
    settings_free(settings);
}

static void each_setting_of_the_backend_lands_where_it_belongs(void **state)
{
    struct proxy_settings *settings =
        load_good(LISTENER TLS_BACKEND
                  "crl_file = \"b.crl\"\ncrl_dir = \"bcrls\"\nclient_cert = \"p.crt\"\n"
                  "client_key = \"pkcs11:object=p\"\nkey_passphrase_command = \"echo 1\"\n"
                  "min_protocol_version = \"TLSv1.3\"\nmax_protocol_version = \"TLSv1.3\"\n"
                  "ciphersuites = \"TLS_AES_128_GCM_SHA256\"\ngroups = \"X25519\"\n");
    const struct backend_settings *backend = &settings->routes[0].backend;

    assert_string_equal(backend->crl_file, "/etc/pgtls/b.crl");
    assert_string_equal(backend->crl_dir, "/etc/pgtls/bcrls");
    assert_string_equal(backend->client_key, "pkcs11:object=p");
    assert_string_equal(backend->key_passphrase_command, "echo 1");
    assert_int_equal(backend->tls.min_protocol, VERSION_TLS_1_3);
    assert_int_equal(backend->tls.max_protocol, VERSION_TLS_1_3);
    assert_string_equal(backend->tls.ciphersuites, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(backend->tls.groups, "X25519");
    settings_free(settings);
}

static void what_a_listener_does_not_say_is_left_to_the_library(void **state)
{
    struct proxy_settings          *settings = load_good(LISTENER CLEAR_BACKEND);
    const struct listener_settings *listener = &settings->routes[0].listener;

    assert_int_equal(listener->tls.min_protocol, VERSION_UNSET);
    assert_int_equal(listener->tls.max_protocol, VERSION_UNSET);
    assert_null(listener->tls.ciphers);
    assert_null(listener->tls.groups);
    assert_int_equal(listener->prefer_server_ciphers, -1);
    assert_int_equal(listener->session_tickets, -1);
    assert_int_equal(listener->client_name, CERTIFICATE_CN);
    settings_free(settings);
}

static void what_would_have_no_effect_is_refused(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        { LISTENER "client_crl_file = \"f\"\n" CLEAR_BACKEND,
          "7: route \"r\": listener.client_crl_file: has no effect without client_ca; name the "
          "authorities that sign client certificates, or leave it out" },
        { LISTENER "client_crl_dir = \"f\"\n" CLEAR_BACKEND,
          "7: route \"r\": listener.client_crl_dir: has no effect without client_ca; name the "
          "authorities that sign client certificates, or leave it out" },
        { LISTENER CLIENTS "client_name = \"DN\"\n" CLEAR_BACKEND,
          "8: route \"r\": listener.client_name: has no effect with sslmode \"verify-ca\"; "
          "only "
          "\"verify-full\" compares names" },
        { LISTENER CLIENTS "sslmode = \"verify-full\"\nident_file = \"f\"\n" CLEAR_BACKEND,
          "9: route \"r\": listener.ident_file: ident_file and ident_map belong together; set "
          "both or neither" },
        { LISTENER CLIENTS "sslmode = \"verify-full\"\nident_map = \"f\"\n" CLEAR_BACKEND,
          "9: route \"r\": listener.ident_map: ident_file and ident_map belong together; set "
          "both or neither" },
        { LISTENER "ticket_key_file = \"f\"\n" CLEAR_BACKEND,
          "7: route \"r\": listener.ticket_key_file: has no effect without tickets; write "
          "session_tickets = true" },
        { LISTENER "session_tickets = false\nticket_key_file = \"f\"\n" CLEAR_BACKEND,
          "8: route \"r\": listener.ticket_key_file: has no effect without tickets; write "
          "session_tickets = true" },
        { LISTENER "min_protocol_version = \"TLSv1.1\"\n" CLEAR_BACKEND,
          "7: route \"r\": listener.min_protocol_version: \"TLSv1.1\" is broken (RFC 8996); "
          "write \"TLSv1.2\" or \"TLSv1.3\"" },
        { LISTENER CLIENTS "sslmode = \"verify-full\"\nclient_name = \"SAN\"\n" CLEAR_BACKEND,
          "9: route \"r\": listener.client_name: \"SAN\" is not one of CN, DN, SAN-DNS, "
          "SAN-URI, SAN-EMAIL; did you mean \"CN\"?" },
        { LISTENER "ciphers = \"\"\n" CLEAR_BACKEND,
          "7: route \"r\": listener.ciphers: is empty" },
        { LISTENER BACKEND "sslmode = \"disable\"\ncrl_file = \"f\"\n",
          "10: route \"r\": backend.crl_file: has no effect with sslmode \"disable\"; leave it "
          "out, or write sslmode \"verify-full\"" },
        { LISTENER TLS_BACKEND "key_passphrase_command = \"f\"\n",
          "10: route \"r\": backend.key_passphrase_command: has no effect without client_key; "
          "leave it out" },
        { LISTENER BACKEND "groups = \"X25519\"\n",
          "9: route \"r\": backend.groups: has no effect with sslmode \"disable\"; leave it "
          "out, or write sslmode \"verify-full\"" },
        { "[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
          "session_tickets = true\n" BACKEND,
          "5: route \"r\": listener.session_tickets: has no effect with sslmode \"disable\"; "
          "leave it out, or write sslmode \"require\" or stronger" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].text, rows[i].problem);
}

static void certificates_and_keys_are_as_many(void **state)
{
    assert_refused("[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
                   "server_cert = [\"a\", \"b\"]\nserver_key = \"k\"\n" BACKEND,
                   "6: route \"r\": listener.server_key: has 1 keys for the 2 certificates of "
                   "server_cert; write as many, in the same order");
    assert_refused("[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
                   "server_cert = [\"1\", \"2\", \"3\", \"4\", \"5\"]\n"
                   "server_key = [\"1\", \"2\", \"3\", \"4\", \"5\"]\n" BACKEND,
                   "5: route \"r\": listener.server_cert: has 5 certificates; the most is 4");
}

/* What comes from [defaults] is for other routes, where it does nothing here. */
static void defaults_that_have_no_effect_are_left_out(void **state)
{
    struct proxy_settings *settings = load_good(
        "[defaults.listener]\nticket_key_file = \"t\"\nident_file = \"i\"\n"
        "ident_map = \"m\"\nclient_crl_file = \"c\"\ngroups = \"X25519\"\n"
        "[defaults.backend]\ncrl_dir = \"d\"\nciphers = \"ECDHE\"\n" LISTENER BACKEND);
    const struct route_settings *route = &settings->routes[0];

    assert_null(route->listener.ticket_key_file);
    assert_null(route->listener.ident_file);
    assert_null(route->listener.ident_map);
    assert_null(route->listener.client_crl_file);
    assert_string_equal(route->listener.tls.groups, "X25519");
    assert_null(route->backend.crl_dir);
    assert_null(route->backend.tls.ciphers);
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_setting_of_the_listener_lands_where_it_belongs),
        cmocka_unit_test(each_setting_of_the_backend_lands_where_it_belongs),
        cmocka_unit_test(what_a_listener_does_not_say_is_left_to_the_library),
        cmocka_unit_test(what_would_have_no_effect_is_refused),
        cmocka_unit_test(certificates_and_keys_are_as_many),
        cmocka_unit_test(defaults_that_have_no_effect_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

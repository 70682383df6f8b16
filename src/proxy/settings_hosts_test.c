/* SPDX-License-Identifier: PostgreSQL */
/* [[proxy.host]]: what a host takes from its port, and what hosts may not say. */
#include "harness/settings.h"

#include "harness/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#define PORT                                                                                   \
    "[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"0.0.0.0:1\"\n"                \
    "server_cert = \"s.crt\"\nserver_key = \"s.key\"\n"
#define CLIENT_CA "client_ca = \"ca.crt\"\n"
#define BACKEND   "[proxy.backend]\naddress = \"127.0.0.1:2\"\n"
#define HOST(n)   "[[proxy.host]]\nnames = \"" n "\"\n"
#define OWN(port) "[proxy.host.backend]\naddress = \"127.0.0.1:" port "\"\n"

static void a_host_takes_what_it_does_not_say_from_the_listener(void **state)
{
    struct proxy_settings *settings = load_good(
        "[defaults.listener]\ngroups = \"X25519\"\n" PORT CLIENT_CA
        "sslmode = \"verify-full\"\nclient_name = \"DN\"\nsession_tickets = true\n"
        "max_record_size = \"4KiB\"\n" BACKEND HOST("a") HOST(
            "b") "server_cert = \"b.crt\"\nserver_key = \"b.key\"\nsession_tickets = false\n"
                 "groups = \"P-256\"\nmin_protocol_version = \"TLSv1.3\"\n");
    const struct route_settings *a = &settings->routes[0].hosts[0], *b = a + 1;

    assert_int_equal(settings->routes[0].host_count, 2);
    assert_true(a->is_host && !a->has_own_backend);
    assert_string_equal(a->name, "r");
    assert_string_equal(a->listener.names.items[0], "a");
    assert_string_equal(a->listener.server_cert.items[0], "/etc/pgtls/s.crt");
    assert_string_equal(b->listener.server_cert.items[0], "/etc/pgtls/b.crt");
    assert_string_equal(b->listener.server_key.items[0], "/etc/pgtls/b.key");
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(a[i].listener.client_ca, "/etc/pgtls/ca.crt");
        assert_int_equal(a[i].listener.sslmode, SSLMODE_VERIFY_FULL);
        assert_int_equal(a[i].listener.client_name, CERTIFICATE_DN);
        assert_int_equal(a[i].listener.max_record_bytes, 4096);
        assert_string_equal(a[i].backend.addresses.items[0], "127.0.0.1:2");
        assert_int_equal(a[i].backend.sslmode, SSLMODE_DISABLE);
    }
    assert_int_equal(a->listener.session_tickets, 1);
    assert_int_equal(b->listener.session_tickets, 0);
    assert_string_equal(a->listener.tls.groups, "X25519");
    assert_string_equal(b->listener.tls.groups, "P-256");
    assert_int_equal(a->listener.tls.min_protocol, VERSION_UNSET);
    assert_int_equal(b->listener.tls.min_protocol, VERSION_TLS_1_3);
    settings_free(settings);
}

static void the_mode_of_a_host_is_worked_out(void **state)
{
    static const struct {
        const char  *port, *host;
        enum sslmode mode;
    } rows[] = {
        { "", "", SSLMODE_REQUIRE },
        { CLIENT_CA, "", SSLMODE_VERIFY_CA },
        { "", CLIENT_CA, SSLMODE_VERIFY_CA },
        { "sslmode = \"prefer\"\n", "", SSLMODE_REQUIRE },
        { "sslmode = \"allow\"\n", CLIENT_CA, SSLMODE_REQUIRE },
        { "sslmode = \"require\"\n", CLIENT_CA "mtls = true\n", SSLMODE_VERIFY_CA },
        { "sslmode = \"require\"\n", CLIENT_CA "sslmode = \"verify-full\"\n",
          SSLMODE_VERIFY_FULL },
        { CLIENT_CA "sslmode = \"verify-full\"\n", "sslmode = \"require\"\n", SSLMODE_REQUIRE },
        { CLIENT_CA "mtls = true\n", "", SSLMODE_VERIFY_CA },
        { CLIENT_CA "mtls = true\n", "sslmode = \"require\"\n", SSLMODE_REQUIRE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char                   text[1000];
        struct proxy_settings *settings;
        bool                   takes_plaintext = strstr(rows[i].port, "\"prefer\"") != NULL ||
                               strstr(rows[i].port, "\"allow\"") != NULL;

        snprintf(text, sizeof text, PORT "%s%s" HOST("a") "%s" OWN("3"), rows[i].port,
                 takes_plaintext ? BACKEND : "", rows[i].host);
        settings = load_good(text);
        assert_int_equal(settings->routes[0].hosts[0].listener.sslmode, rows[i].mode);
        settings_free(settings);
    }
}

static void a_backend_of_its_own_starts_anew(void **state)
{
    struct proxy_settings *settings = load_good(
        "[defaults.backend]\ngroups = \"P-256\"\n" PORT
        "[proxy.backend]\naddress = \"127.0.0.1:2\"\nroot_ca = \"root.crt\"\n"
        "sslmode = \"verify-ca\"\n" HOST("a")
            HOST("b") "[proxy.host.backend]\n"
                      "address = [\"127.0.0.1:3\", \"127.0.0.1:4\"]\nsslmode = \"require\"\n");
    const struct route_settings *a = &settings->routes[0].hosts[0], *b = a + 1;

    assert_int_equal(a->backend.sslmode, SSLMODE_VERIFY_CA);
    assert_string_equal(a->backend.root_ca, "/etc/pgtls/root.crt");
    assert_true(b->has_own_backend);
    assert_int_equal(b->backend.addresses.count, 2);
    assert_int_equal(b->backend.sslmode, SSLMODE_REQUIRE);
    assert_null(b->backend.root_ca);
    assert_string_equal(b->backend.tls.groups, "P-256");
    settings_free(settings);
}

static void a_port_needs_no_backend_where_every_host_has_its_own(void **state)
{
    struct proxy_settings *settings = load_good(PORT HOST("a") OWN("3") HOST("b") OWN("4"));

    assert_int_equal(settings->routes[0].backend.addresses.count, 0);
    settings_free(settings);
    assert_refused(PORT HOST("a") OWN("3") HOST("b"),
                   "1: route \"r\": backend.address: missing; for example address = "
                   "\"db.example.com:5432\"");
    assert_refused(
        PORT BACKEND HOST("a") OWN("3"),
        "8: route \"r\": backend.address: has no effect; every host has a backend of "
        "its own, and the listener takes no plaintext");
    assert_refused(PORT "sslmode = \"prefer\"\n" HOST("a") OWN("3"),
                   "1: route \"r\": backend.address: missing; the listener takes plaintext "
                   "clients, who announce no host");
    settings_free(load_good(PORT "sslmode = \"prefer\"\n" BACKEND HOST("a") OWN("3")));
}

static void cancels_in_the_clear_are_refused_where_a_host_verifies(void **state)
{
    struct proxy_settings *settings =
        load_good(PORT HOST("a") CLIENT_CA "sslmode = \"verify-ca\"\n" OWN("3"));

    assert_int_equal(settings->routes[0].listener.sslmode, SSLMODE_REQUIRE);
    assert_int_equal(settings->routes[0].listener.cancel, CANCEL_TLS_ONLY);
    settings_free(settings);
    settings = load_good(PORT HOST("a") OWN("3"));
    assert_int_equal(settings->routes[0].listener.cancel, CANCEL_ALLOW);
    settings_free(settings);
}

/* What the listener says beside its sslmode is for hosts that do not say it. */
static void what_no_host_takes_from_the_listener_is_refused(void **state)
{
#define UNUSED                                                                                 \
    "has no effect: the listener has it for its hosts, and every host says its own or has no " \
    "use for it; leave it out"
    assert_refused(PORT "groups = \"X25519\"\n" BACKEND HOST("a") "groups = \"P-256\"\n",
                   "7: route \"r\": listener.groups: " UNUSED);
    settings_free(load_good(
        PORT "groups = \"X25519\"\n" BACKEND HOST("a") "groups = \"P-256\"\n" HOST("b")));
    assert_refused(PORT "client_crl_file = \"l\"\n" BACKEND HOST("a"),
                   "7: route \"r\": listener.client_crl_file: " UNUSED);
    assert_refused(PORT                                                      CLIENT_CA
                   "sslmode = \"verify-ca\"\nclient_name = \"DN\"\n" BACKEND HOST("a"),
                   "9: route \"r\": listener.client_name: " UNUSED);
    settings_free(
        load_good(PORT CLIENT_CA "sslmode = \"verify-ca\"\nclient_name = \"DN\"\n" BACKEND HOST(
            "a") "sslmode = \"verify-full\"\n"));
    /* what the defaults say is for other routes */
    settings_free(load_good("[defaults.listener]\ngroups = \"X25519\"\n" PORT BACKEND HOST(
        "a") "groups = \"P-256\"\n"));
#undef UNUSED
}

static void what_hosts_may_not_say(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        { PORT BACKEND "[[proxy.host]]\n",
          "9: route \"r\": host.names: missing; for example names = [\"a.example.com\"]" },
        { PORT BACKEND "[proxy.host]\nnames = \"a\"\n",
          "9: route \"r\": host: is not a list of hosts; write [[proxy.host]]" },
        { PORT BACKEND HOST("*.example.com"),
          "10: route \"r\": host.names: the host name \"*.example.com\" cannot be announced by "
          "a "
          "client (SNI); write a whole DNS name, \"*\" or \"/no_sni/\"; no wildcards, no "
          "addresses, no dot at the end" },
        { PORT BACKEND HOST("10.0.0.1"),
          "10: route \"r\": host.names: the host name \"10.0.0.1\" cannot be announced by a "
          "client (SNI); write a whole DNS name, \"*\" or \"/no_sni/\"; no wildcards, no "
          "addresses, no dot at the end" },
        { PORT BACKEND HOST("a.b") HOST("A.B"),
          "12: route \"r\": host.names: \"a.b\" is taken in line 10; each name leads to one "
          "host" },
        { PORT BACKEND HOST("*") HOST("*"), "12: route \"r\": host.names: \"*\" is taken in "
                                            "line 10; each name leads to one host" },
        { PORT BACKEND HOST("a") "sslmode = \"prefer\"\n",
          "11: route \"r\": host.sslmode: \"prefer\" is for ports, since a client without TLS "
          "announces no name; write \"require\" or stronger" },
        { PORT BACKEND HOST("a") "sslmode = \"disable\"\n",
          "11: route \"r\": host.sslmode: \"disable\" is for ports, since a client without TLS "
          "announces no name; write \"require\" or stronger" },
        { PORT BACKEND HOST("a") "sslmode = \"verify-ca\"\n",
          "11: route \"r\": host.sslmode: \"verify-ca\" needs client_ca; name the file of the "
          "authorities that sign client certificates" },
        { PORT BACKEND HOST("a") "bind_address = \"0.0.0.0:2\"\n",
          "11: route \"r\": host.bind_address: unknown setting; it belongs to "
          "[proxy.listener]" },
        { PORT BACKEND HOST("b") HOST("a") "server_key = [\"a\", \"b\"]\n",
          "13: route \"r\": host.server_key: has 2 keys for the 1 certificates of server_cert; "
          "write as many, in the same order" },
        { PORT BACKEND HOST("a") "ticket_key_file = \"t\"\n",
          "11: route \"r\": host.ticket_key_file: has no effect without tickets; write "
          "session_tickets = true" },
        { PORT HOST("a") "[proxy.host.backend]\nsslmode = \"disable\"\n",
          "9: route \"r\": host.backend.address: missing; for example address = "
          "\"db.example.com:5432\"" },
        { PORT HOST("a") OWN("3") "groups = \"X25519\"\n",
          "11: route \"r\": host.backend.groups: has no effect with sslmode \"disable\"; leave "
          "it out, or write sslmode \"verify-full\"" },
        { "[[proxy]]\nname = \"r\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
          "sslmode = \"disable\"\n" BACKEND HOST(
              "a") "server_cert = \"c\"\nserver_key = \"k\"\n",
          "5: route \"r\": listener.sslmode: \"disable\" leaves the hosts without clients, "
          "since "
          "a name is announced in TLS only; write \"require\" or stronger" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].text, rows[i].problem);
}

#define LAXER(who)                                                                             \
    "leads to backend \"127.0.0.1:2\" as " who                                                 \
    " does, but demands other client certificates, and a client would choose the laxer way; "  \
    "give both the same sslmode, client_ca, lists, client_name and map"

static void two_ways_to_a_backend_demand_the_same_certificates(void **state)
{
    assert_refused(PORT BACKEND HOST("a") HOST("b") CLIENT_CA "sslmode = \"verify-ca\"\n",
                   "12: route \"r\": host.names: " LAXER("the host in line 10"));
    assert_refused(PORT CLIENT_CA BACKEND HOST("a") HOST("b") "client_ca = \"other\"\n",
                   "13: route \"r\": host.names: " LAXER("the host in line 11"));
    assert_refused(PORT CLIENT_CA BACKEND HOST("a") HOST("b") "client_crl_file = \"f\"\n",
                   "13: route \"r\": host.names: " LAXER("the host in line 11"));
    assert_refused(PORT CLIENT_CA BACKEND HOST("a") HOST("b") "client_crl_dir = \"d\"\n",
                   "13: route \"r\": host.names: " LAXER("the host in line 11"));
    assert_refused(
        PORT                                                                         CLIENT_CA
        "sslmode = \"verify-full\"\nident_file = \"f\"\nident_map = \"m\"\n" BACKEND HOST("a")
            HOST("b") "ident_file = \"g\"\n",
        "16: route \"r\": host.names: " LAXER("the host in line 14"));
    assert_refused(
        PORT                                                                         CLIENT_CA
        "sslmode = \"verify-full\"\nident_file = \"f\"\nident_map = \"m\"\n" BACKEND HOST("a")
            HOST("b") "ident_map = \"n\"\n",
        "16: route \"r\": host.names: " LAXER("the host in line 14"));
    assert_refused(PORT CLIENT_CA "sslmode = \"verify-full\"\n" BACKEND HOST("a")
                       HOST("b") "client_name = \"DN\"\n",
                   "14: route \"r\": host.names: " LAXER("the host in line 12"));
    assert_refused(PORT "sslmode = \"prefer\"\n" BACKEND HOST("a") CLIENT_CA
                   "sslmode = \"verify-ca\"\n",
                   "11: route \"r\": host.names: " LAXER(
                       "the listener, which takes plaintext, in line 7"));
    assert_refused(PORT BACKEND HOST("a") HOST("b") CLIENT_CA
                   "sslmode = \"verify-ca\"\n[proxy.host.backend]\naddress = [\"127.0.0.1:9\", "
                   "\"127.0.0.1:2\"]\n",
                   "12: route \"r\": host.names: " LAXER("the host in line 10"));
    settings_free(load_good(PORT BACKEND HOST("a") HOST("b") CLIENT_CA
                            "sslmode = \"verify-ca\"\n" OWN("3")));
    settings_free(load_good(PORT BACKEND HOST("a") HOST("b") "groups = \"X25519\"\n"));
}

#define OTHER_HOST(address)                                                                    \
    HOST("b")                                                                                  \
    CLIENT_CA "sslmode = \"verify-ca\"\n[proxy.host.backend]\naddress = \"" address "\"\n"     \
              "sslmode = \"disable\"\n"
#define LAXER_AS(address)                                                                      \
    "12: route \"r\": host.names: leads to backend \"" address "\" as the host in line 10 "    \
    "does, where it is \"127.0.0.1:2\", but demands other client certificates, and a client "  \
    "would choose the laxer way; give both the same sslmode, client_ca, lists, client_name "   \
    "and map"
#define SPELT(address) PORT BACKEND HOST("a") OTHER_HOST(address), LAXER_AS(address)

static void another_spelling_leads_to_the_same_backend(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } rows[] = {
        { SPELT("localhost:2") },          { SPELT("LocalHost.:2") },
        { SPELT("127.0.0.1:002") },        { SPELT("[::1]:2") },
        { SPELT("[::ffff:127.0.0.1]:2") }, { SPELT("[::ffff:7f00:1]:2") },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].text, rows[i].problem);
    settings_free(load_good(PORT BACKEND HOST("a") OTHER_HOST("localhost:3")));
    settings_free(load_good(PORT BACKEND HOST("a") OTHER_HOST("127.0.0.2:2")));
    settings_free(load_good(PORT BACKEND HOST("a") OTHER_HOST("unix:/2")));
}

static void unknown_cancels_are_broadcast_to_sixteen_at_most(void **state)
{
    char text[4000] = PORT "cancel_unknown = \"broadcast\"\n";

    assert_refused(
        PORT "cancel_unknown = \"refuse\"\n" BACKEND HOST("a"),
        "7: route \"r\": listener.cancel_unknown: has no effect; it is for hosts with "
        "several backends");
    assert_refused(
        PORT "cancel_unknown = \"refuse\"\n" BACKEND,
        "7: route \"r\": listener.cancel_unknown: has no effect; it is for hosts with "
        "several backends");
    for (int i = 0; i < 17; i++) {
        char host[120];

        if (i == 16)
            settings_free(load_good(text));
        snprintf(host, sizeof host, HOST("h%d") OWN("10%d"), i, i);
        strcat(text, host);
    }
    assert_refused(text,
                   "7: route \"r\": listener.cancel_unknown: \"broadcast\" would reach 17 "
                   "servers, and the most is 16; write \"refuse\"");
}

static void without_memory_hosts_are_told_and_nothing_leaks(void **state)
{
    const char *text = PORT CLIENT_CA BACKEND HOST("a") HOST("b") OWN("3");

    bool had_failure = true;

    for (unsigned n = 1; had_failure && n < 1000; n++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings;

        alloc_fail_at(n);
        settings = load(text, &problems);
        had_failure = alloc_has_failed();
        assert_true(settings == NULL || problems.error_count == 0);
        assert_true(settings != NULL || problems.error_count > 0);
        settings_free(settings);
        conf_problems_fini(&problems);
    }
    assert_false(had_failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_takes_what_it_does_not_say_from_the_listener),
        cmocka_unit_test(the_mode_of_a_host_is_worked_out),
        cmocka_unit_test(a_backend_of_its_own_starts_anew),
        cmocka_unit_test(a_port_needs_no_backend_where_every_host_has_its_own),
        cmocka_unit_test(cancels_in_the_clear_are_refused_where_a_host_verifies),
        cmocka_unit_test(what_no_host_takes_from_the_listener_is_refused),
        cmocka_unit_test(what_hosts_may_not_say),
        cmocka_unit_test(two_ways_to_a_backend_demand_the_same_certificates),
        cmocka_unit_test(another_spelling_leads_to_the_same_backend),
        cmocka_unit_test(unknown_cancels_are_broadcast_to_sixteen_at_most),
        cmocka_unit_test(without_memory_hosts_are_told_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings.h"

#include "conf/file.h"
#include "conf/manual.h"
#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "/etc/pgtls/t.toml"

#define PLAIN_LISTENER "[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
#define PLAIN_BACKEND  "[proxy.backend]\naddress = \"127.0.0.1:2\"\n"
#define TLS_LISTENER                                                                           \
    "[proxy.listener]\nbind_address = \"0.0.0.0:1\"\nserver_cert = \"s.crt\"\n"                \
    "server_key = \"s.key\"\n"
#define TLS_BACKEND "[proxy.backend]\naddress = \"db.example.com:2\"\nroot_ca = \"ca.crt\"\n"
#define ROUTE       "[[proxy]]\nname = \"r\"\n"

static struct proxy_settings *load(const char *text, struct conf_problems *problems)
{
    return settings_load_text(FILE_NAME, bytes_of_string(text), problems);
}

/* Every problem on a line of its own, without the name of the file. */
static void write_problems(const struct conf_problems *problems, struct buf *out)
{
    size_t prefix = strlen(FILE_NAME ":");

    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *p = &problems->items[i];

        assert_memory_equal(p->text, FILE_NAME ":", prefix);
        buf_put_format(out, "%s\n", p->text + prefix);
    }
}

struct sample {
    const char *text;
    const char *problems;
};

/* `good`: whether the settings load, with warnings alone. */
static void check_samples(const struct sample *samples, size_t count, bool good)
{
    for (size_t i = 0; i < count; i++) {
        struct conf_problems   problems = { 0 };
        struct buf             told = BUF_LIMIT(10000);
        struct proxy_settings *settings = load(samples[i].text, &problems);

        write_problems(&problems, &told);
        buf_put_u8(&told, 0);
        assert_string_equal((const char *)buf_bytes(&told).p, samples[i].problems);
        assert_true((settings != NULL) == good);
        settings_free(settings);
        conf_problems_fini(&problems);
        buf_fini(&told);
    }
}

#define CHECK_SAMPLES(rows, good) check_samples(rows, sizeof(rows) / sizeof *(rows), good)

/* The one route of a file that must load without a word. */
static struct proxy_settings *load_good(const char *text)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings = load(text, &problems);

    if (problems.count > 0)
        print_error("%s\n", problems.items[0].text);
    assert_non_null(settings);
    assert_int_equal(problems.count, 0);
    conf_problems_fini(&problems);
    return settings;
}

/* ---- what good files mean ---- */

static void a_small_file_gets_every_default(void **state)
{
    struct proxy_settings *settings = load_good("[[proxy]]\n" PLAIN_LISTENER PLAIN_BACKEND);
    struct route_settings *route = settings->routes;

    assert_string_equal(settings->log_level, "info");
    assert_int_equal(settings->log_format, LOG_TEXT);
    assert_int_equal(settings->workers, 0);
    assert_int_equal(settings->route_count, 1);
    assert_string_equal(route->name, "proxy[0]");
    assert_int_equal(route->listener.sslmode, SSLMODE_DISABLE);
    assert_int_equal(route->listener.cancel, CANCEL_ALLOW);
    assert_int_equal(route->listener.max_record_bytes, 8192);
    assert_int_equal(route->listener.unix_socket_mode, 0660);
    assert_int_equal(route->backend.sslmode, SSLMODE_DISABLE);
    assert_int_equal(route->limits.max_connections, 10000);
    assert_int_equal(route->limits.first_byte_timeout_us, 10000000);
    assert_int_equal(route->limits.handshake_timeout_us, 10000000);
    assert_int_equal(route->limits.connect_timeout_us, 5000000);
    assert_int_equal(route->limits.login_timeout_us, 60000000);
    assert_int_equal(route->limits.idle_timeout_us, 0);
    assert_int_equal(route->limits.drain_timeout_us, 30000000);
    assert_int_equal(route->limits.tcp_keepalive_us, 60000000);
    assert_int_equal(route->limits.tcp_user_timeout_us, 0);
    settings_free(settings);
}

static void what_is_written_lands_in_its_field(void **state)
{
    struct proxy_settings *settings = load_good(
        "log_level = \"debug\"\nlog_format = \"json\"\nworkers = 3\n" ROUTE
        "protocol = \"postgresql\"\n"
        "[proxy.listener]\nbind_address = [\"10.0.0.1:1\", \"[::]:1\"]\nsslmode = "
        "\"verify-full\"\n"
        "mtls = true\nserver_cert = \"s.crt\"\nserver_key = \"./s.key\"\nclient_ca = "
        "\"/c.crt\"\n"
        "cancel = \"allow\"\nmax_record_size = \"16KiB\"\n"
        "[proxy.backend]\naddress = \"10.0.0.5:5432\"\nsslmode = \"verify-full\"\n"
        "tls_enabled = true\nroot_ca = \"system\"\nclient_cert = \"p.crt\"\n"
        "client_key = \"sub/p.key\"\nverify_name = \"db\"\nsni = \"other\"\n"
        "[proxy.limits]\nmax_connections = 7\nfirst_byte_timeout = \"1s\"\n"
        "handshake_timeout = \"2s\"\nconnect_timeout = \"3s\"\nlogin_timeout = \"4s\"\n"
        "idle_timeout = \"5min\"\ndrain_timeout = \"250ms\"\ntcp_keepalive = \"7s\"\n"
        "tcp_user_timeout = \"8s\"\n");
    struct route_settings *route = settings->routes;

    assert_string_equal(settings->log_level, "debug");
    assert_int_equal(settings->log_format, LOG_JSON);
    assert_int_equal(settings->workers, 3);
    assert_string_equal(route->name, "r");
    assert_int_equal(route->listener.bind_address.count, 2);
    assert_string_equal(route->listener.bind_address.items[1], "[::]:1");
    assert_int_equal(route->listener.sslmode, SSLMODE_VERIFY_FULL);
    assert_string_equal(route->listener.server_cert.items[0], "/etc/pgtls/s.crt");
    assert_string_equal(route->listener.server_key.items[0], "/etc/pgtls/s.key");
    assert_string_equal(route->listener.client_ca, "/c.crt");
    assert_int_equal(route->listener.cancel, CANCEL_ALLOW);
    assert_int_equal(route->listener.max_record_bytes, 16384);
    assert_string_equal(route->backend.addresses.items[0], "10.0.0.5:5432");
    assert_int_equal(route->backend.sslmode, SSLMODE_VERIFY_FULL);
    assert_string_equal(route->backend.root_ca, "system");
    assert_string_equal(route->backend.client_cert, "/etc/pgtls/p.crt");
    assert_string_equal(route->backend.client_key, "/etc/pgtls/sub/p.key");
    assert_string_equal(route->backend.verify_name, "db");
    assert_string_equal(route->backend.sni, "other");
    assert_int_equal(route->limits.max_connections, 7);
    assert_int_equal(route->limits.first_byte_timeout_us, 1000000);
    assert_int_equal(route->limits.handshake_timeout_us, 2000000);
    assert_int_equal(route->limits.connect_timeout_us, 3000000);
    assert_int_equal(route->limits.login_timeout_us, 4000000);
    assert_int_equal(route->limits.idle_timeout_us, 300000000);
    assert_int_equal(route->limits.drain_timeout_us, 250000);
    assert_int_equal(route->limits.tcp_keepalive_us, 7000000);
    assert_int_equal(route->limits.tcp_user_timeout_us, 8000000);
    settings_free(settings);
}

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
        settings = load_good(text);
        assert_int_equal(settings->routes[0].listener.sslmode, rows[i].mode);
        assert_int_equal(settings->routes[0].listener.cancel, rows[i].cancel);
        settings_free(settings);
    }
}

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
        settings = load_good(text);
        backend = &settings->routes[0].backend;
        assert_int_equal(backend->sslmode, rows[i].mode);
        settings_free(settings);
    }
}

static void unix_sockets_are_relative_to_the_file_too(void **state)
{
    struct proxy_settings *settings = load_good(
        ROUTE "[proxy.listener]\nbind_address = \"unix:run/a\"\nunix_socket_mode = \"0600\"\n"
              "[proxy.backend]\naddress = \"unix:/run/b\"\n");
    struct route_settings *route = settings->routes;

    assert_string_equal(route->listener.bind_address.items[0], "unix:/etc/pgtls/run/a");
    assert_int_equal(route->listener.unix_socket_mode, 0600);
    assert_string_equal(route->backend.addresses.items[0], "unix:/run/b");
    assert_int_equal(route->backend.sslmode, SSLMODE_DISABLE);
    assert_null(route->backend.verify_name);
    settings_free(settings);
}

/* ---- what bad files are told ---- */

static void values_that_are_not_what_they_should_be_are_told(void **state)
{
    static const struct sample rows[] = {
        { "a = \n",
          "1: not TOML: error while parsing key-value pair: expected value, saw '\\n'\n" },
        { "", " proxy: missing; a file needs at least one [[proxy]]\n" },
        { "proxy = 3\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "[proxy]\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "proxy = []\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { "proxy = [1]\n", "1: proxy: is not a list of routes; write [[proxy]]\n" },
        { ROUTE, "1: route \"r\": listener.bind_address: missing; for example bind_address = "
                 "\"0.0.0.0:6432\"\n"
                 "1: route \"r\": backend.address: missing; for example address = "
                 "\"db.example.com:5432\"\n" },
        { ROUTE "listener = 1\n[proxy.backend]\naddress = \"127.0.0.1:2\"\n",
          "3: route \"r\": listener: is not a section; write [proxy.listener] and its settings "
          "below\n" },
        { "log_level = \"inf\"\nworkers = -1\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: log_level: \"inf\" is not a level; write debug, info, warn or error, and then "
          "others "
          "by part: \"info,tls=debug\"\n"
          "2: workers: -1 is out of range; the least is 0, the most 1024\n" },
        { "log_format = 1\nworkers = \"4\"\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: log_format: is a number, not text; write it in quotes\n"
          "2: workers: is text, not a number; write it without quotes\n" },
        { "workers = 1.5\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: workers: is a number with a fraction, not a number\n" },
        { "sslmode = \"require\"\ntelemetry = 1\n" ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "1: sslmode: unknown setting; it belongs to [proxy.listener]\n"
          "2: telemetry: unknown setting\n" },
        { ROUTE "protocol = \"redis\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "3: route \"r\": protocol: \"redis\" is not available in this version; "
          "\"postgresql\" "
          "is\n" },
        { "[[proxy]]\nname = \"\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "2: route \"proxy[0]\": name: is empty\n" },
        { "[[proxy]]\nname = \"a\\nb\"\n" PLAIN_LISTENER PLAIN_BACKEND,
          "2: route \"proxy[0]\": name: has a control character in it\n" },
        { ROUTE PLAIN_LISTENER "sslmod = \"require\"\nroot_ca = \"x\"\n[proxy.lissener]\n"
                               "[proxy.backend]\naddress = \"127.0.0.1:2\"\n",
          "5: route \"r\": listener.sslmod: unknown setting; did you mean \"sslmode\"?\n"
          "6: route \"r\": listener.root_ca: unknown setting; it belongs to [proxy.backend]\n"
          "7: route \"r\": lissener: unknown section; did you mean \"listener\"?\n" },
        { ROUTE PLAIN_LISTENER
          "sslmode = \"preferred\"\nmtls = \"yes\"\nmax_record_size = \"9000\"\n"
          "cancel = \"sometimes\"\nunix_socket_mode = 660\n" PLAIN_BACKEND,
          "5: route \"r\": listener.sslmode: \"preferred\" is not one of disable, allow, "
          "prefer, require, verify-ca, verify-full; did you mean \"prefer\"?\n"
          "6: route \"r\": listener.mtls: is text, not true or false; write it without quotes\n"
          "7: route \"r\": listener.max_record_size: \"9000\" is not a size; write \"512B\", "
          "\"64KiB\" or \"1MiB\"\n"
          "8: route \"r\": listener.cancel: \"sometimes\" is not one of allow, tls-only\n"
          "9: route \"r\": listener.unix_socket_mode: is a number, not a file mode; write "
          "octal digits such as \"0660\"\n"
          "9: route \"r\": listener.unix_socket_mode: has no effect; no bind_address is a Unix "
          "socket\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nmax_connections = 0\nlogin_timeout = \"0s\"\nidle_timeout = \"10\"\n"
          "tcp_keepalive = \"1500ms\"\ntcp_user_timeout = \"1500us\"\ndrain_timeout = "
          "\"25h\"\n",
          "8: route \"r\": limits.max_connections: 0 is out of range; the least is 1, the most "
          "1000000\n"
          "9: route \"r\": limits.login_timeout: 0s is out of range; the least is 1ms, the "
          "most "
          "1h\n"
          "10: route \"r\": limits.idle_timeout: \"10\" is not a duration; write \"250ms\", "
          "\"10s\", \"5min\" or \"24h\"\n"
          "11: route \"r\": limits.tcp_keepalive: is not whole seconds; write \"60s\"\n"
          "12: route \"r\": limits.tcp_user_timeout: is not whole milliseconds; write \"30s\"\n"
          "13: route \"r\": limits.drain_timeout: 25h is out of range; the least is 1ms, the "
          "most "
          "24h\n" },
    };

    CHECK_SAMPLES(rows, false);
}

static void addresses_that_cannot_be_used_are_told(void **state)
{
    static const struct sample rows[] = {
        { ROUTE "[proxy.listener]\nbind_address = []\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: is an empty list\n" },
        { ROUTE "[proxy.listener]\nbind_address = [\"127.0.0.1:1\", 5]\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: is a number, not text; write it in "
          "quotes\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"db.example.com:1\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"db.example.com\" is not a numeric "
          "address\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"127.0.0.1\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"127.0.0.1\" does not end in a port from 0 "
          "to "
          "65535; write host:port, [ipv6]:port or unix:/path\n" },
        { ROUTE "[proxy.listener]\nbind_address = \"127.0.0.1:0\"\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"127.0.0.1:0\" has no port; write one from "
          "1 to "
          "65535\n" },
        { ROUTE "[proxy.listener]\nbind_address = [\"[::1]:5\", \"[0::1]:5\"]\n" PLAIN_BACKEND,
          "4: route \"r\": listener.bind_address: \"[::1]:5\" is in the list twice\n" },
        { ROUTE PLAIN_LISTENER
          "[proxy.backend]\naddress = [\"127.0.0.1:2\", \"x\"]\nsource_address = \"lo\"\n",
          "6: route \"r\": backend.address: \"x\" does not end in a port from 0 to 65535; "
          "write host:port, [ipv6]:port or unix:/path\n"
          "7: route \"r\": backend.source_address: \"lo\" is not an IP address; write one of "
          "this machine, without a port\n" },
        { ROUTE PLAIN_LISTENER
          "allow = \"10.0.0.0/33\"\ndeny = [\"::/0\", \"10.0.0.1/8\"]\n" PLAIN_BACKEND,
          "5: route \"r\": listener.allow: \"10.0.0.0/33\" is not a network; write it as "
          "\"10.0.0.0/8\" or \"2001:db8::/32\"\n"
          "6: route \"r\": listener.deny: \"10.0.0.1/8\" has bits behind its prefix; write the "
          "network's own address, or a longer prefix\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"127.0.0.1:0\"\n",
          "6: route \"r\": backend.address: \"127.0.0.1:0\" has no port; write one from 1 to "
          "65535\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"my db:5432\"\n",
          "6: route \"r\": backend.address: \"my db\" is not a host name\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND ROUTE PLAIN_LISTENER PLAIN_BACKEND,
          "8: route \"r\": name: \"r\" is taken by route \"r\" in line 2\n"
          "10: route \"r\": listener.bind_address: \"127.0.0.1:1\" is taken by route \"r\" in "
          "line "
          "4\n" },
    };

    CHECK_SAMPLES(rows, false);
}

#define UNIX_LISTENER "[proxy.listener]\nbind_address = \"unix:/run/a\"\n"
#define UNIX_BACKEND  "[proxy.backend]\naddress = \"unix:/run/b\"\n"

static void limits_that_could_not_take_effect_are_told(void **state)
{
#define NO_ADDRESS                                                                             \
    "has no effect: clients of a Unix socket have no address; leave it out, or set "           \
    "unix_socket_mode\n"
#define SHORTER "has no effect: login_timeout is shorter and includes it\n"
    static const struct sample rows[] = {
        { ROUTE UNIX_LISTENER "allow = \"10.0.0.0/8\"\ndeny = \"10.1.0.0/16\"\n" PLAIN_BACKEND
                              "[proxy.limits]\nmax_connections_per_ip = 5\n",
          "5: route \"r\": listener.allow: " NO_ADDRESS
          "6: route \"r\": listener.deny: " NO_ADDRESS
          "10: route \"r\": limits.max_connections_per_ip: " NO_ADDRESS },
        { ROUTE UNIX_LISTENER UNIX_BACKEND
          "[proxy.limits]\ntcp_keepalive = \"5s\"\ntcp_user_timeout = \"5s\"\n",
          "8: route \"r\": limits.tcp_keepalive: has no effect: all addresses are Unix "
          "sockets\n"
          "9: route \"r\": limits.tcp_user_timeout: has no effect: all addresses are Unix "
          "sockets\n" },
        { ROUTE PLAIN_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nhandshakes_per_second = 5\nhandshake_timeout = \"5s\"\n",
          "8: route \"r\": limits.handshakes_per_second: has no effect: no client starts TLS "
          "with sslmode \"disable\"\n"
          "9: route \"r\": limits.handshake_timeout: has no effect with sslmode \"disable\" on "
          "both sides\n" },
        { ROUTE TLS_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nlogin_timeout = \"2s\"\nfirst_byte_timeout = \"3s\"\n"
          "handshake_timeout = \"2001ms\"\nconnect_timeout = \"1min\"\n",
          "11: route \"r\": limits.first_byte_timeout: " SHORTER
          "12: route \"r\": limits.handshake_timeout: " SHORTER
          "13: route \"r\": limits.connect_timeout: " SHORTER },
        { ROUTE PLAIN_LISTENER "cert_refresh_interval = \"10s\"\n" PLAIN_BACKEND,
          "5: route \"r\": listener.cert_refresh_interval: has no effect: the route names no "
          "file; leave it out\n" },
    };
#undef NO_ADDRESS
#undef SHORTER

    CHECK_SAMPLES(rows, false);
}

static void limits_that_take_effect_on_one_side_are_good(void **state)
{
    static const struct sample rows[] = {
        { ROUTE UNIX_LISTENER
          "proxy_protocol = \"v2\"\ntrusted_proxies = \"10.0.0.1\"\nallow = "
          "\"10.0.0.0/8\"\n" PLAIN_BACKEND
          "[proxy.limits]\nmax_connections_per_ip = 5\ntcp_keepalive = \"5s\"\n",
          "" },
        { ROUTE PLAIN_LISTENER UNIX_BACKEND "[proxy.limits]\ntcp_keepalive = \"5s\"\n", "" },
        { ROUTE PLAIN_LISTENER TLS_BACKEND "[proxy.limits]\nhandshake_timeout = \"5s\"\n", "" },
        { ROUTE PLAIN_LISTENER "cert_refresh_interval = \"10s\"\n" TLS_BACKEND, "" },
        { ROUTE TLS_LISTENER PLAIN_BACKEND
          "[proxy.limits]\nlogin_timeout = \"2s\"\nconnect_timeout = \"2s\"\n",
          "" },
        /* what the defaults say is for other routes */
        { "[defaults.limits]\nhandshakes_per_second = 5\nfirst_byte_timeout = \"2min\"\n"
          "[defaults.listener]\ncert_refresh_interval = \"10s\"\n" ROUTE PLAIN_LISTENER
              PLAIN_BACKEND,
          "" },
    };

    CHECK_SAMPLES(rows, true);
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

static void what_is_legal_but_weak_warns(void **state)
{
    static const struct sample rows[] = {
        { ROUTE TLS_LISTENER "sslmode = \"require\"\nclient_ca = \"c\"\n" PLAIN_BACKEND,
          "8: warning: route \"r\": listener.client_ca: client certificates are optional with "
          "sslmode \"require\" and weaker; write \"verify-ca\" or \"verify-full\" to demand "
          "them\n" },
        { ROUTE PLAIN_LISTENER "[proxy.backend]\naddress = \"db:2\"\nsslmode = \"require\"\n",
          "7: warning: route \"r\": backend.sslmode: \"require\" without root_ca encrypts but "
          "does "
          "not authenticate the server; set root_ca and write \"verify-full\"\n" },
    };

    CHECK_SAMPLES(rows, true);
}

static void a_problem_found_later_stands_between_the_others(void **state)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings =
        load(ROUTE TLS_LISTENER "sslmode = \"require\"\nclient_ca = \"c\"\n" PLAIN_BACKEND,
             &problems);

    assert_non_null(settings);
    settings_problem(&problems, false, settings->routes, "listener.server_key", "bad %s",
                     "key");
    settings_problem(&problems, false, settings->routes, "limits.idle_timeout", "not written");
    settings_problem(&problems, false, settings->routes, "backend.sslmode", "not written");
    assert_int_equal(problems.count, 4);
    assert_int_equal(problems.error_count, 3);
    assert_string_equal(problems.items[0].text,
                        FILE_NAME ":1: route \"r\": limits.idle_timeout: not written");
    assert_string_equal(problems.items[1].text,
                        FILE_NAME ":6: route \"r\": listener.server_key: bad key");
    assert_int_equal(problems.items[2].line, 8);
    assert_string_equal(problems.items[3].text,
                        FILE_NAME ":9: route \"r\": backend.sslmode: not written");
    settings_free(settings);
    conf_problems_fini(&problems);
}

/* ---- files ---- */

static void a_file_is_read_and_its_folder_is_where_paths_start(void **state)
{
    char                   name[] = "/tmp/pgtls-settings-XXXXXX";
    int                    fd = mkstemp(name);
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;
    static const char text[] = ROUTE TLS_LISTENER PLAIN_BACKEND;

    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    settings = settings_load(&(struct settings_source){ .file = name }, &problems);
    assert_non_null(settings);
    assert_string_equal(settings->file, name);
    assert_string_equal(settings->routes[0].listener.server_cert.items[0], "/tmp/s.crt");
    settings_free(settings);
    conf_problems_fini(&problems);
    unlink(name);
}

/* One run tells all there is to mend. */
static void bad_files_are_told_together_with_other_errors(void **state)
{
    char                 name[] = "/tmp/pgtls-settings-XXXXXX";
    int                  fd = mkstemp(name);
    struct conf_problems problems = { 0 };
    static const char    text[] =
        ROUTE            TLS_LISTENER "client_ca = \"/none/c\"\ncolour = 1\n" TLS_BACKEND
                           "client_cert = \"/none/p.crt\"\nclient_key = \"/none/p.key\"\n";
    static const int lines[] = { 5, 7, 8, 11, 12 };

    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_null(settings_load(&(struct settings_source){ .file = name }, &problems));
    assert_int_equal(problems.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(problems.items[i].line, lines[i]);
    conf_problems_fini(&problems);
    unlink(name);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    struct conf_problems problems = { 0 };

    assert_null(
        settings_load(&(struct settings_source){ .file = "/nonexistent/t.toml" }, &problems));
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].text,
                        "/nonexistent/t.toml: cannot be read: open: No such file or directory");
    conf_problems_fini(&problems);

    assert_null(settings_load(&(struct settings_source){ .file = "/" }, &problems));
    assert_string_equal(problems.items[0].text, "/: cannot be read: not a regular file");
    conf_problems_fini(&problems);
}

static void a_file_cut_anywhere_loads_or_says_why_not(void **state)
{
    static const char         text[] =
        "workers = 3\n" ROUTE TLS_LISTENER "client_ca = \"c\"\n" TLS_BACKEND
        "[proxy.limits]\nidle_timeout = \"5min\"\n";

    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings =
            settings_load_text(FILE_NAME, bytes_of(text, cut), &problems);

        assert_true((settings == NULL) == (problems.error_count > 0));
        settings_free(settings);
        conf_problems_fini(&problems);
    }
}

static void without_memory_nothing_is_loaded_and_nothing_leaks(void **state)
{
    for (unsigned n = 1;; n++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings;
        bool                   had_failure;

        alloc_fail_at(n);
        settings = load(ROUTE "[proxy.listener]\nbind_address = [\"0.0.0.0:1\", \"unix:x\"]\n"
                              "sslmode = \"disable\"\n" TLS_BACKEND "colour = 1\n",
                        &problems);
        had_failure = alloc_has_failed();
        assert_null(settings);
        assert_true(problems.error_count > 0);
        conf_problems_fini(&problems);
        if (!had_failure)
            break;
        assert_true(n < 1000);
    }
    for (unsigned n = 1;; n++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings;

        alloc_fail_at(n);
        settings = load(ROUTE TLS_LISTENER TLS_BACKEND, &problems);
        if (!alloc_has_failed()) {
            assert_non_null(settings);
            settings_free(settings);
            break;
        }
        assert_null(settings);
        assert_true(problems.error_count > 0);
        conf_problems_fini(&problems);
    }
}

static void a_thousand_routes_load_at_once(void **state)
{
    struct buf             text = BUF_LIMIT(1 << 20);
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;
    clock_t                start;

    for (unsigned i = 0; i < 1000; i++)
        buf_put_format(&text,
                       "[[proxy]]\nname = \"route-%u\"\n[proxy.listener]\n"
                       "bind_address = \"0.0.0.0:%u\"\nserver_cert = \"s.crt\"\n"
                       "server_key = \"s.key\"\nclient_ca = \"c.crt\"\n" TLS_BACKEND,
                       i, 10000 + i);
    assert_true(buf_ok(&text));
    start = clock();
    settings = settings_load_text(FILE_NAME, buf_bytes(&text), &problems);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
    assert_non_null(settings);
    assert_int_equal(settings->route_count, 1000);
    assert_string_equal(settings->routes[999].name, "route-999");
    settings_free(settings);
    conf_problems_fini(&problems);
    buf_fini(&text);
}

/* ---- what the tables print ---- */

static void print_sample(struct buf *out)
{
    conf_write_sample(out, settings_tables());
    buf_put_u8(out, 0);
    assert_true(buf_ok(out));
}

static void the_sample_loads(void **state)
{
    struct buf out = BUF_LIMIT(100000);

    print_sample(&out);
    settings_free(load_good((const char *)buf_bytes(&out).p));
    buf_fini(&out);
}

/* A setting that has no effect alone. */
static bool needs_another(const char *line)
{
    static const char *const words[] = { "unix_socket_",
                                         "trusted_proxies",
                                         "client_cert",
                                         "client_key",
                                         "ident_",
                                         "ticket_key_file",
                                         "key_passphrase_command",
                                         "cancel_unknown",
                                         "[[proxy.host]]",
                                         "auth_",
                                         "names" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* Takes the '#' off one setting at a time; help is behind "# ". */
static void every_commented_setting_of_the_sample_loads_too(void **state)
{
    struct buf out = BUF_LIMIT(100000);
    char      *text;
    unsigned   tried = 0;

    print_sample(&out);
    text = strdup((const char *)buf_bytes(&out).p);
    for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++) {
        if (at[2] == ' ' || needs_another(at + 2))
            continue;
        at[1] = ' ';
        settings_free(load_good(text));
        at[1] = '#';
        tried++;
    }
    assert_true(tried > 15);
    free(text);
    buf_fini(&out);
}

static void the_reference_names_every_setting(void **state)
{
    struct buf out = BUF_LIMIT(100000);

    conf_write_reference(&out, settings_tables());
    buf_put_u8(&out, 0);
    assert_true(buf_ok(&out));
    for (const struct conf_table *const *t = settings_tables(); *t != NULL; t++)
        for (size_t n = 0; conf_option(*t, n) != NULL; n++) {
            char name[64];

            snprintf(name, sizeof name, "\n- `%s`: ", conf_option(*t, n)->name);
            assert_non_null(strstr((const char *)buf_bytes(&out).p, name));
        }
    buf_fini(&out);
}

/* Written again by: build/pgtls help settings > docs/settings.md */
static void docs_settings_md_is_what_the_tables_print(void **state)
{
    struct buf     out = BUF_LIMIT(100000), file = BUF_LIMIT(100000);
    struct failure why = { 0 };
    char           name[4096];

    if (getenv("PGTLS_SOURCE") == NULL)
        skip();
    snprintf(name, sizeof name, "%s/docs/settings.md", getenv("PGTLS_SOURCE"));
    conf_write_reference(&out, settings_tables());
    assert_int_equal(conf_file_read(name, &file, &why), FAIL_NONE);
    assert_buf_is(&file, buf_bytes(&out));
    buf_fini(&out);
    buf_fini(&file);
}

static void defaults_are_where_every_route_starts(void **state)
{
    struct proxy_settings *settings =
        load_good("[defaults.listener]\nsslmode = \"disable\"\nclient_ca = \"c\"\n"
                  "[defaults.limits]\nmax_connections = 5\nidle_timeout = \"9s\"\n" ROUTE
                  "listener.bind_address = \"127.0.0.1:1\"\nbackend.address = \"127.0.0.1:2\"\n"
                  "limits.max_connections = 7\n");

    /* client_ca has no effect on a plaintext route, but it is not this route that says it */
    assert_int_equal(settings->routes[0].listener.sslmode, SSLMODE_DISABLE);
    assert_int_equal(settings->routes[0].limits.max_connections, 7);
    assert_int_equal(settings->routes[0].limits.idle_timeout_us, 9000000);
    settings_free(settings);
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
        cmocka_unit_test(a_small_file_gets_every_default),
        cmocka_unit_test(what_is_written_lands_in_its_field),
        cmocka_unit_test(a_listener_mode_that_is_not_written_follows_the_certificates),
        cmocka_unit_test(a_backend_that_says_little_gets_its_mode_from_its_address),
        cmocka_unit_test(unix_sockets_are_relative_to_the_file_too),
        cmocka_unit_test(values_that_are_not_what_they_should_be_are_told),
        cmocka_unit_test(addresses_that_cannot_be_used_are_told),
        cmocka_unit_test(limits_that_could_not_take_effect_are_told),
        cmocka_unit_test(limits_that_take_effect_on_one_side_are_good),
        cmocka_unit_test(listener_settings_that_contradict_each_other_are_told),
        cmocka_unit_test(backend_settings_that_contradict_each_other_are_told),
        cmocka_unit_test(what_is_legal_but_weak_warns),
        cmocka_unit_test(a_problem_found_later_stands_between_the_others),
        cmocka_unit_test(a_file_is_read_and_its_folder_is_where_paths_start),
        cmocka_unit_test(bad_files_are_told_together_with_other_errors),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_file_cut_anywhere_loads_or_says_why_not),
        cmocka_unit_test(without_memory_nothing_is_loaded_and_nothing_leaks),
        cmocka_unit_test(a_thousand_routes_load_at_once),
        cmocka_unit_test(defaults_are_where_every_route_starts),
        cmocka_unit_test(bad_defaults_are_told_once_with_their_own_line),
        cmocka_unit_test(a_default_that_breaks_a_route_is_told_at_its_line),
        cmocka_unit_test(the_sample_loads),
        cmocka_unit_test(every_commented_setting_of_the_sample_loads_too),
        cmocka_unit_test(the_reference_names_every_setting),
        cmocka_unit_test(docs_settings_md_is_what_the_tables_print),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings.h"

#include "harness/alloc.h"
#include "harness/settings_samples.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void a_small_file_gets_every_default(void **state)
{
    struct proxy_settings *settings =
        load_without_a_word("[[proxy]]\n" PLAIN_LISTENER PLAIN_BACKEND);
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
    struct proxy_settings *settings = load_without_a_word(
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

static void unix_sockets_are_relative_to_the_file_too(void **state)
{
    struct proxy_settings *settings = load_without_a_word(
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_gets_every_default),
        cmocka_unit_test(what_is_written_lands_in_its_field),
        cmocka_unit_test(unix_sockets_are_relative_to_the_file_too),
        cmocka_unit_test(a_problem_found_later_stands_between_the_others),
        cmocka_unit_test(a_file_is_read_and_its_folder_is_where_paths_start),
        cmocka_unit_test(bad_files_are_told_together_with_other_errors),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_file_cut_anywhere_loads_or_says_why_not),
        cmocka_unit_test(without_memory_nothing_is_loaded_and_nothing_leaks),
        cmocka_unit_test(a_thousand_routes_load_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_paths.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define MINUTE ((uint64_t)60 * 1000 * 1000)

static struct proxy_settings *load(const char *text)
{
    struct conf_problems   problems = { .file = "/etc/pgtls/pgtls.toml" };
    struct proxy_settings *settings =
        settings_load_text("/etc/pgtls/pgtls.toml", bytes_of_string(text), &problems);

    for (size_t i = 0; i < problems.count; i++)
        print_error("%s\n", problems.items[i].text);
    assert_non_null(settings);
    conf_problems_fini(&problems);
    return settings;
}

static bool has(const struct file_list *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->paths[i], path) == 0)
            return true;
    return false;
}

#define ROUTE(name, port, listener)                                                            \
    "[[proxy]]\nname = \"" name "\"\n[proxy.listener]\nbind_address = \"127.0.0.1:" port       \
    "\"\n" listener "\n[proxy.backend]\naddress = \"127.0.0.1:5432\"\n"

static void every_file_of_both_sides_is_watched(void **state)
{
    struct proxy_settings *settings = load(
        ROUTE("all", "1",
              "server_cert = [\"a.crt\", \"/b.crt\"]\nserver_key = [\"a.key\", "
              "\"pkcs11:object=b\"]\n"
              "client_ca = \"ca.crt\"\nclient_crl_file = \"a.crl\"\nclient_crl_dir = \"crls\"\n"
              "ident_file = \"ident\"\nident_map = \"m\"\nsslmode = \"verify-full\"\n"
              "session_tickets = true\nticket_key_file = \"tickets\"\n"
              "ciphers = \"DHE+AESGCM\"\ndh_params_file = \"dh.pem\"") //
        "root_ca = \"root.crt\"\nclient_cert = \"c.crt\"\nclient_key = \"c.key\"\n"
        "crl_file = \"b.crl\"\ncrl_dir = \"more\"\n");
    static const char *const paths[] = {
        "/etc/pgtls/a.crt",  "/b.crt",           "/etc/pgtls/a.key",    "/etc/pgtls/ca.crt",
        "/etc/pgtls/a.crl",  "/etc/pgtls/crls",  "/etc/pgtls/ident",    "/etc/pgtls/tickets",
        "/etc/pgtls/dh.pem", "/etc/pgtls/c.crt", "/etc/pgtls/root.crt", "/etc/pgtls/c.key",
        "/etc/pgtls/b.crl",  "/etc/pgtls/more",
    };
    struct file_list files;

    assert_true(settings_paths(settings, &files));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!has(&files, paths[i]))
            print_error("%s\n", paths[i]);
        assert_true(has(&files, paths[i]));
    }
    assert_int_equal(files.count, sizeof paths / sizeof *paths);
    settings_paths_fini(&files);
    settings_free(settings);
}

static void words_in_place_of_a_file_are_not(void **state)
{
    struct proxy_settings *settings =
        load(ROUTE("one", "1", "sslmode = \"disable\"") "root_ca = \"system\"\n");
    struct file_list files;

    assert_true(settings_paths(settings, &files));
    assert_int_equal(files.count, 0);
    settings_paths_fini(&files);
    settings_free(settings);
}

#define TLS "server_cert = \"s.crt\"\nserver_key = \"s.key\"\n"

static void the_shortest_interval_counts_and_who_says_never_has_no_part(void **state)
{
    struct proxy_settings *settings =
        load(ROUTE("a", "1", TLS) ROUTE("b", "2", TLS "cert_refresh_interval = \"10s\"") //
             ROUTE("c", "3",
                   "server_cert = \"t.crt\"\nserver_key = \"t.key\"\n"
                   "cert_refresh_interval = \"0s\""));
    struct file_list files;

    assert_int_equal(settings_refresh_interval_us(settings), MINUTE / 6);
    assert_true(settings_paths(settings, &files));
    assert_int_equal(files.count, 4);
    assert_false(has(&files, "/etc/pgtls/t.crt"));
    settings_paths_fini(&files);
    settings_free(settings);
    settings = load(ROUTE("a", "1", TLS "cert_refresh_interval = \"0s\""));
    assert_int_equal(settings_refresh_interval_us(settings), 0);
    settings_free(settings);
}

static void files_of_hosts_are_watched(void **state)
{
    struct proxy_settings *settings =
        load(ROUTE("a", "1", TLS) "[[proxy.host]]\nnames = [\"a.example.com\"]\n"
                                  "server_cert = \"h.crt\"\nserver_key = \"h.key\"\n"
                                  "[proxy.host.backend]\naddress = \"127.0.0.1:5432\"\n"
                                  "sslmode = \"verify-ca\"\nroot_ca = \"h-root.crt\"\n"
                                  "[[proxy.host]]\nnames = [\"*\"]\n");
    struct file_list files;

    assert_true(settings_paths(settings, &files));
    assert_true(has(&files, "/etc/pgtls/h.crt") && has(&files, "/etc/pgtls/h.key") &&
                has(&files, "/etc/pgtls/h-root.crt") && has(&files, "/etc/pgtls/s.crt"));
    settings_paths_fini(&files);
    settings_free(settings);
}

static void without_memory_there_is_no_list(void **state)
{
    struct proxy_settings *settings = load(ROUTE("a", "1", TLS));
    struct file_list       files;

    alloc_fail_at(1);
    assert_false(settings_paths(settings, &files));
    assert_true(alloc_has_failed());
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_of_both_sides_is_watched),
        cmocka_unit_test(words_in_place_of_a_file_are_not),
        cmocka_unit_test(the_shortest_interval_counts_and_who_says_never_has_no_part),
        cmocka_unit_test(files_of_hosts_are_watched),
        cmocka_unit_test(without_memory_there_is_no_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

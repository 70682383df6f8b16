/* SPDX-License-Identifier: PostgreSQL */
/* Where settings come from beside their route: defaults, included files, --set. */
#include "harness/alloc.h"
#include "harness/check.h"
#include "proxy/settings_override.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUTE(name, address)                                                                   \
    "[[proxy]]\nname = \"" name "\"\nlistener.bind_address = \"" address "\"\n"
#define PLAIN_BACKEND "backend.address = \"127.0.0.1:2\"\n"
#define CERTIFICATES  "server_cert = \"s.crt\"\nserver_key = \"s.key\"\n"

/* A folder of files, gone with the test. */
struct place {
    char folder[64];
    char names[8][80];
    int  count;
};

static void place_init(struct place *place)
{
    *place = (struct place){ .folder = "/tmp/pgtls-sources-XXXXXX" };
    assert_non_null(mkdtemp(place->folder));
}

static const char *put_file(struct place *place, const char *name, const char *text)
{
    char *path = place->names[place->count++], folder[sizeof place->folder];
    FILE *file;

    memcpy(folder, place->folder, sizeof folder);
    snprintf(path, sizeof place->names[0], "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static void place_fini(struct place *place)
{
    while (place->count > 0)
        unlink(place->names[--place->count]);
    assert_int_equal(rmdir(place->folder), 0);
}

static struct proxy_settings *load(const char *file, const char *const *sets, size_t count,
                                   struct conf_problems *problems)
{
    const struct settings_source source = { .file = file, .sets = sets, .set_count = count };

    return settings_load(&source, problems);
}

static void assert_told(const struct conf_problems *problems, const char *folder,
                        const char *expected)
{
    struct buf told = BUF_LIMIT(10000);

    for (size_t i = 0; i < problems->count; i++) {
        const char *text = problems->items[i].text;

        for (const char *at; (at = strstr(text, folder)) != NULL;
             text = at + strlen(folder) + 1)
            buf_put(&told, bytes_of(text, (size_t)(at - text)));
        buf_put_format(&told, "%s\n", text);
    }
    buf_put_u8(&told, 0);
    assert_string_equal((const char *)buf_bytes(&told).p, expected);
    buf_fini(&told);
}

/* ---- defaults ---- */

static struct proxy_settings *load_good(const char *text)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings =
        settings_load_text("/etc/t.toml", bytes_of_string(text), &problems);

    assert_told(&problems, "/etc", "");
    conf_problems_fini(&problems);
    return settings;
}

static void a_default_that_has_no_effect_on_a_route_is_left_out_there(void **state)
{
    struct proxy_settings *settings = load_good(
        "[defaults.listener]\n" CERTIFICATES "client_ca = \"c.crt\"\nmtls = true\n"
        "cancel = \"tls-only\"\nmax_record_size = \"4KiB\"\nunix_socket_mode = \"0666\"\n"
        "[defaults.backend]\nroot_ca = \"r.crt\"\nverify_name = \"db\"\nsni = \"db\"\n"
        "source_address = \"10.0.0.1\"\ntls_enabled = true\n" ROUTE(
            "tls", "127.0.0.1:1") "backend.address = \"db.example.com:2\"\n" ROUTE("clear",
                                                                                   "127.0.0.1:"
                                                                                   "3")
            PLAIN_BACKEND
        "listener.sslmode = \"disable\"\nbackend.sslmode = \"disable\"\n" ROUTE(
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
                 "[defaults.listener]\n" CERTIFICATES "%s" ROUTE("r", "127.0.0.1:1")
                     PLAIN_BACKEND "%s",
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
            "[defaults.backend]\nsslmode = \"verify-full\"\nroot_ca = \"r\"\n" ROUTE(
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
            "[defaults]\ncolour = 1\n" ROUTE("a", "127.0.0.1:1")
                PLAIN_BACKEND ROUTE("b", "127.0.0.1:2") PLAIN_BACKEND),
        &problems));
    assert_int_equal(problems.count, 3);
    assert_non_null(
        strstr(problems.items[0].text, ":2: route \"a\": defaults.listener.deny: "));
    assert_non_null(
        strstr(problems.items[1].text, ":4: route \"a\": defaults.limits.tcp_keepalive: "));
    assert_non_null(strstr(problems.items[2].text, ":6: defaults.colour: "));
    conf_problems_fini(&problems);
}

/* ---- included files ---- */

static void included_routes_follow_in_the_order_of_file_names(void **state)
{
    struct place           place;
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;
    const char            *file;

    place_init(&place);
    put_file(&place, "b.inc", ROUTE("third", "127.0.0.1:3") PLAIN_BACKEND);
    put_file(
        &place, "a.inc",
        "[[proxy]]\nlistener.bind_address = \"127.0.0.1:2\"\n"
        "listener.server_cert = \"s.crt\"\nlistener.server_key = \"s.key\"\n" PLAIN_BACKEND);
    file = put_file(&place, "main.toml",
                    "include = [\"*.inc\", \"none/*.toml\"]\n"
                    "defaults.limits.max_connections = 5\n" ROUTE("first", "127.0.0.1:1")
                        PLAIN_BACKEND);
    settings = load(file, NULL, 0, &problems);
    assert_told(&problems, place.folder, "");
    assert_int_equal(settings->route_count, 3);
    assert_string_equal(settings->routes[0].name, "first");
    assert_string_equal(settings->routes[1].name, "proxy[1]");
    assert_string_equal(settings->routes[2].name, "third");
    assert_int_equal(settings->routes[2].limits.max_connections, 5);
    assert_memory_equal(settings->routes[1].listener.server_cert.items[0], place.folder,
                        strlen(place.folder));
    settings_free(settings);
    place_fini(&place);
}

static void a_fifo_is_no_file_to_include(void **state)
{
    struct place         place;
    struct conf_problems problems = { 0 };
    const char          *file;

    place_init(&place);
    file = put_file(&place, "a.inc", "");
    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    file = put_file(&place, "main.toml",
                    "include = [\"*.inc\"]\n" ROUTE("x", "127.0.0.1:1") PLAIN_BACKEND);
    alarm(10);
    assert_null(load(file, NULL, 0, &problems));
    alarm(0);
    assert_told(&problems, place.folder, "a.inc: cannot be read: not a regular file\n");
    conf_problems_fini(&problems);
    place_fini(&place);
}

static void problems_of_included_files_name_them(void **state)
{
    struct place         place;
    struct conf_problems problems = { 0 };
    const char          *file;

    place_init(&place);
    put_file(&place, "a.inc",
             "workers = 2\n" ROUTE("x", "127.0.0.1:1") PLAIN_BACKEND "colour = 1\n");
    put_file(&place, "b.inc", "= 5\n");
    put_file(&place, "c.inc", ROUTE("x", "127.0.0.1:1") PLAIN_BACKEND);
    file = put_file(&place, "main.toml",
                    "defaults.listener.sslmode = \"require\"\n"
                    "include = [\"*.inc\", \"d.toml\"]\nuser = 5\n");
    assert_null(load(file, NULL, 0, &problems));
    assert_told(
        &problems, place.folder,
        "main.toml:1: route \"x\": defaults.listener.sslmode: \"require\" needs server_cert; "
        "name "
        "the server's certificate file\n"
        "main.toml:1: route \"x\": defaults.listener.sslmode: \"require\" needs server_key; "
        "name "
        "the key file of server_cert\n"
        "main.toml:2: include: \"d.toml\" is not there\n"
        "main.toml:3: user: is a number, not text; write it in quotes\n"
        "a.inc:1: workers: an included file has only [[proxy]]; write it into main.toml\n"
        "a.inc:6: route \"x\": colour: unknown setting\n"
        "b.inc:1: not TOML: error while parsing root table: expected keys, tables, "
        "whitespace or comments, saw '='\n"
        "c.inc:2: route \"x\": name: \"x\" is taken by route \"x\" in a.inc:3\n"
        "c.inc:3: route \"x\": listener.bind_address: \"127.0.0.1:1\" is taken by route \"x\" "
        "in a.inc:4\n");
    conf_problems_fini(&problems);
    place_fini(&place);
}

static void a_folder_with_the_signs_of_a_pattern_is_none(void **state)
{
    struct place           place;
    char                   inner[100], name[200];
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;

    place_init(&place);
    snprintf(inner, sizeof inner, "%s/[a]*", place.folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    put_file(&place, "[a]*/r.inc", ROUTE("x", "127.0.0.1:1") PLAIN_BACKEND);
    snprintf(name, sizeof name, "%s",
             put_file(&place, "[a]*/main.toml", "include = \"*.inc\"\n"));
    settings = load(name, NULL, 0, &problems);
    assert_told(&problems, place.folder, "");
    assert_int_equal(settings->route_count, 1);
    settings_free(settings);
    while (place.count > 0)
        unlink(place.names[--place.count]);
    rmdir(inner);
    place_fini(&place);
}

/* ---- --set ---- */

#define MAIN                                                                                   \
    ROUTE("a.b", "127.0.0.1:1")                                                                \
    PLAIN_BACKEND "limits.max_connections = 7\n" ROUTE("c", "127.0.0.1:"                       \
                                                            "3") PLAIN_BACKEND

static void what_is_set_wins_over_the_file(void **state)
{
    static const char *const sets[] = {
        "workers=3",
        "log_level=warn,tls=debug",
        "defaults.limits.max_connections=5",
        "proxy.\"a.b\".limits.max_connections = 9",
        "proxy.'a.b'.limits.idle_timeout=5min",
        "proxy.c.limits.idle_timeout=\"7s\"",
        "proxy.c.backend.address=[::1]:77",
        "proxy.\"a.b\".backend.address=[\"a:1\", \"b:2\"]",
        "proxy.\"a.b\".backend.sslmode=disable",
        "proxy.c.protocol='postgresql'",
        "proxy.c.listener.allow=[\"10.0.0.0/8\"]",
        "proxy.c.limits.idle_timeout=8s",
    };
    struct place           place;
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;

    place_init(&place);
    settings =
        load(put_file(&place, "main.toml", MAIN), sets, sizeof sets / sizeof *sets, &problems);
    assert_told(&problems, place.folder, "");
    assert_int_equal(settings->workers, 3);
    assert_string_equal(settings->log_level, "warn,tls=debug");
    assert_int_equal(settings->routes[0].limits.max_connections, 9);
    assert_int_equal(settings->routes[1].limits.max_connections, 5);
    assert_int_equal(settings->routes[0].limits.idle_timeout_us, 300000000);
    assert_int_equal(settings->routes[1].limits.idle_timeout_us, 8000000);
    assert_string_equal(settings->routes[1].backend.addresses.items[0], "[::1]:77");
    assert_int_equal(settings->routes[0].backend.addresses.count, 2);
    assert_string_equal(settings->routes[1].listener.allow.items[0], "10.0.0.0/8");
    settings_free(settings);
    place_fini(&place);
}

/* 123 is a number in a file, but the setting is text. */
static void text_needs_no_quotes(void **state)
{
    static const char *const sets[] = { "proxy.c.backend.sni=123",
                                        "proxy.c.backend.root_ca=r.crt",
                                        "proxy.c.backend.verify_name=true" };
    struct place             place;
    struct conf_problems     problems = { 0 };
    struct proxy_settings   *settings;

    place_init(&place);
    settings = load(put_file(&place, "main.toml", MAIN), sets, 3, &problems);
    assert_told(&problems, place.folder, "");
    assert_string_equal(settings->routes[1].backend.sni, "123");
    assert_string_equal(settings->routes[1].backend.verify_name, "true");
    assert_memory_equal(settings->routes[1].backend.root_ca, place.folder,
                        strlen(place.folder));
    settings_free(settings);
    place_fini(&place);
}

static void what_is_wrong_with_a_set_is_told_behind_its_path(void **state)
{
    static const struct {
        const char *set, *told;
    } rows[] = {
        { "x", "--set x: is not PATH=VALUE; " },
        { "", "--set : is not PATH=VALUE; " },
        { "=5", "--set : names no setting; " },
        { "log_level=info\nworkers=1", "--set log_level: is not PATH=VALUE; " },
        { "colour=red", "--set colour: unknown setting\n" },
        { "sslmode=require",
          "--set sslmode: unknown setting; it belongs to [proxy.listener]\n" },
        { "proxy=1", "--set proxy: names no setting; " },
        { "proxy.c=1", "--set proxy.c: names no setting; " },
        { "proxy.c.listener=1", "--set proxy.c.listener: names no setting; " },
        { "proxy.c.colours.x=1", "--set proxy.c.colours.x: names no setting; " },
        { "defaults.colours.x=1", "--set defaults.colours.x: names no setting; " },
        { "proxy.c.limits.x.y=1", "--set proxy.c.limits.x.y: names no setting; " },
        { "proxy..c=1", "--set proxy..c: names no setting; " },
        { "proxy.c.name=d", "--set proxy.c.name: a name cannot be set, it is how a route is "
                            "found\n" },
        { "proxy.d.protocol=x", "--set proxy.d.protocol: there is no route \"d\"" },
        { "proxy.c.protocol=x", "--set proxy.c.protocol: \"x\" is not one of postgresql\n" },
        { "workers=many", "--set workers: \"many\" is not a value of TOML\n" },
        { "workers=\"4\"", "--set workers: is text, not a number; write it without quotes\n" },
        { "workers=4, x=5", "--set workers: \"4, x=5\" is not a value of TOML\n" },
        { "proxy.c.limits.login_timeout=\"5",
          "--set proxy.c.limits.login_timeout: \"\"5\" is not "
          "a value of TOML\n" },
        { "proxy.c.listener.allow=[\"x\"]", "--set proxy.c.listener.allow: " },
        { "defaults.listener.bind_address=",
          "--set defaults.listener.bind_address: is empty\n" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct place         place;
        struct conf_problems problems = { 0 };

        place_init(&place);
        assert_null(load(put_file(&place, "main.toml", MAIN), &rows[i].set, 1, &problems));
        assert_int_equal(problems.count, 1);
        if (strncmp(problems.items[0].text, rows[i].told, strcspn(rows[i].told, "\n")) != 0)
            print_error("%s\n", problems.items[0].text);
        assert_memory_equal(problems.items[0].text, rows[i].told, strcspn(rows[i].told, "\n"));
        if (rows[i].told[strlen(rows[i].told) - 1] == '\n')
            assert_int_equal(strlen(problems.items[0].text), strlen(rows[i].told) - 1);
        conf_problems_fini(&problems);
        place_fini(&place);
    }
}

static void a_set_cut_anywhere_is_applied_or_told(void **state)
{
    static const char text[] = "proxy.\"a.b\".backend.address=[\"a:1\",\"b:2\"]";

    for (size_t cut = 0; cut < sizeof text; cut++) {
        char                   set[sizeof text];
        const char            *sets[] = { set };
        struct conf_problems   problems = { 0 };
        struct place           place;
        struct proxy_settings *settings;

        snprintf(set, sizeof set, "%.*s", (int)cut, text);
        place_init(&place);
        settings = load(put_file(&place, "main.toml", MAIN), sets, 1, &problems);
        assert_true((settings == NULL) == (problems.error_count > 0));
        settings_free(settings);
        conf_problems_fini(&problems);
        place_fini(&place);
    }
}

static void problems_found_later_name_the_set_too(void **state)
{
    static const char *const sets[] = { "proxy.c.limits.max_connections=5", "user=nobody" };
    struct conf_problems     problems = { 0 };
    struct place             place;
    struct proxy_settings   *settings;

    place_init(&place);
    settings = load(put_file(&place, "main.toml", MAIN), sets, 2, &problems);
    settings_problem(&problems, false, &settings->routes[1], "limits.max_connections",
                     "too few");
    settings_top_problem(&problems, true, settings, "user", "is %s", "nobody");
    settings_top_problem(&problems, true, settings, "workers", "are few");
    assert_told(&problems, place.folder,
                "--set proxy.c.limits.max_connections: too few\n"
                "--set user: warning: is nobody\n"
                "main.toml: warning: workers: are few\n");
    settings_free(settings);
    conf_problems_fini(&problems);
    place_fini(&place);
}

static void without_memory_nothing_is_loaded_and_nothing_leaks(void **state)
{
    static const char *const sets[] = { "proxy.x.limits.max_connections=5",
                                        "defaults.backend.sni=s", "log_level=warn" };
    struct place             place;
    const char              *file;

    place_init(&place);
    put_file(&place, "a.inc", ROUTE("x", "127.0.0.1:1") "backend.address = \"h:1\"\n");
    file = put_file(&place, "main.toml",
                    "include = \"*.inc\"\n[defaults.backend]\nroot_ca = \"r\"\n"
                    "source_address = [\"10.0.0.1\"]\n");
    for (unsigned n = 1;; n++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings;

        alloc_fail_at(n);
        settings = load(file, sets, 3, &problems);
        if (!alloc_has_failed()) {
            assert_non_null(settings);
            settings_free(settings);
            break;
        }
        if (settings != NULL || problems.error_count == 0)
            print_error("allocation %u\n", n);
        assert_null(settings);
        assert_true(problems.error_count > 0);
        conf_problems_fini(&problems);
        assert_true(n < 1000);
    }
    place_fini(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_default_that_has_no_effect_on_a_route_is_left_out_there),
        cmocka_unit_test(of_two_that_contradict_each_other_the_one_of_the_route_wins),
        cmocka_unit_test(a_mode_of_the_defaults_is_never_left_out),
        cmocka_unit_test(a_bad_default_is_told_once_for_all_routes),
        cmocka_unit_test(included_routes_follow_in_the_order_of_file_names),
        cmocka_unit_test(problems_of_included_files_name_them),
        cmocka_unit_test(a_fifo_is_no_file_to_include),
        cmocka_unit_test(a_folder_with_the_signs_of_a_pattern_is_none),
        cmocka_unit_test(what_is_set_wins_over_the_file),
        cmocka_unit_test(text_needs_no_quotes),
        cmocka_unit_test(what_is_wrong_with_a_set_is_told_behind_its_path),
        cmocka_unit_test(a_set_cut_anywhere_is_applied_or_told),
        cmocka_unit_test(problems_found_later_name_the_set_too),
        cmocka_unit_test(without_memory_nothing_is_loaded_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

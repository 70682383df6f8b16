/* SPDX-License-Identifier: PostgreSQL */
/* --set. */
#include "proxy/settings_override.h"

#include "harness/alloc.h"
#include "harness/settings_place.h"

#define MAIN                                                                                   \
    ROUTE_AT("a.b", "127.0.0.1:1")                                                             \
    BACKEND_LINE "limits.max_connections = 7\n" ROUTE_AT("c", "127.0.0.1:"                     \
                                                              "3") BACKEND_LINE

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
    settings = load_file(put_file(&place, "main.toml", MAIN), sets, sizeof sets / sizeof *sets,
                         &problems);
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
    settings = load_file(put_file(&place, "main.toml", MAIN), sets, 3, &problems);
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
        assert_null(load_file(put_file(&place, "main.toml", MAIN), &rows[i].set, 1, &problems));
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
        settings = load_file(put_file(&place, "main.toml", MAIN), sets, 1, &problems);
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
    settings = load_file(put_file(&place, "main.toml", MAIN), sets, 2, &problems);
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
    put_file(&place, "a.inc", ROUTE_AT("x", "127.0.0.1:1") "backend.address = \"h:1\"\n");
    file = put_file(&place, "main.toml",
                    "include = \"*.inc\"\n[defaults.backend]\nroot_ca = \"r\"\n"
                    "source_address = [\"10.0.0.1\"]\n");
    for (unsigned n = 1;; n++) {
        struct conf_problems   problems = { 0 };
        struct proxy_settings *settings;

        alloc_fail_at(n);
        settings = load_file(file, sets, 3, &problems);
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
        cmocka_unit_test(what_is_set_wins_over_the_file),
        cmocka_unit_test(text_needs_no_quotes),
        cmocka_unit_test(what_is_wrong_with_a_set_is_told_behind_its_path),
        cmocka_unit_test(a_set_cut_anywhere_is_applied_or_told),
        cmocka_unit_test(problems_found_later_name_the_set_too),
        cmocka_unit_test(without_memory_nothing_is_loaded_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

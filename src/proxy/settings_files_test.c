/* SPDX-License-Identifier: PostgreSQL */
/* Included files. */
#include "harness/settings_place.h"

#include <sys/stat.h>

static void included_routes_follow_in_the_order_of_file_names(void **state)
{
    struct place           place;
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings;
    const char            *file;

    place_init(&place);
    put_file(&place, "b.inc", ROUTE_AT("third", "127.0.0.1:3") BACKEND_LINE);
    put_file(
        &place, "a.inc",
        "[[proxy]]\nlistener.bind_address = \"127.0.0.1:4\"\n"
        "listener.server_cert = \"s.crt\"\nlistener.server_key = \"s.key\"\n" BACKEND_LINE);
    file = put_file(&place, "main.toml",
                    "include = [\"*.inc\", \"none/*.toml\"]\n"
                    "defaults.limits.max_connections = 5\n" ROUTE_AT("first", "127.0.0.1:1")
                        BACKEND_LINE);
    settings = load_file(file, NULL, 0, &problems);
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
                    "include = [\"*.inc\"]\n" ROUTE_AT("x", "127.0.0.1:1") BACKEND_LINE);
    alarm(10);
    assert_null(load_file(file, NULL, 0, &problems));
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
             "workers = 2\n" ROUTE_AT("x", "127.0.0.1:1") BACKEND_LINE "colour = 1\n");
    put_file(&place, "b.inc", "= 5\n");
    put_file(&place, "c.inc", ROUTE_AT("x", "127.0.0.1:1") BACKEND_LINE);
    file = put_file(&place, "main.toml",
                    "defaults.listener.sslmode = \"require\"\n"
                    "include = [\"*.inc\", \"d.toml\"]\nuser = 5\n");
    assert_null(load_file(file, NULL, 0, &problems));
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
    put_file(&place, "[a]*/r.inc", ROUTE_AT("x", "127.0.0.1:1") BACKEND_LINE);
    snprintf(name, sizeof name, "%s",
             put_file(&place, "[a]*/main.toml", "include = \"*.inc\"\n"));
    settings = load_file(name, NULL, 0, &problems);
    assert_told(&problems, place.folder, "");
    assert_int_equal(settings->route_count, 1);
    settings_free(settings);
    while (place.count > 0)
        unlink(place.names[--place.count]);
    rmdir(inner);
    place_fini(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(included_routes_follow_in_the_order_of_file_names),
        cmocka_unit_test(a_fifo_is_no_file_to_include),
        cmocka_unit_test(problems_of_included_files_name_them),
        cmocka_unit_test(a_folder_with_the_signs_of_a_pattern_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

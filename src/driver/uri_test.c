/* SPDX-License-Identifier: PostgreSQL */
#include "driver/uri.h"

#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>
#include <string.h>

static struct parameters read_good(const char *text)
{
    struct parameters p;
    struct failure    why = { 0 };

    parameters_init(&p);
    if (uri_read(&p, text, &why) != FAIL_NONE)
        print_error("%s: %s\n", text, why.text);
    assert_false(failed(&why));
    return p;
}

static void assert_says(const char *text, enum parameter parameter, const char *value)
{
    struct parameters p = read_good(text);

    assert_string_equal(parameters_get(&p, parameter), value);
    parameters_fini(&p);
}

static struct failure read_bad(const char *text)
{
    struct parameters p;
    struct failure    why = { 0 };

    parameters_init(&p);
    assert_int_equal(uri_read(&p, text, &why), FAIL_CONFIG);
    assert_null(strstr(why.text, "sesame"));
    assert_null(strstr(why.hint, "sesame"));
    parameters_fini(&p);
    return why;
}

static void every_part_of_a_uri_is_read(void **state)
{
    static const char uri[] = "postgresql://al%69ce:open%20sesame@db.example:6432/"
                              "orders?sslmode=require&options=-c%20x";

    assert_says(uri, PARAMETER_USER, "alice");
    assert_says(uri, PARAMETER_PASSWORD, "open sesame");
    assert_says(uri, PARAMETER_HOST, "db.example");
    assert_says(uri, PARAMETER_PORT, "6432");
    assert_says(uri, PARAMETER_DBNAME, "orders");
    assert_says(uri, PARAMETER_SSLMODE, "require");
    assert_says(uri, PARAMETER_OPTIONS, "-c x");
}

static void parts_may_be_missing(void **state)
{
    struct parameters p = read_good("postgresql://");

    for (enum parameter i = 0; i < PARAMETER_COUNT; i++)
        assert_null(p.values[i]);
    parameters_fini(&p);
    assert_says("postgres://h", PARAMETER_HOST, "h");
    assert_says("postgres:///db", PARAMETER_DBNAME, "db");
    assert_says("postgres://u@/db", PARAMETER_USER, "u");
    assert_says("postgres://?host=h", PARAMETER_HOST, "h");
    assert_says("postgres://h?ssl=true", PARAMETER_SSLMODE, "require");
    assert_says("", PARAMETER_HOST, "");
}

static void hosts_are_lists_and_addresses_stand_in_brackets(void **state)
{
    assert_says("postgresql://a:1,b,[::1]:3/", PARAMETER_HOST, "a,b,::1");
    assert_says("postgresql://a:1,b,[::1]:3/", PARAMETER_PORT, "1,,3");
    assert_says("postgresql://a,b/", PARAMETER_PORT, "");
    assert_says("postgresql://%2Fvar%2Frun/db", PARAMETER_HOST, "/var/run");
}

static void key_value_strings_have_quotes_and_backslashes(void **state)
{
    static const char words[] = " host = db  password='it\\'s \\\\ open sesame'user=al\\ ice ";

    assert_says(words, PARAMETER_HOST, "db");
    assert_says(words, PARAMETER_PASSWORD, "it's \\ open sesame");
    assert_says(words, PARAMETER_USER, "al ice");
    assert_says("password=''", PARAMETER_PASSWORD, "");
}

static void redis_has_its_own_words(void **state)
{
    static const char uri[] = "rediss://:open@cache:6380/3?cacert=ca&cert=c&key=k&sni=n";
    struct parameters p = read_good(uri);

    assert_int_equal(p.protocol, PARAMETERS_REDIS);
    parameters_fini(&p);
    assert_says(uri, PARAMETER_PASSWORD, "open");
    assert_says(uri, PARAMETER_SSLROOTCERT, "ca");
    assert_says(uri, PARAMETER_SSLCERT, "c");
    assert_says(uri, PARAMETER_SSLKEY, "k");
    assert_says(uri, PARAMETER_SNI, "n");
    assert_says(uri, PARAMETER_DBNAME, "3");
    assert_says(uri, PARAMETER_SSLMODE, "verify-full");
    assert_says("redis://h", PARAMETER_SSLMODE, "disable");
    read_bad("redis://h?sslmode=require");
}

static void what_is_wrong_is_a_failure_without_the_password(void **state)
{
    struct failure why;

    read_bad("mysql://alice:open%20sesame@h");
    read_bad("postgresql://alice:open%2@h");
    read_bad("postgresql://alice:open%00sesame@h");
    read_bad("postgresql://[::1/db");
    read_bad("postgresql://[::1]x/db");
    read_bad("postgresql://h?sslmode");
    read_bad("password='open sesame");
    read_bad("host");
    why = read_bad("postgresql://alice:sesame@h?sslmod=require");
    assert_string_equal(why.hint, "did you mean \"sslmode\"?");
    why = read_bad("postgresql://h?sslmode=verify");
    assert_non_null(strstr(why.hint, "verify-full"));
}

static void what_cannot_be_parsed_is_not_repeated(void **state)
{
    static const struct {
        const char *text;
        unsigned    at; /* counted from 1 */
    } bad[] = {
        { "postgres//u:sesame@127.0.0.1/0", 1 },
        { "postgres:/u:sesame@h/d", 1 },
        { "postgres:/u:sesame@h/d?sslmode=require", 1 },
        { "postgresql:u:sesame@h/d", 1 },
        { "u:sesame@h/d", 1 },
        { "rediss:/:sesame@h", 1 },
        { "password=open sesame", 15 },
        { "password=open sesame=x", 15 },
        { "password=open  sesame =x", 16 },
        { "host=h password='sesame", 8 },
        { "postgresql://u:open?sesame=x@h", 21 },
        { "postgresql://h?user=u&sesame", 23 },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct failure why = read_bad(bad[i].text);
        char           where[64];

        snprintf(where, sizeof where, "byte %u of the connection string: ", bad[i].at);
        assert_int_equal(strncmp(why.text, where, strlen(where)), 0);
        if (strstr(bad[i].text, "://") == NULL && strstr(why.hint, "did you mean") == NULL) {
            assert_non_null(strstr(why.hint, "postgresql://"));
            assert_non_null(strstr(why.hint, "host=HOST"));
        }
    }
}

static void secrets_are_hidden_in_place(void **state)
{
    static const char *const pairs[][2] = {
        { "postgresql://alice:sesame@h/db", "postgresql://alice:xxxxxx@h/db" },
        { "postgresql://a:s@s/e@h/db?x=y:z@", "postgresql://a:xxxxx@h/db?x=y:z@" },
        { "rediss://:sesame@h", "rediss://:xxxxxx@h" },
        { "postgresql://h:5432/db", "postgresql://h:5432/db" },
        { "host=h password=sesame user=u", "host=h password=xxxxxx user=u" },
        { "password = 'it\\'s' user=u", "password = 'xxxxx' user=u" },
        { "postgresql://h?password=sesame&user=u", "postgresql://h?password=xxxxxx&user=u" },
        { "postgresql://h?sslpassword=sesame", "postgresql://h?sslpassword=xxxxxx" },
        { "host=h scram_client_key=sesame user=u", "host=h scram_client_key=xxxxxx user=u" },
        { "scram_server_key = 'a b' scram_client_key=c", "scram_server_key = 'xxx' "
                                                         "scram_client_key=x" },
        { "postgresql://h?scram_client_key=a'b&scram_server_key=c\\&user=u",
          "postgresql://h?scram_client_key=xxx&scram_server_key=xx&user=u" },
        { "password=a&b\tuser=u", "password=xxx\tuser=u" },
        { "password", "password" },
        { "", "" },
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[80];

        strcpy(text, pairs[i][0]);
        uri_hide_secrets(text);
        assert_string_equal(text, pairs[i][1]);
    }
}

static void no_memory_is_a_failure(void **state)
{
    for (unsigned n = 1; n < 100; n++) {
        struct parameters p;
        struct failure    why = { 0 };
        enum fail         rc;

        parameters_init(&p);
        alloc_fail_at(n);
        rc = uri_read(&p, "postgresql://u:p@h:1/d?sslmode=require", &why);
        if (!alloc_has_failed()) {
            assert_int_equal(rc, FAIL_NONE);
            parameters_fini(&p);
            return;
        }
        assert_int_not_equal(rc, FAIL_NONE);
        parameters_fini(&p);
    }
    assert_true(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_a_uri_is_read),
        cmocka_unit_test(parts_may_be_missing),
        cmocka_unit_test(hosts_are_lists_and_addresses_stand_in_brackets),
        cmocka_unit_test(key_value_strings_have_quotes_and_backslashes),
        cmocka_unit_test(redis_has_its_own_words),
        cmocka_unit_test(what_is_wrong_is_a_failure_without_the_password),
        cmocka_unit_test(what_cannot_be_parsed_is_not_repeated),
        cmocka_unit_test(secrets_are_hidden_in_place),
        cmocka_unit_test(no_memory_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

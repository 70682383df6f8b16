/* SPDX-License-Identifier: PostgreSQL */
#include "driver/sources.h"

#include "driver/uri.h"
#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir;

static int set_up(void **state)
{
    dir = certs_dir_new();
    clearenv();
    setenv("HOME", dir, 1);
    return 0;
}

static int tear_down(void **state)
{
    certs_dir_free(dir);
    return 0;
}

static void write_text(const char *name, const char *text)
{
    char *path = certs_write_text(dir, name, text, strlen(text));

    chmod(path, 0600);
    free(path);
}

static struct parameters filled(const char *text)
{
    struct parameters p;
    struct failure    why = { 0 };

    parameters_init(&p);
    assert_int_equal(uri_read(&p, text, &why), FAIL_NONE);
    if (sources_fill(&p, &why) != FAIL_NONE)
        print_error("%s\n", why.text);
    assert_false(failed(&why));
    return p;
}

static struct failure refused(const char *text)
{
    struct parameters p;
    struct failure    why = { 0 };

    parameters_init(&p);
    assert_int_equal(uri_read(&p, text, &why), FAIL_NONE);
    assert_int_equal(sources_fill(&p, &why), FAIL_CONFIG);
    parameters_fini(&p);
    return why;
}

static void assert_is(const struct parameters *p, enum parameter parameter, const char *value,
                      enum parameter_source source)
{
    assert_string_equal(parameters_get(p, parameter), value);
    assert_int_equal(p->sources[parameter], source);
}

static void nothing_said_is_verify_full_with_the_systems_store(void **state)
{
    struct parameters p = filled("host=h user=u");

    assert_is(&p, PARAMETER_SSLMODE, "verify-full", SOURCE_PRESET);
    assert_is(&p, PARAMETER_SSLROOTCERT, "system", SOURCE_PRESET);
    assert_is(&p, PARAMETER_DBNAME, "u", SOURCE_PRESET);
    assert_is(&p, PARAMETER_PORT, "5432", SOURCE_PRESET);
    assert_is(&p, PARAMETER_SSLCERT, "", SOURCE_NONE);
    parameters_fini(&p);
}

static void the_string_wins_over_the_service_and_that_over_the_environment(void **state)
{
    struct parameters p;

    write_text("services", "# x\n[other]\nhost=no\n\n[mine]\nhost = service\nport=7\nuser=s\n"
                           "[last]\nhost=no\n");
    setenv("PGSERVICEFILE", "/nonexistent", 1);
    setenv("PGSYSCONFDIR", dir, 1);
    write_text("pg_service.conf", "[mine]\nhost = service\nport=7\nuser=s\n[x]\nhost=y\n");
    setenv("PGSERVICE", "mine", 1);
    setenv("PGPORT", "9", 1);
    setenv("PGUSER", "e", 1);
    setenv("PGDATABASE", "e", 1);
    p = filled("postgresql://string");
    assert_is(&p, PARAMETER_HOST, "string", SOURCE_STRING);
    assert_is(&p, PARAMETER_PORT, "7", SOURCE_SERVICE);
    assert_is(&p, PARAMETER_USER, "s", SOURCE_SERVICE);
    assert_is(&p, PARAMETER_DBNAME, "e", SOURCE_ENVIRONMENT);
    parameters_fini(&p);
}

static void services_that_are_not_there_or_broken_are_failures(void **state)
{
    struct failure why;

    setenv("PGSYSCONFDIR", dir, 1);
    why = refused("service=nobody");
    assert_non_null(strstr(why.text, "\"nobody\""));
    write_text("pg_service.conf", "[a]\nhost\n[b]\nservice=a\n[c]\nhos=x\n[d]\nsslmode=x\n");
    why = refused("service=a");
    assert_non_null(strstr(why.text, "without \"=\""));
    why = refused("service=b");
    assert_non_null(strstr(why.text, "another"));
    why = refused("service=c");
    assert_non_null(strstr(why.text, "\"hos\""));
    refused("service=d");
}

static void a_service_file_that_is_a_fifo_is_refused_at_once(void **state)
{
    char           path[512];
    struct failure why;

    snprintf(path, sizeof path, "%s/services", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    setenv("PGSERVICEFILE", path, 1);
    alarm(10);
    why = refused("service=a");
    alarm(0);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, "not a regular file"));
}

static void files_of_the_home_directory_are_found(void **state)
{
    struct parameters p;
    char              path[512];

    snprintf(path, sizeof path, "%s/.postgresql", dir);
    mkdir(path, 0700);
    write_text(".postgresql/root.crt", "x");
    write_text(".postgresql/postgresql.crt", "x");
    write_text(".postgresql/postgresql.key", "x");
    p = filled("host=h user=u");
    snprintf(path, sizeof path, "%s/.postgresql/root.crt", dir);
    assert_is(&p, PARAMETER_SSLROOTCERT, path, SOURCE_HOME);
    assert_int_equal(p.sources[PARAMETER_SSLCERT], SOURCE_HOME);
    assert_int_equal(p.sources[PARAMETER_SSLKEY], SOURCE_HOME);
    parameters_fini(&p);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "root.crt", "postgresql.crt", "postgresql.key" };

        snprintf(path, sizeof path, "%s/.postgresql/%s", dir, names[i]);
        remove(path);
    }
    snprintf(path, sizeof path, "%s/.postgresql", dir);
    remove(path);
}

static void combinations_that_cannot_be_are_failures(void **state)
{
    refused("host=h sslmode=prefer sslnegotiation=direct");
    refused("host=h sslcert=x");
    refused("host=h sslrootcert=system sslmode=verify-ca");
    setenv("PGSSLMODE", "all", 1);
    assert_non_null(strstr(refused("host=h").text, "PGSSLMODE"));
}

static void redis_takes_nothing_of_postgresqls(void **state)
{
    struct parameters p;

    setenv("PGPASSWORD", "sesame", 1);
    setenv("PGSSLROOTCERT", "x", 1);
    p = filled("rediss://cache");
    assert_is(&p, PARAMETER_PASSWORD, "", SOURCE_NONE);
    assert_is(&p, PARAMETER_SSLROOTCERT, "system", SOURCE_PRESET);
    assert_is(&p, PARAMETER_PORT, "6379", SOURCE_PRESET);
    parameters_fini(&p);
}

static void lists_become_endpoints(void **state)
{
    struct parameters p = filled("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1, user=u");
    struct endpoints  e;
    struct failure    why = { 0 };

    assert_int_equal(sources_endpoints(&p, &e, &why), FAIL_NONE);
    assert_int_equal(e.count, 2);
    assert_string_equal(e.items[1].host, "b");
    assert_string_equal(e.items[1].connect_to, "10.0.0.2");
    assert_int_equal(e.items[0].port, 1);
    assert_int_equal(e.items[1].port, 5432);
    parameters_fini(&p);
}

static void lists_of_other_lengths_and_odd_ports_are_failures(void **state)
{
    static const char *const bad[] = { "host=a,b hostaddr=10.0.0.1", "host=a,b,c port=1,2",
                                       "host=a port=0", "host=a port=65536", "host=a port=x" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parameters p = filled(bad[i]);
        struct endpoints  e;
        struct failure    why = { 0 };

        assert_int_equal(sources_endpoints(&p, &e, &why), FAIL_CONFIG);
        parameters_fini(&p);
    }
}

static void the_password_is_that_of_the_endpoint(void **state)
{
    struct parameters p;
    struct endpoints  e;
    struct failure    why = { 0 };
    char              warning[256], *password;

    write_text(".pgpass", "a:*:*:*:first\nb:5432:*:u:second\nlocalhost:*:*:*:here\n");
    p = filled("host=a,b,/run user=u");
    assert_int_equal(sources_endpoints(&p, &e, &why), FAIL_NONE);
    password = sources_password(&p, &e.items[1], warning);
    assert_string_equal(password, "second");
    free(password);
    password = sources_password(&p, &e.items[2], warning);
    assert_string_equal(password, "here");
    free(password);
    parameters_fini(&p);
    p = filled("host=a user=u password=mine");
    password = sources_password(&p, &e.items[0], warning);
    assert_string_equal(password, "mine");
    free(password);
    parameters_fini(&p);
}

static void no_memory_is_a_failure(void **state)
{
    for (unsigned n = 1; n < 200; n++) {
        struct parameters p;
        struct failure    why = { 0 };
        enum fail         rc = FAIL_NONE;

        parameters_init(&p);
        assert_int_equal(uri_read(&p, "host=h user=u", &why), FAIL_NONE);
        alloc_fail_at(n);
        rc = sources_fill(&p, &why);
        parameters_fini(&p);
        if (!alloc_has_failed()) {
            assert_int_equal(rc, FAIL_NONE);
            return;
        }
        assert_int_equal(rc, FAIL_MEMORY);
    }
    assert_true(false);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH(nothing_said_is_verify_full_with_the_systems_store),
        WITH(the_string_wins_over_the_service_and_that_over_the_environment),
        WITH(services_that_are_not_there_or_broken_are_failures),
        WITH(a_service_file_that_is_a_fifo_is_refused_at_once),
        WITH(files_of_the_home_directory_are_found),
        WITH(combinations_that_cannot_be_are_failures),
        WITH(redis_takes_nothing_of_postgresqls),
        WITH(lists_become_endpoints),
        WITH(lists_of_other_lengths_and_odd_ports_are_failures),
        WITH(the_password_is_that_of_the_endpoint),
        WITH(no_memory_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

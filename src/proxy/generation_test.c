/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/generation.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "proxy/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY ((int64_t)86400)

struct rig {
    char              *dir, *cert, *key;
    struct generation *generation;
};

static struct rig rig;

/* A certificate that signs itself, and its key; the files are replaced. */
static void write_files(int days)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "db",
                                                      .not_before = time(NULL) - 100 * DAY,
                                                      .not_after = time(NULL) + days * DAY },
                                 NULL);

    free(rig.cert);
    free(rig.key);
    rig.cert = certs_write_chain(rig.dir, "db.crt", (const struct cert *[]){ &cert, NULL });
    rig.key = certs_write_key(rig.dir, "db.key", &cert);
    cert_free(&cert);
}

static struct generation *load(const char *text)
{
    struct conf_problems   problems = { .file = "test.toml" };
    struct proxy_settings *settings =
        settings_load_text("test.toml", bytes_of_string(text), &problems);
    struct generation *generation;

    assert_non_null(settings);
    generation = generation_new(settings, NULL, &problems);
    assert_non_null(generation);
    conf_problems_fini(&problems);
    return generation;
}

static int set_up(void **state)
{
    char text[1024];

    rig = (struct rig){ .dir = certs_dir_new() };
    write_files(90);
    snprintf(text, sizeof text,
             "[[proxy]]\nname = \"one\"\n[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
             "server_cert = \"%s\"\nserver_key = \"%s\"\nclient_ca = \"%s\"\n"
             "[proxy.backend]\naddress = \"127.0.0.1:5432\"\n",
             rig.cert, rig.key, rig.cert);
    rig.generation = load(text);
    return 0;
}

static int tear_down(void **state)
{
    generation_release(rig.generation);
    free(rig.cert);
    free(rig.key);
    certs_dir_free(rig.dir);
    return 0;
}

/* NULL, and the text of the first problem in `told`. */
static struct generation *renew(char told[static 600])
{
    struct conf_problems problems = { .file = "" };
    struct generation   *next = generation_renew(rig.generation, &problems);

    told[0] = '\0';
    if (problems.count > 0)
        snprintf(told, 600, "%s", problems.items[0].text);
    assert_int_equal(next == NULL, problems.error_count > 0);
    conf_problems_fini(&problems);
    return next;
}

static void a_renewal_has_the_settings_and_the_new_files(void **state)
{
    char               told[600];
    struct inventory   before, now;
    struct generation *next;

    write_files(80);
    next = renew(told);
    assert_non_null(next);
    assert_ptr_equal(next->settings, rig.generation->settings);
    assert_int_equal(next->number, 2);
    assert_true(inventory_take(&before, rig.generation));
    assert_true(inventory_take(&now, next));
    assert_int_equal(now.count, 2);
    assert_true(inventory_is_own(&now.items[0]) && !inventory_is_own(&now.items[1]));
    assert_string_not_equal(before.items[0].fingerprint, now.items[0].fingerprint);
    inventory_fini(&before);
    inventory_fini(&now);
    generation_release(rig.generation); /* the settings live on with the other */
    rig.generation = next;
    generation_release(renew(told));
}

static void the_digest_is_of_the_files(void **state)
{
    char               told[600];
    struct generation *next = renew(told);

    assert_non_null(next);
    assert_int_equal(next->files.count, 3);
    assert_true(next->digest == rig.generation->digest);
    generation_release(next);
    write_files(80);
    next = renew(told);
    assert_true(next->digest != rig.generation->digest);
    generation_release(next);
}

static void a_valid_certificate_does_not_give_way_to_an_expired_one(void **state)
{
    char told[600];

    write_files(-1);
    assert_null(renew(told));
    assert_non_null(strstr(told, "listener.server_cert: the certificate has expired"));
}

static void what_several_routes_trust_is_loaded_once(void **state)
{
    char               text[2048];
    struct generation *all;
    struct trust      *first;

    snprintf(text, sizeof text,
             "[defaults.listener]\nserver_cert = \"%s\"\nserver_key = \"%s\"\n"
             "client_ca = \"%s\"\n[[proxy]]\nname = \"one\"\n"
             "[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
             "[proxy.backend]\naddress = \"127.0.0.1:5432\"\nroot_ca = \"%s\"\n"
             "[[proxy]]\nname = \"two\"\n[proxy.listener]\nbind_address = \"127.0.0.1:2\"\n"
             "[proxy.backend]\naddress = \"127.0.0.1:5432\"\n",
             rig.cert, rig.key, rig.cert, rig.cert);
    all = load(text);
    first = tls_policy_options(all->routes[0]->client_policy)->trust;
    assert_non_null(first);
    assert_ptr_equal(tls_policy_options(all->routes[0]->backend_policy)->trust, first);
    assert_ptr_equal(tls_policy_options(all->routes[1]->client_policy)->trust, first);
    generation_release(all);
}

/* Resolvers take the name with it, certificates and SNI without. */
static void a_dot_at_the_end_of_a_server_s_name_is_for_resolvers(void **state)
{
    static const char text[] =
        "[[proxy]]\nlistener.bind_address = \"127.0.0.1:1\"\n[proxy.backend]\n"
        "address = [\"db.example.com.:1\", \"10.0.0.1:1\"]\nsslmode = \"disable\"\n";
    struct generation         *made = load(text);
    const struct route_target *targets = made->routes[0]->targets;

    assert_string_equal(targets[0].host, "db.example.com.");
    assert_string_equal(targets[0].verify_name, "db.example.com");
    assert_string_equal(targets[0].sni, "db.example.com");
    assert_string_equal(targets[1].verify_name, "10.0.0.1");
    generation_release(made);
}

static void without_memory_nothing_is_left_behind(void **state)
{
    bool has_failed = true;

    for (unsigned n = 1; has_failed; n++) {
        struct conf_problems problems = { .file = "" };
        struct generation   *next;

        alloc_fail_at(n);
        next = generation_renew(rig.generation, &problems);
        has_failed = alloc_has_failed();
        assert_int_equal(next == NULL, problems.error_count > 0);
        assert_true(has_failed || next != NULL);
        generation_release(next);
        conf_problems_fini(&problems);
    }
}

#define GENERATION_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GENERATION_TEST(a_renewal_has_the_settings_and_the_new_files),
        GENERATION_TEST(the_digest_is_of_the_files),
        GENERATION_TEST(a_valid_certificate_does_not_give_way_to_an_expired_one),
        GENERATION_TEST(what_several_routes_trust_is_loaded_once),
        cmocka_unit_test(a_dot_at_the_end_of_a_server_s_name_is_for_resolvers),
        GENERATION_TEST(without_memory_nothing_is_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

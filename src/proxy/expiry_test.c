/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/expiry.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "sim/sim_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DAY    ((int64_t)86400)
#define DAY_US ((uint64_t)86400 * 1000000)

/* A root, a CRL of it, and a leaf with its key; the days that each is good for. */
struct days {
    int root, crl, leaf;
};

struct rig {
    int64_t            now;
    struct loop       *loop;
    struct log        *log;
    int                log_fd;
    char              *lines;
    struct expiry     *expiry;
    struct generation *generation;
    char              *dir, *root_file, *crl_file, *leaf_file, *key_file;
};

static struct rig rig;

static struct log *make_log(void)
{
    struct failure     why = { 0 };
    char               path[32];
    struct log_options options = { .file = path };

    rig.log_fd = memfd_create("log", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", rig.log_fd);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    rig.log = log_new(&options, &why);
    assert_non_null(rig.log);
    return rig.log;
}

static void forget_files(void)
{
    free(rig.root_file);
    free(rig.crl_file);
    free(rig.leaf_file);
    free(rig.key_file);
}

static void write_files(struct days days)
{
    struct cert root = cert_make(&(struct cert_spec){ .common_name = "root",
                                                      .is_ca = true,
                                                      .not_after = rig.now + days.root * DAY },
                                 NULL);
    struct cert leaf = cert_make(
        &(struct cert_spec){ .common_name = "leaf", .not_after = rig.now + days.leaf * DAY },
        &root);

    forget_files();
    rig.root_file =
        certs_write_chain(rig.dir, "root.crt", (const struct cert *[]){ &root, NULL });
    rig.crl_file =
        certs_write_crl(rig.dir, "root.crl",
                        &(struct crl_spec){ .this_update = rig.now - DAY,
                                            .next_update = rig.now + days.crl * DAY },
                        &root);
    rig.leaf_file =
        certs_write_chain(rig.dir, "leaf.crt", (const struct cert *[]){ &leaf, NULL });
    rig.key_file = certs_write_key(rig.dir, "leaf.key", &leaf);
    cert_free(&leaf);
    cert_free(&root);
}

/* Two routes that share all files. */
static void load(void)
{
    static const char      text[] = "[[proxy]]\nname = \"%s\"\n[proxy.listener]\n"
                                    "bind_address = \"127.0.0.1:%d\"\nserver_cert = \"%s\"\n"
                                    "server_key = \"%s\"\nclient_ca = \"%s\"\nclient_crl_file = "
                                    "\"%s\"\n[proxy.backend]\naddress = \"127.0.0.1:1\"\n";
    char                   all[8192];
    struct conf_problems   problems = { .file = "test.toml" };
    struct proxy_settings *settings;
    int                    used;

    used = snprintf(all, sizeof all, text, "first", 2, rig.leaf_file, rig.key_file,
                    rig.root_file, rig.crl_file);
    snprintf(all + used, sizeof all - (size_t)used, text, "second", 3, rig.leaf_file,
             rig.key_file, rig.root_file, rig.crl_file);
    settings = settings_load_text("test.toml", bytes_of_string(all), &problems);
    assert_non_null(settings);
    generation_release(rig.generation);
    rig.generation = generation_new(settings, NULL, &problems);
    assert_non_null(rig.generation);
    conf_problems_fini(&problems);
}

static void start(struct days days)
{
    rig = (struct rig){ .now = time(NULL), .dir = certs_dir_new() };
    rig.loop = sim_loop_new(1);
    sim_set_wall(rig.loop, rig.now);
    rig.expiry = expiry_new(rig.loop, make_log());
    assert_non_null(rig.expiry);
    write_files(days);
    load();
    assert_true(expiry_set(rig.expiry, rig.generation));
}

static int finish(void **state)
{
    expiry_free(rig.expiry);
    generation_release(rig.generation);
    loop_free(rig.loop);
    log_free(rig.log);
    if (rig.log_fd > 0)
        close(rig.log_fd);
    forget_files();
    certs_dir_free(rig.dir);
    free(rig.lines);
    return 0;
}

/* Ends the log and reads it. */
static void read_log(void)
{
    ssize_t n;

    log_free(rig.log);
    rig.log = NULL;
    rig.lines = calloc(1, 65536);
    n = pread(rig.log_fd, rig.lines, 65535, 0);
    assert_true(n >= 0);
}

static unsigned count(const char *words)
{
    unsigned found = 0;

    for (const char *at = rig.lines; (at = strstr(at, words)) != NULL; at++)
        found++;
    return found;
}

static void what_ends_soon_is_told_at_load_once_for_all_routes(void **state)
{
    start((struct days){ .root = 13, .crl = 2, .leaf = 29 });
    read_log();
    assert_int_equal(count("certificate.expiring"), 3);
    assert_int_equal(count("days=29"), 1);
    assert_int_equal(count("days=13"), 1);
    assert_int_equal(count("days=2\n"), 1);
    assert_int_equal(count("route=first"), 3);
    assert_int_equal(count("what=certificate"), 1);
    assert_int_equal(count("what=ca"), 1);
    assert_int_equal(count("what=crl"), 1);
    assert_int_equal(count("leg=client"), 3);
    assert_int_equal(count("subject=\"CN=leaf\""), 1);
    assert_int_equal(count("serial="), 2);
    assert_int_equal(count("not_after="), 3);
}

static void what_lasts_is_not_told(void **state)
{
    start((struct days){ .root = 31, .crl = 31, .leaf = 3650 });
    sim_run_for(rig.loop, DAY_US - 60 * (uint64_t)1000000);
    read_log();
    assert_int_equal(count("certificate.expiring"), 0);
}

static void each_warning_comes_once_when_its_day_comes(void **state)
{
    static const int days[] = { 30, 14, 7, 3, 1, 0 };

    start((struct days){ .root = 400, .crl = 400, .leaf = 40 });
    for (int i = 0; i < 60; i++) {
        sim_run_for(rig.loop, DAY_US);
        load(); /* and loading it again tells nothing new */
        assert_true(expiry_set(rig.expiry, rig.generation));
    }
    read_log();
    assert_int_equal(count("certificate.expiring"), 6);
    for (size_t i = 0; i < 6; i++) {
        char words[32];

        snprintf(words, sizeof words, "days=%d\n", days[i]);
        assert_int_equal(count(words), 1);
    }
}

static void a_new_certificate_that_ends_soon_is_told_too(void **state)
{
    start((struct days){ .root = 400, .crl = 400, .leaf = 5 });
    write_files((struct days){ .root = 400, .crl = 400, .leaf = 6 });
    load();
    assert_true(expiry_set(rig.expiry, rig.generation));
    read_log();
    assert_int_equal(count("days=5\n"), 1);
    assert_int_equal(count("days=6\n"), 1);
    assert_int_equal(count("certificate.expiring"), 2);
}

static void out_of_memory_leaves_what_was(void **state)
{
    start((struct days){ .root = 400, .crl = 400, .leaf = 20 });
    write_files((struct days){ .root = 400, .crl = 400, .leaf = 19 });
    load();
    for (unsigned n = 1; n <= 2; n++) {
        alloc_fail_at(n);
        assert_false(expiry_set(rig.expiry, rig.generation));
        assert_true(alloc_has_failed());
    }
    sim_run_for(rig.loop, 15 * DAY_US); /* the old one lives, and is told of */
    assert_true(expiry_set(rig.expiry, rig.generation));
    read_log();
    assert_int_equal(count("certificate.expiring"), 4); /* 20, 14, 7 days; and 4 of the new */
    assert_int_equal(count("days=4\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_ends_soon_is_told_at_load_once_for_all_routes, finish),
        cmocka_unit_test_teardown(what_lasts_is_not_told, finish),
        cmocka_unit_test_teardown(each_warning_comes_once_when_its_day_comes, finish),
        cmocka_unit_test_teardown(a_new_certificate_that_ends_soon_is_told_too, finish),
        cmocka_unit_test_teardown(out_of_memory_leaves_what_was, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

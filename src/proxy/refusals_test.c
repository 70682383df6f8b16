/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/refusals.h"

#include "harness/check.h"
#include "sim/sim_loop.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct rig {
    struct loop    *loop;
    struct log     *log;
    int             log_fd;
    struct refusals refusals;
    char            lines[8192];
};

static struct rig rig;

static int start(void **state)
{
    char               path[32];
    struct failure     why = { 0 };
    struct log_options options = { .file = path };

    rig = (struct rig){ .loop = sim_loop_new(1), .log_fd = memfd_create("log", MFD_CLOEXEC) };
    snprintf(path, sizeof path, "/proc/self/fd/%d", rig.log_fd);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    rig.log = log_new(&options, &why);
    assert_non_null(rig.log);
    refusals_init(&rig.refusals, rig.loop, rig.log, "orders");
    return 0;
}

static int finish(void **state)
{
    loop_free(rig.loop);
    log_free(rig.log);
    close(rig.log_fd);
    return 0;
}

static void refuse(enum refusal kind, unsigned times)
{
    struct address client;

    assert_true(address_from_numeric(&client, "192.0.2.1", 1000));
    while (times-- > 0)
        refusals_note(&rig.refusals, kind, &client);
}

static void end_and_read(void)
{
    refusals_fini(&rig.refusals);
    log_free(rig.log);
    rig.log = NULL;
    assert_true(pread(rig.log_fd, rig.lines, sizeof rig.lines - 1, 0) >= 0);
}

static unsigned count(const char *words)
{
    unsigned found = 0;

    for (const char *at = rig.lines; (at = strstr(at, words)) != NULL; at++)
        found++;
    return found;
}

static void the_first_is_told_at_once_and_the_others_together(void **state)
{
    refuse(REFUSAL_DENY, 1);
    sim_run_for(rig.loop, REFUSALS_EVERY_US / 2);
    refuse(REFUSAL_DENY, 41);
    sim_run_for(rig.loop, REFUSALS_EVERY_US);
    refuse(REFUSAL_DENY, 7);
    sim_run_for(rig.loop, 10 * (uint64_t)REFUSALS_EVERY_US);
    end_and_read();
    assert_int_equal(count("limit.reached"), 3);
    assert_int_equal(count("limit=deny count=1 client=192.0.2.1:1000"), 1);
    assert_int_equal(count("count=41"), 1);
    assert_int_equal(count("count=7"), 1);
    assert_int_equal(count("route=orders"), 3);
}

static void a_quiet_time_later_the_next_is_the_first_again(void **state)
{
    refuse(REFUSAL_ALLOW, 1);
    sim_run_for(rig.loop, 2 * (uint64_t)REFUSALS_EVERY_US);
    refuse(REFUSAL_ALLOW, 1);
    sim_settle(rig.loop);
    end_and_read();
    assert_int_equal(count("limit=allow count=1"), 2);
}

static void kinds_are_counted_apart_and_none_is_lost_at_the_end(void **state)
{
    refuse(REFUSAL_TRUSTED_PROXIES, 3);
    refuse(REFUSAL_CANCEL_UNKNOWN, 4);
    end_and_read();
    assert_int_equal(count("limit=trusted_proxies count=1"), 1);
    assert_int_equal(count("limit=trusted_proxies count=2"), 1);
    assert_int_equal(count("limit=cancel_unknown count=1"), 1);
    assert_int_equal(count("limit=cancel_unknown count=3"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_is_told_at_once_and_the_others_together,
                                        start, finish),
        cmocka_unit_test_setup_teardown(a_quiet_time_later_the_next_is_the_first_again, start,
                                        finish),
        cmocka_unit_test_setup_teardown(kinds_are_counted_apart_and_none_is_lost_at_the_end,
                                        start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

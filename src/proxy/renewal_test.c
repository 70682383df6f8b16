/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/renewal.h"

#include "harness/check.h"
#include "sim/sim_loop.h"

#include <stdio.h>

#define S        ((uint64_t)1000000)
#define INTERVAL (60 * S)

struct rig {
    struct loop   *loop;
    struct renewal renewal;
    const char    *wrong; /* what attempts find; NULL: nothing */
    unsigned       attempts;
    unsigned       told;
    char           last[64];
};

static struct rig rig;

static bool attempt(struct renewal *renewal, struct conf_problems *problems)
{
    assert_ptr_equal(renewal, &rig.renewal);
    rig.attempts++;
    if (rig.wrong == NULL)
        return true;
    conf_problem_add(problems, true, 0, "always the same"); /* beside whatever is wrong */
    conf_problem_add(problems, false, 0, "%s", rig.wrong);
    return false;
}

static void tell(struct renewal *renewal, const struct conf_problems *problems)
{
    rig.told++;
    assert_int_equal(problems->count, 2);
    snprintf(rig.last, sizeof rig.last, "%.60s", problems->items[1].text);
}

static int set_up(void **state)
{
    rig = (struct rig){ .loop = sim_loop_new(1) };
    rig.renewal.attempt = attempt;
    rig.renewal.tell = tell;
    renewal_init(&rig.renewal, rig.loop);
    renewal_rest(&rig.renewal, INTERVAL);
    return 0;
}

static int tear_down(void **state)
{
    renewal_fini(&rig.renewal);
    loop_free(rig.loop);
    return 0;
}

static void files_that_fit_are_taken_at_once(void **state)
{
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 600 * S);
    assert_int_equal(rig.attempts, 1);
    assert_int_equal(rig.told, 0);
}

static void a_key_that_comes_later_is_waited_for_in_silence(void **state)
{
    rig.wrong = "not the key";
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 2 * S);
    assert_int_equal(rig.told, 0);
    rig.wrong = NULL;
    sim_run_for(rig.loop, S);
    assert_int_equal(rig.told, 0);
    assert_int_equal(rig.attempts, 1 + 4 + 1);
    sim_run_for(rig.loop, 600 * S);
    assert_int_equal(rig.attempts, 6);
}

static void what_stays_wrong_is_told_once(void **state)
{
    rig.wrong = "not the key";
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 3 * S + S / 10);
    assert_int_equal(rig.told, 1);
    sim_run_for(rig.loop, 10 * INTERVAL);
    assert_int_equal(rig.told, 1);
    assert_in_range(rig.attempts, 7 + 9, 7 + 11); /* each interval it is tried all the same */
    rig.wrong = NULL;
    sim_run_for(rig.loop, INTERVAL);
    rig.wrong = "not the key"; /* it was well in between */
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 4 * S);
    assert_int_equal(rig.told, 2);
}

static void another_reason_is_told(void **state)
{
    rig.wrong = "not the key";
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 4 * S);
    rig.wrong = "no such file";
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, 2 * S);
    assert_int_equal(rig.told, 1); /* it may be half written, too */
    sim_run_for(rig.loop, 2 * S);
    assert_int_equal(rig.told, 2);
    assert_non_null(strstr(rig.last, "no such file"));
}

static void files_that_never_rest_are_told_all_the_same(void **state)
{
    rig.wrong = "half a file";
    for (int i = 0; i < 40; i++) {
        renewal_begin(&rig.renewal);
        sim_run_for(rig.loop, S / 5);
    }
    assert_int_equal(rig.told, 1);
}

static void a_reload_by_hand_ends_it(void **state)
{
    rig.wrong = "not the key";
    renewal_begin(&rig.renewal);
    sim_run_for(rig.loop, S);
    renewal_rest(&rig.renewal, INTERVAL);
    rig.attempts = 0;
    sim_run_for(rig.loop, 600 * S);
    assert_int_equal(rig.attempts, 0);
    assert_int_equal(rig.told, 0);
}

#define RENEWAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RENEWAL_TEST(files_that_fit_are_taken_at_once),
        RENEWAL_TEST(a_key_that_comes_later_is_waited_for_in_silence),
        RENEWAL_TEST(what_stays_wrong_is_told_once),
        RENEWAL_TEST(another_reason_is_told),
        RENEWAL_TEST(files_that_never_rest_are_told_all_the_same),
        RENEWAL_TEST(a_reload_by_hand_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

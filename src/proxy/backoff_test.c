/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/backoff.h"

#include "harness/check.h"

#include <stdio.h>

#define S ((uint64_t)1000000)

static struct address at(unsigned n)
{
    char           text[32];
    struct failure why = { 0 };
    struct address address;

    snprintf(text, sizeof text, "10.0.0.%u:5432", n);
    assert_int_equal(address_parse(&address, text, &why), FAIL_NONE);
    return address;
}

static void each_failure_doubles_the_time_up_to_half_a_minute(void **state)
{
    static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 30, 30 };
    struct backoff        backoff = { 0 };
    struct address        a = at(1);
    uint64_t              now = 100 * S;

    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        backoff_failed(&backoff, &a, now);
        assert_true(backoff_holds(&backoff, &a, now + 1, now + seconds[i] * S - 1));
        assert_false(backoff_holds(&backoff, &a, now + 1, now + seconds[i] * S));
        now += 100 * S;
    }
    backoff_worked(&backoff, &a);
    assert_false(backoff_holds(&backoff, &a, now, now - 99 * S));
    backoff_failed(&backoff, &a, now);
    assert_false(backoff_holds(&backoff, &a, now + 1, now + S));
}

static void an_address_that_failed_since_one_began_is_not_held_for_that_one(void **state)
{
    struct backoff backoff = { 0 };
    struct address a = at(1), b = at(2);

    backoff_failed(&backoff, &a, 5 * S);
    assert_false(backoff_holds(&backoff, &a, 5 * S, 5 * S + 1));
    assert_true(backoff_holds(&backoff, &a, 5 * S + 1, 5 * S + 1));
    assert_false(backoff_holds(&backoff, &b, 6 * S, 5 * S + 1));
}

static void a_full_table_forgets_the_oldest(void **state)
{
    struct backoff backoff = { 0 };

    for (unsigned n = 0; n <= BACKOFF_MOST; n++) {
        struct address a = at(n);

        backoff_failed(&backoff, &a, 100 * S + n);
    }
    for (unsigned n = 0; n <= BACKOFF_MOST; n++) {
        struct address a = at(n);

        assert_int_equal(backoff_holds(&backoff, &a, 200 * S, 100 * S + 50), n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_doubles_the_time_up_to_half_a_minute),
        cmocka_unit_test(an_address_that_failed_since_one_began_is_not_held_for_that_one),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "harness/check.h"
#include "runtime/rate.h"

#include <stdio.h>

#define SECOND 1000000u

static struct address at(const char *text)
{
    struct failure why = { 0 };
    struct address address;

    assert_int_equal(address_parse(&address, text, &why), FAIL_NONE);
    return address;
}

static unsigned taken(struct source_rate *sources, const char *from, uint64_t now_us)
{
    struct address address = at(from);
    unsigned       count = 0;

    while (count < 1000 && source_rate_take(sources, &address, 10, now_us))
        count++;
    return count;
}

static void a_second_has_its_limit_and_the_next_one_as_well(void **state)
{
    rate counter = 0;

    for (uint64_t now = 7 * SECOND; now < 9 * SECOND; now += SECOND) {
        for (unsigned i = 0; i < 3; i++)
            assert_true(rate_take(&counter, 3, now + i * 300000));
        assert_false(rate_take(&counter, 3, now + 999999));
    }
}

static void who_is_behind_in_time_does_not_begin_anew(void **state)
{
    rate counter = 0;

    for (unsigned i = 0; i < 2; i++) {
        assert_true(rate_take(&counter, 4, 7 * SECOND));
        assert_true(rate_take(&counter, 4, 7 * SECOND - 1));
    }
    assert_false(rate_take(&counter, 4, 7 * SECOND - 1));
    assert_false(rate_take(&counter, 4, 7 * SECOND));
}

static void none_is_within_a_limit_of_none(void **state)
{
    rate counter = 0;

    assert_false(rate_take(&counter, 0, SECOND));
}

static void each_source_has_the_limit_for_itself_whatever_its_port(void **state)
{
    struct source_rate sources;

    source_rate_init(&sources);
    sources.seed = 1; /* these do not share a counter */
    assert_int_equal(taken(&sources, "10.0.0.1:1000", SECOND), 10);
    assert_int_equal(taken(&sources, "10.0.0.1:2000", SECOND), 0);
    assert_int_equal(taken(&sources, "10.0.0.2:1000", SECOND), 10);
    assert_int_equal(taken(&sources, "10.0.0.1:1000", 2 * SECOND), 10);
}

static void an_ipv6_network_of_64_bits_is_one_source(void **state)
{
    struct source_rate sources;

    source_rate_init(&sources);
    sources.seed = 1;
    assert_int_equal(taken(&sources, "[2001:db8::1]:1", SECOND), 10);
    assert_int_equal(taken(&sources, "[2001:db8::ffff:2]:1", SECOND), 0);
    assert_int_equal(taken(&sources, "[2001:db8:0:1::1]:1", SECOND), 10);
}

static void an_ipv4_address_is_the_same_inside_ipv6(void **state)
{
    struct source_rate sources;

    source_rate_init(&sources);
    assert_int_equal(taken(&sources, "192.0.2.1:1", SECOND), 10);
    assert_int_equal(taken(&sources, "[::ffff:192.0.2.1]:1", SECOND), 0);
}

/* An address that is refused because of another one, with this seed. */
static unsigned find_sharer(uint64_t seed)
{
    char text[32];

    for (unsigned i = 0; i < 65536; i++) {
        struct source_rate sources = { .seed = seed };

        taken(&sources, "10.0.0.1:1", SECOND);
        snprintf(text, sizeof text, "10.1.%u.%u:1", i >> 8, i & 255);
        if (taken(&sources, text, SECOND) == 0)
            return i;
    }
    return UINT32_MAX;
}

static void who_shares_a_counter_is_another_one_with_another_seed(void **state)
{
    struct source_rate one, other;
    unsigned           sharer = find_sharer(1);

    assert_int_not_equal(sharer, UINT32_MAX);
    assert_int_equal(sharer, find_sharer(1));
    assert_int_not_equal(sharer, find_sharer(2));
    source_rate_init(&one);
    source_rate_init(&other);
    assert_true(one.seed != other.seed);
}

static void a_client_of_a_unix_socket_has_no_limit(void **state)
{
    struct source_rate sources;

    source_rate_init(&sources);
    assert_int_equal(taken(&sources, "unix:/tmp/socket", SECOND), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_has_its_limit_and_the_next_one_as_well),
        cmocka_unit_test(who_is_behind_in_time_does_not_begin_anew),
        cmocka_unit_test(none_is_within_a_limit_of_none),
        cmocka_unit_test(each_source_has_the_limit_for_itself_whatever_its_port),
        cmocka_unit_test(an_ipv6_network_of_64_bits_is_one_source),
        cmocka_unit_test(an_ipv4_address_is_the_same_inside_ipv6),
        cmocka_unit_test(who_shares_a_counter_is_another_one_with_another_seed),
        cmocka_unit_test(a_client_of_a_unix_socket_has_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

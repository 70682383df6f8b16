/* SPDX-License-Identifier: PostgreSQL */
#include "harness/alloc.h"
#include "harness/check.h"
#include "runtime/ip_counts.h"

#include <stdio.h>

static struct address at(unsigned n)
{
    char           text[64];
    struct failure why = { 0 };
    struct address address;

    snprintf(text, sizeof text, "10.%u.%u.%u:%u", n >> 16 & 255, n >> 8 & 255, n & 255,
             n % 60000);
    assert_int_equal(address_parse(&address, text, &why), FAIL_NONE);
    return address;
}

static void each_address_is_counted_by_itself_whatever_its_port(void **state)
{
    struct ip_counts *counts = ip_counts_new();
    struct address    a = at(7), b = at(8), a_again = at(7);

    address_set_port(&a_again, 4711);
    assert_int_equal(ip_counts_add(counts, &a), 1);
    assert_int_equal(ip_counts_add(counts, &a_again), 2);
    assert_int_equal(ip_counts_add(counts, &b), 1);
    ip_counts_remove(counts, &a);
    assert_int_equal(ip_counts_add(counts, &a), 2);
    ip_counts_free(counts);
}

static void an_address_without_connections_costs_nothing(void **state)
{
    struct ip_counts *counts = ip_counts_new();

    for (unsigned i = 0; i < 20000; i++) {
        struct address address = at(i);

        assert_int_equal(ip_counts_add(counts, &address), 1);
    }
    for (unsigned i = 0; i < 20000; i++) {
        struct address address = at(i);

        ip_counts_remove(counts, &address);
        assert_int_equal(ip_counts_add(counts, &address), 1);
        ip_counts_remove(counts, &address);
    }
    ip_counts_free(counts);
}

static void without_memory_or_an_ip_nothing_is_counted(void **state)
{
    struct ip_counts *counts = ip_counts_new();
    struct address    a = at(1), path;
    struct failure    why = { 0 };

    alloc_fail_at(1);
    assert_int_equal(ip_counts_add(counts, &a), 0);
    assert_true(alloc_has_failed());
    assert_int_equal(address_parse(&path, "unix:/tmp/x", &why), FAIL_NONE);
    assert_int_equal(ip_counts_add(counts, &path), 0);
    ip_counts_free(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_is_counted_by_itself_whatever_its_port),
        cmocka_unit_test(an_address_without_connections_costs_nothing),
        cmocka_unit_test(without_memory_or_an_ip_nothing_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

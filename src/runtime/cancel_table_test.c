/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/cancel_table.h"

#include "harness/alloc.h"
#include "harness/check.h"

#include <pthread.h>

static struct cancel_place place_of(uint64_t target, const char *address)
{
    struct cancel_place place = { .target = target };
    struct failure      why = { 0 };

    assert_int_equal(address_parse(&place.address, address, &why), FAIL_NONE);
    return place;
}

static void a_session_is_found_by_its_whole_key_until_it_leaves(void **state)
{
    struct cancel_table *table = cancel_table_new(10);
    struct cancel_place  a = place_of(1, "10.0.0.1:5432"), found[2];
    struct cancel_entry *entry = cancel_table_enter(table, BYTES("\0\0\0\1keyA"), &a);

    assert_non_null(entry);
    assert_int_equal(cancel_table_find(table, BYTES("\0\0\0\1keyA"), found, 2), 1);
    assert_int_equal(found[0].target, 1);
    assert_true(address_equal(&found[0].address, &a.address));
    assert_int_equal(cancel_table_find(table, BYTES("\0\0\0\1keyB"), found, 2), 0);
    assert_int_equal(cancel_table_find(table, BYTES("\0\0\0\1key"), found, 2), 0);
    cancel_table_leave(table, entry);
    assert_int_equal(cancel_table_find(table, BYTES("\0\0\0\1keyA"), found, 2), 0);
    assert_int_equal(cancel_table_count(table), 0);
    cancel_table_free(table);
}

static void two_servers_may_give_the_same_key(void **state)
{
    struct cancel_table *table = cancel_table_new(10);
    struct cancel_place  a = place_of(1, "10.0.0.1:5432"), b = place_of(2, "10.0.0.2:5432");
    struct cancel_place  found[2];
    struct cancel_entry *first = cancel_table_enter(table, BYTES("key"), &a);
    struct cancel_entry *second = cancel_table_enter(table, BYTES("key"), &b);

    assert_non_null(second);
    assert_int_equal(cancel_table_find(table, BYTES("key"), found, 2), 2);
    assert_int_equal(cancel_table_find(table, BYTES("key"), found, 1), 2);
    cancel_table_leave(table, first);
    assert_int_equal(cancel_table_find(table, BYTES("key"), found, 2), 1);
    assert_int_equal(found[0].target, 2);
    cancel_table_leave(table, second);
    assert_int_equal(cancel_table_count(table), 0);
    cancel_table_free(table);
}

static void a_full_table_takes_no_more_and_a_place_left_is_free(void **state)
{
    struct cancel_table *table = cancel_table_new(2);
    struct cancel_place  a = place_of(1, "10.0.0.1:5432");
    uint8_t              long_key[CANCEL_KEY_MOST + 1] = { 0 };
    struct cancel_entry *one = cancel_table_enter(table, BYTES("1"), &a);

    assert_non_null(one);
    assert_non_null(cancel_table_enter(table, bytes_of(long_key, CANCEL_KEY_MOST), &a));
    assert_null(cancel_table_enter(table, BYTES("3"), &a));
    cancel_table_leave(table, one);
    one = cancel_table_enter(table, BYTES("3"), &a);
    assert_non_null(one);
    cancel_table_leave(table, one);
    assert_null(cancel_table_enter(table, bytes_of(long_key, sizeof long_key), &a));
    assert_null(cancel_table_enter(table, BYTES(""), &a));
    alloc_fail_at(1);
    assert_null(cancel_table_enter(table, BYTES("4"), &a));
    assert_true(alloc_has_failed());
    assert_int_equal(cancel_table_count(table), 1);
    cancel_table_free(table);
}

static void *come_and_go(void *argument)
{
    struct cancel_table *table = argument;
    struct cancel_place  a = place_of(1, "10.0.0.1:5432"), found[1];

    for (uint32_t i = 0; i < 20000; i++) {
        struct bytes         key = bytes_of(&i, sizeof i);
        struct cancel_entry *entry = cancel_table_enter(table, key, &a);

        assert_non_null(entry);
        assert_true(cancel_table_find(table, key, found, 1) >= 1);
        cancel_table_leave(table, entry);
    }
    return NULL;
}

static void workers_use_it_at_the_same_time(void **state)
{
    struct cancel_table *table = cancel_table_new(100);
    pthread_t            threads[4];

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, table), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(cancel_table_count(table), 0);
    cancel_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_found_by_its_whole_key_until_it_leaves),
        cmocka_unit_test(two_servers_may_give_the_same_key),
        cmocka_unit_test(a_full_table_takes_no_more_and_a_place_left_is_free),
        cmocka_unit_test(workers_use_it_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/wiping.h"

#include "harness/alloc.h"
#include "harness/check.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static void *watched;
static bool  was_wiped;

static void look(void *memory)
{
    const uint8_t *p = memory;

    if (memory != watched || memory == NULL)
        return;
    was_wiped = true;
    for (size_t i = 0; i < malloc_usable_size(memory); i++)
        was_wiped = was_wiped && p[i] == 0;
}

static void *watch(void *memory)
{
    watched = memory;
    was_wiped = false;
    alloc_before_free = look;
    return memory;
}

static void what_is_freed_is_zero(void **state)
{
    char *secret = watch(OPENSSL_malloc(100));

    memset(secret, 'x', malloc_usable_size(secret));
    OPENSSL_free(secret);
    assert_true(was_wiped);
}

static void what_is_moved_is_whole_and_leaves_zeros(void **state)
{
    char *secret = watch(OPENSSL_malloc(100)), *moved;

    memset(secret, 'x', 100);
    moved = OPENSSL_realloc(secret, 100000);
    assert_true(was_wiped);
    for (int i = 0; i < 100; i++)
        assert_int_equal(moved[i], 'x');
    moved = OPENSSL_realloc(watch(moved), 10);
    assert_true(was_wiped);
    for (int i = 0; i < 10; i++)
        assert_int_equal(moved[i], 'x');
    assert_null(OPENSSL_realloc(watch(moved), 0));
    assert_true(was_wiped);
    moved = OPENSSL_realloc(NULL, 10);
    assert_non_null(moved);
    OPENSSL_free(moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_is_zero),
        cmocka_unit_test(what_is_moved_is_whole_and_leaves_zeros),
    };

    if (!tls_wiping_start())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "base/secret.h"

#include "harness/alloc.h"
#include "harness/check.h"

static void what_is_put_is_there_and_no_more_than_fits(void **state)
{
    struct secret secret;

    assert_int_equal(secret_init(&secret, 6, NULL), FAIL_NONE);
    assert_true(secret_put(&secret, BYTES("abcd")));
    assert_false(secret_put(&secret, BYTES("xyz")));
    assert_true(bytes_equal(secret_bytes(&secret), BYTES("abcd")));
    assert_int_equal(secret_room(&secret), 2);
    memcpy(secret_end(&secret), "ef", 2);
    secret_wrote(&secret, 2);
    assert_true(bytes_equal(secret_bytes(&secret), BYTES("abcdef")));
    assert_true(secret_put(&secret, BYTES("")));
    secret_fini(&secret);
    assert_null(secret.memory);
    secret_fini(&secret);
}

static void what_is_cut_off_is_wiped(void **state)
{
    struct secret secret;

    assert_int_equal(secret_init(&secret, 8, NULL), FAIL_NONE);
    assert_true(secret_put(&secret, BYTES("secret\r\n")));
    secret_cut(&secret, 6);
    assert_true(bytes_equal(secret_bytes(&secret), BYTES("secret")));
    assert_memory_equal(secret.memory + 6, "\0\0", 2);
    secret_cut(&secret, 7);
    assert_int_equal(secret.len, 6);
    secret_wipe(secret.memory, secret.len);
    assert_memory_equal(secret.memory, "\0\0\0\0\0\0", 6);
    secret_fini(&secret);
}

static void no_memory_is_a_failure(void **state)
{
    struct failure why = { 0 };
    struct secret  secret;

    alloc_fail_at(1);
    assert_int_equal(secret_init(&secret, 8, &why), FAIL_MEMORY);
    assert_true(alloc_has_failed());
    assert_int_equal(why.kind, FAIL_MEMORY);
    assert_false(secret_put(&secret, BYTES("x")));
    secret_fini(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_there_and_no_more_than_fits),
        cmocka_unit_test(what_is_cut_off_is_wiped),
        cmocka_unit_test(no_memory_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

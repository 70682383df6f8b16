/* SPDX-License-Identifier: PostgreSQL */
#include "base/reader.h"
#include "harness/check.h"

static void reads_follow_each_other(void **state)
{
    struct reader r = reader_of(BYTES("\x01\x00\x02\x00\x00\x00\x03name\0x"));

    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16(&r), 2);
    assert_int_equal(reader_u32(&r), 3);
    assert_string_equal(reader_string(&r), "name");
    assert_true(reader_ok(&r));
    assert_int_equal(r.left.len, 1);
}

static void a_read_past_the_end_fails_and_stays_failed(void **state)
{
    struct bytes whole = BYTES("\x01\x00\x02");

    for (size_t cut = 0; cut < whole.len; cut++) {
        struct reader r = reader_of(bytes_first(whole, cut));

        reader_u8(&r);
        assert_int_equal(reader_u16(&r), 0);
        assert_false(reader_ok(&r));
        assert_int_equal(reader_u8(&r), 0);
        assert_null(reader_bytes(&r, 0).p);
    }
}

static void a_string_without_its_nul_is_a_failure(void **state)
{
    struct reader r = reader_of(BYTES("name"));

    assert_string_equal(reader_string(&r), "");
    assert_false(reader_ok(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_follow_each_other),
        cmocka_unit_test(a_read_past_the_end_fails_and_stays_failed),
        cmocka_unit_test(a_string_without_its_nul_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

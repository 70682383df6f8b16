/* SPDX-License-Identifier: PostgreSQL */
#include "base/buf.h"
#include "harness/alloc.h"
#include "harness/check.h"

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    struct buf buf = BUF_LIMIT(1000);

    for (uint8_t i = 0; i < 200; i++) {
        buf_put_u8(&buf, i);
        buf_put_u8(&buf, i);
        assert_int_equal(buf_bytes(&buf).p[0], i / 2);
        buf_skip(&buf, 1);
    }
    assert_int_equal(buf.len, 200);
    buf_fini(&buf);
}

static void a_put_past_the_limit_appends_nothing_and_marks_the_buf(void **state)
{
    struct buf buf = BUF_LIMIT(4);

    buf_put(&buf, BYTES("abc"));
    assert_true(buf_ok(&buf));
    buf_put(&buf, BYTES("de"));
    assert_false(buf_ok(&buf));
    buf_put(&buf, BYTES("d"));
    assert_buf_is(&buf, BYTES("abc"));
    buf_clear(&buf);
    buf_put(&buf, BYTES("wxyz"));
    assert_true(buf_ok(&buf));
    assert_buf_is(&buf, BYTES("wxyz"));
    buf_fini(&buf);
}

static void no_memory_marks_the_buf(void **state)
{
    struct buf buf = BUF_LIMIT(100);

    alloc_fail_at(1);
    buf_put(&buf, BYTES("abc"));
    assert_true(alloc_has_failed());
    assert_false(buf_ok(&buf));
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void numbers_are_big_endian(void **state)
{
    struct buf buf = BUF_LIMIT(100);

    buf_put_u16(&buf, 0x0102);
    buf_put_u32(&buf, 0x03040506);
    buf_patch_u32(&buf, 2, 0x0708090a);
    assert_buf_is(&buf, BYTES("\x01\x02\x07\x08\x09\x0a"));
    buf_fini(&buf);
}

static void format_leaves_no_nul_behind(void **state)
{
    struct buf buf = BUF_LIMIT(100);

    buf_put_format(&buf, "%s=%d", "a", 7);
    buf_put_string(&buf, "!");
    assert_buf_is(&buf, bytes_of("a=7!", 5));
    buf_fini(&buf);
}

static void an_empty_buf_gives_its_memory_back(void **state)
{
    struct buf buf = BUF_LIMIT(100);

    buf_put(&buf, BYTES("abc"));
    buf_release(&buf);
    assert_non_null(buf.memory);
    buf_skip(&buf, 3);
    buf_release(&buf);
    assert_null(buf.memory);
    assert_null(buf_bytes(&buf).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_put_past_the_limit_appends_nothing_and_marks_the_buf),
        cmocka_unit_test(no_memory_marks_the_buf),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(format_leaves_no_nul_behind),
        cmocka_unit_test(an_empty_buf_gives_its_memory_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

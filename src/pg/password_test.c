/* SPDX-License-Identifier: PostgreSQL */
#include "pg/password.h"

#include "harness/check.h"

static void a_password_ends_with_a_zero_byte(void **state)
{
    struct buf out = BUF_LIMIT(100);

    password_write(&out, BYTES("sesame"));
    assert_buf_is(&out, BYTES("p\0\0\0\x0bsesame\0"));
    buf_clear(&out);
    password_write(&out, BYTES(""));
    assert_buf_is(&out, BYTES("p\0\0\0\5\0"));
    buf_fini(&out);
}

static void one_that_has_no_room_marks_the_buffer(void **state)
{
    struct buf out = BUF_LIMIT(8);

    password_write(&out, BYTES("sesame"));
    assert_false(buf_ok(&out));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_ends_with_a_zero_byte),
        cmocka_unit_test(one_that_has_no_room_marks_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

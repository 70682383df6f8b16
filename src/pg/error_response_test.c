/* SPDX-License-Identifier: PostgreSQL */
#include "pg/error_response.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define REFUSAL BYTES("E\0\0\0\x33SFATAL\0VFATAL\0C28000\0Mno entry\0Fauth.c\0L99\0Rf\0\0")

static void a_message_is_written_field_by_field(void **state)
{
    struct buf out = BUF_LIMIT(200);

    error_response_write(&out,
                         &(struct error_response){ "FATAL", "28000", "no TLS", "why", "do" });
    assert_buf_is(&out, BYTES("E\0\0\0\x2bSFATAL\0VFATAL\0C28000\0Mno TLS\0Dwhy\0Hdo\0\0"));
    buf_fini(&out);
}

static void absent_fields_are_not_written(void **state)
{
    struct buf            out = BUF_LIMIT(200);
    struct error_response back;

    error_response_write(&out, &(struct error_response){ "FATAL", "28000", "no", NULL, NULL });
    assert_buf_is(&out, BYTES("E\0\0\0\x1eSFATAL\0VFATAL\0C28000\0Mno\0\0"));
    assert_true(error_response_read(&back, buf_bytes(&out)));
    assert_null(back.detail);
    assert_null(back.hint);
    buf_fini(&out);
}

static void a_message_is_read_whatever_else_it_holds(void **state)
{
    struct error_response error;

    assert_true(error_response_read(&error, REFUSAL));
    assert_string_equal(error.severity, "FATAL");
    assert_string_equal(error.code, "28000");
    assert_string_equal(error.message, "no entry");
    assert_null(error.detail);
    assert_true(error_response_has_code(&error, "28000"));
    assert_false(error_response_has_code(&error, "28P01"));
}

static void the_severity_that_is_not_translated_is_preferred(void **state)
{
    struct error_response error;

    assert_true(error_response_read(&error, BYTES("E\0\0\0\x14VFATAL\0SFATALE\0\0")));
    assert_string_equal(error.severity, "FATAL");
    assert_true(error_response_read(&error, BYTES("E\0\0\0\x0dSFATALE\0\0")));
    assert_string_equal(error.severity, "FATALE");
}

static void an_error_without_fields_has_none(void **state)
{
    struct error_response error;

    assert_true(error_response_read(&error, BYTES("E\0\0\0\5\0")));
    assert_null(error.code);
    assert_null(error.message);
    assert_false(error_response_has_code(&error, "28000"));
}

static void a_message_that_is_not_one_error_response_is_not_read(void **state)
{
    const struct bytes cases[] = {
        BYTES(""),             /* nothing */
        BYTES("N\0\0\0\5\0"),  /* another type */
        BYTES("E\0\0\0\4"),    /* no terminator */
        BYTES("E\0\0\0\6\0x"), /* bytes behind the terminator */
        BYTES("E\0\0\0\6\0"),  /* longer than what is there */
        BYTES("E\0\0\0\4\0"),  /* shorter */
        BYTES("E\0\0\0\x0b"
              "Cabcde\0"), /* no terminator behind a field */
        BYTES("E\0\0\0\x0a"
              "Cabcde"),                 /* a field without its end */
        BYTES("EFATAL:  old style\n\0"), /* protocol 2.0 */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error_response error;

        assert_false(error_response_read(&error, cases[i]));
    }
}

static void a_message_cut_anywhere_is_not_read(void **state)
{
    for (size_t cut = 0; cut < REFUSAL.len; cut++) {
        struct error_response error;
        uint8_t               part[64];

        memcpy(part, REFUSAL.p, cut);
        assert_false(error_response_read(&error, bytes_of(part, cut)));
        if (cut < 5)
            continue;
        part[4] = (uint8_t)(cut - 1);
        assert_false(error_response_read(&error, bytes_of(part, cut)));
    }
}

static void a_hint_is_added_at_the_end(void **state)
{
    struct buf out = BUF_LIMIT(200);

    error_response_add_hint(&out, REFUSAL, "use TLS");
    assert_buf_is(&out, BYTES("E\0\0\0\x3cSFATAL\0VFATAL\0C28000\0Mno entry\0Fauth.c\0L99\0"
                              "Rf\0Huse TLS\0\0"));
    buf_fini(&out);
}

static void a_hint_goes_behind_the_one_that_is_there(void **state)
{
    struct buf out = BUF_LIMIT(200);

    error_response_add_hint(&out,
                            BYTES("E\0\0\0\x10"
                                  "C28000\0Hx\0\0"),
                            "");
    assert_buf_is(&out, BYTES("E\0\0\0\x10"
                              "C28000\0Hx\0\0"));
    buf_clear(&out);
    error_response_add_hint(&out, BYTES("E\0\0\0\x13Hfirst\0C28000\0\0"), "second");
    assert_buf_is(&out, BYTES("E\0\0\0\x1aHfirst\nsecond\0C28000\0\0"));
    buf_fini(&out);
}

static void a_broken_message_gets_no_hint(void **state)
{
    struct buf out = BUF_LIMIT(200);

    error_response_add_hint(&out,
                            BYTES("E\0\0\0\x0b"
                                  "Cabcde\0"),
                            "use TLS");
    assert_buf_is(&out, BYTES("E\0\0\0\x0b"
                              "Cabcde\0"));
    buf_fini(&out);
}

static void without_memory_or_room_nothing_is_appended(void **state)
{
    struct error_response error = { "FATAL", "28000", "no TLS", "why", "do" };
    struct buf            small = BUF_LIMIT(40), out = BUF_LIMIT(200);

    error_response_write(&small, &error);
    assert_false(buf_ok(&small));
    assert_int_equal(small.len, 0);
    buf_clear(&small);
    error_response_add_hint(&small, REFUSAL, "use TLS");
    assert_false(buf_ok(&small));
    assert_int_equal(small.len, 0);

    alloc_fail_at(1);
    error_response_write(&out, &error);
    assert_true(alloc_has_failed());
    assert_false(buf_ok(&out));
    assert_int_equal(out.len, 0);
    buf_fini(&small);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_written_field_by_field),
        cmocka_unit_test(absent_fields_are_not_written),
        cmocka_unit_test(a_message_is_read_whatever_else_it_holds),
        cmocka_unit_test(the_severity_that_is_not_translated_is_preferred),
        cmocka_unit_test(an_error_without_fields_has_none),
        cmocka_unit_test(a_message_that_is_not_one_error_response_is_not_read),
        cmocka_unit_test(a_message_cut_anywhere_is_not_read),
        cmocka_unit_test(a_hint_is_added_at_the_end),
        cmocka_unit_test(a_hint_goes_behind_the_one_that_is_there),
        cmocka_unit_test(a_broken_message_gets_no_hint),
        cmocka_unit_test(without_memory_or_room_nothing_is_appended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

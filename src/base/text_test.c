/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"
#include "harness/check.h"

static void control_bytes_and_backslashes_are_escaped(void **state)
{
    char out[64];

    text_escape(out, sizeof out, BYTES("a\n\\\x1b[2J\xc3"));
    assert_string_equal(out, "a\\x0a\\x5c\\x1b[2J\\xc3");
}

static void what_does_not_fit_is_cut_and_says_so(void **state)
{
    for (size_t size = 8; size < 30; size++) {
        char out[30];

        text_escape(out, size, BYTES("abcdef\n\n\n\nghijk"));
        assert_true(strlen(out) < size);
        if (size < 28)
            assert_string_equal(out + strlen(out) - 3, "...");
    }
}

static void a_slip_finds_the_name_that_was_meant(void **state)
{
    static const char *const names[] = { "server_cert", "server_key", "sslmode", NULL };

    assert_string_equal(text_nearest("server_crt", names), "server_cert");
    assert_string_equal(text_nearest("ssl_mode", names), "sslmode");
    assert_string_equal(text_nearest("SSLMODE", names), "sslmode");
    assert_null(text_nearest("colour", names));
}

static void a_line_ends_at_a_space_or_behind_a_word_that_is_too_long(void **state)
{
    assert_int_equal(text_line("one two three", 100), 13);
    assert_int_equal(text_line("one two three", 13), 13);
    assert_int_equal(text_line("one two three", 12), 7);
    assert_int_equal(text_line("one two three", 7), 7);
    assert_int_equal(text_line("one two three", 6), 3);
    assert_int_equal(text_line("one two three", 2), 3);
    assert_int_equal(text_line("", 10), 0);
}

static void a_hexadecimal_digit_is_one_of_twenty_two(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    static const char values[] = "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\12\13\14\15\16\17";

    for (int c = 0; c < 256; c++) {
        const char *at = memchr(digits, c, sizeof digits - 1);

        assert_int_equal(text_hex_digit((uint8_t)c), at != NULL ? values[at - digits] : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_bytes_and_backslashes_are_escaped),
        cmocka_unit_test(what_does_not_fit_is_cut_and_says_so),
        cmocka_unit_test(a_line_ends_at_a_space_or_behind_a_word_that_is_too_long),
        cmocka_unit_test(a_slip_finds_the_name_that_was_meant),
        cmocka_unit_test(a_hexadecimal_digit_is_one_of_twenty_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

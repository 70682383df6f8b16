/* SPDX-License-Identifier: PostgreSQL */
#include "conf/units.h"

#include "harness/check.h"

static void durations_are_read_with_their_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t    us;
    } rows[] = {
        { "0s", 0 },
        { "1us", 1 },
        { "250ms", 250000 },
        { "10s", 10000000 },
        { "5min", 300000000 },
        { "1h", 3600000000 },
        { "24h", 86400000000 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t us = 7;

        assert_true(units_read_duration(rows[i].text, &us));
        assert_int_equal(us, rows[i].us);
    }
}

static void a_duration_that_is_not_one_is_refused_and_changes_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "s",
        "10",
        "10 s",
        " 10s",
        "10s ",
        "-1s",
        "+1s",
        "1.5s",
        "10sec",
        "10S",
        "5m",
        "1d",
        "1hh",
        "1h30m",
        "0x10s",
        "1e3s",
        "ms",
        "١s",
        "99999999999999999999s",
        "18446744073709551615h",
        "5124095577h",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint64_t us = 7;

        assert_false(units_read_duration(texts[i], &us));
        assert_int_equal(us, 7);
    }
}

static void a_duration_cut_anywhere_is_refused_or_another_duration(void **state)
{
    static const char whole[] = "1250ms";

    for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
        char     text[sizeof whole] = { 0 };
        uint64_t us;

        memcpy(text, whole, cut);
        assert_false(units_read_duration(text, &us));
    }
}

static void sizes_are_read_with_their_unit(void **state)
{
    uint64_t n = 7;

    assert_true(units_read_size("512B", &n));
    assert_int_equal(n, 512);
    assert_true(units_read_size("64KiB", &n));
    assert_int_equal(n, 65536);
    assert_true(units_read_size("3MiB", &n));
    assert_int_equal(n, 3 * 1048576);
    assert_true(units_read_size("17179869183GiB", &n));
    n = 7;
    assert_false(units_read_size("17179869184GiB", &n));
    assert_false(units_read_size("64KB", &n));
    assert_false(units_read_size("64", &n));
    assert_false(units_read_size("64Ki", &n));
    assert_false(units_read_size("64kib", &n));
    assert_int_equal(n, 7);
}

static void file_modes_are_octal_with_a_zero_in_front(void **state)
{
    uint64_t mode = 7;

    assert_true(units_read_file_mode("0660", &mode));
    assert_int_equal(mode, 0660);
    assert_true(units_read_file_mode("0", &mode));
    assert_int_equal(mode, 0);
    assert_false(units_read_file_mode("660", &mode));
    assert_false(units_read_file_mode("0680", &mode));
    assert_false(units_read_file_mode("0o660", &mode));
    assert_false(units_read_file_mode("", &mode));
    assert_false(units_read_file_mode("07777777777777777777777", &mode));
    assert_int_equal(mode, 0);
}

static void numbers_are_digits_alone(void **state)
{
    uint64_t n = 7;

    assert_true(units_read_number("18446744073709551615", &n));
    assert_int_equal(n, UINT64_MAX);
    assert_false(units_read_number("18446744073709551616", &n));
    assert_false(units_read_number("12a", &n));
    assert_false(units_read_number("", &n));
    assert_int_equal(n, UINT64_MAX);
}

static void what_is_written_is_read_back_the_same(void **state)
{
    static const uint64_t values[] = { 1,           999,         1000,
                                       1500000,     60000000,    90000000,
                                       3600000000U, 5400000000U, 86400000000U,
                                       UINT64_MAX };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char     text[UNITS_TEXT];
        uint64_t back = 0;

        assert_true(units_read_duration(units_write_duration(text, values[i]), &back));
        assert_int_equal(back, values[i]);
        assert_true(units_read_size(units_write_size(text, values[i]), &back));
        assert_int_equal(back, values[i]);
    }
}

static void the_largest_unit_without_a_rest_is_written(void **state)
{
    char text[UNITS_TEXT];

    assert_string_equal(units_write_duration(text, 0), "0s");
    assert_string_equal(units_write_duration(text, 90000000), "90s");
    assert_string_equal(units_write_duration(text, 86400000000), "24h");
    assert_string_equal(units_write_size(text, 16384), "16KiB");
    assert_string_equal(units_write_size(text, 1500), "1500B");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_with_their_unit),
        cmocka_unit_test(a_duration_that_is_not_one_is_refused_and_changes_nothing),
        cmocka_unit_test(a_duration_cut_anywhere_is_refused_or_another_duration),
        cmocka_unit_test(sizes_are_read_with_their_unit),
        cmocka_unit_test(file_modes_are_octal_with_a_zero_in_front),
        cmocka_unit_test(numbers_are_digits_alone),
        cmocka_unit_test(what_is_written_is_read_back_the_same),
        cmocka_unit_test(the_largest_unit_without_a_rest_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "scram/saslprep.h"

#include "harness/alloc.h"
#include "harness/check.h"

static void assert_prepared(struct bytes password, struct bytes expected)
{
    struct secret out;

    assert_int_equal(saslprep(&out, password, NULL), FAIL_NONE);
    assert_int_equal(out.len, expected.len);
    if (expected.len > 0)
        assert_memory_equal(out.memory, expected.p, expected.len);
    secret_fini(&out);
}

/* RFC 4013 section 3, and what PostgreSQL's tests have. */
static void passwords_are_prepared(void **state)
{
    assert_prepared(BYTES("I\xc2\xadX"), BYTES("IX")); /* soft hyphen: nothing */
    assert_prepared(BYTES("user"), BYTES("user"));
    assert_prepared(BYTES("USER"), BYTES("USER"));
    assert_prepared(BYTES("\xc2\xaa"), BYTES("a"));
    assert_prepared(BYTES("\xe2\x85\xa8"), BYTES("IX"));      /* roman nine */
    assert_prepared(BYTES("a\xc2\xa0z"), BYTES("a z"));       /* no-break space */
    assert_prepared(BYTES("o\xcc\x88x"), BYTES("\xc3\xb6x")); /* composed */
    assert_prepared(BYTES("\xe2\x84\xa2!"), BYTES("TM!"));
    assert_prepared(BYTES("p\xc3\xa4ss"), BYTES("p\xc3\xa4ss"));
    assert_prepared(BYTES("\xf0\xaf\xa1\xa8"), BYTES("\xe3\x9b\xbc")); /* U+2F868, corrected */
}

static void what_may_not_be_is_taken_as_it_is(void **state)
{
    static const struct bytes raw[] = {
        BYTES_INIT(""),
        BYTES_INIT("\x07"),              /* ASCII is not looked at */
        BYTES_INIT("bell\x07\xc3\xa4"),  /* with others it is */
        BYTES_INIT("\xd8\xa7\x31"),      /* right to left, but not at both ends */
        BYTES_INIT("\xd8\xa7x\xd8\xa7"), /* both directions */
        BYTES_INIT("\xc2\xad"),          /* nothing would be left */
        BYTES_INIT("\xcd\x80x"),         /* U+0340 is forbidden before it is normalised */
        BYTES_INIT("\xee\x80\x80"),      /* private use */
        BYTES_INIT("\xc8\xa1x"),         /* U+0221 was not assigned in Unicode 3.2 */
        BYTES_INIT("\xff\xfe"),          /* no UTF-8 */
        BYTES_INIT("\xc3"),              /* cut */
        BYTES_INIT("\xc0\x80"),          /* overlong */
        BYTES_INIT("\xed\xa0\x80"),      /* a surrogate */
        BYTES_INIT("\xf4\x90\x80\x80"),  /* beyond Unicode */
        BYTES_INIT("\xc2\xaa\xff"),      /* as a whole or not at all */
    };

    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++)
        assert_prepared(raw[i], raw[i]);
}

static void a_password_that_is_too_long_is_refused(void **state)
{
    static uint8_t long_one[SASLPREP_PASSWORD_MOST + 1];
    struct secret  out;

    memset(long_one, 'x', sizeof long_one);
    assert_int_equal(saslprep(&out, bytes_of(long_one, sizeof long_one), NULL), FAIL_LIMIT);
    assert_null(out.memory);
    assert_prepared(bytes_of(long_one, sizeof long_one - 1),
                    bytes_of(long_one, sizeof long_one - 1));
}

static void no_memory_is_a_failure(void **state)
{
    struct secret out;

    alloc_fail_at(1);
    assert_int_equal(saslprep(&out, BYTES("p\xc3\xa4ss"), NULL), FAIL_MEMORY);
    assert_true(alloc_has_failed());
    assert_null(out.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_prepared),
        cmocka_unit_test(what_may_not_be_is_taken_as_it_is),
        cmocka_unit_test(a_password_that_is_too_long_is_refused),
        cmocka_unit_test(no_memory_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

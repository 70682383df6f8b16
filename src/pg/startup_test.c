/* SPDX-License-Identifier: PostgreSQL */
#include "pg/startup.h"

#include "harness/check.h"

static struct buf message;

static struct bytes startup_of(struct bytes parameters)
{
    buf_fini(&message);
    message = BUF_LIMIT(1000);
    buf_put_u32(&message, (uint32_t)(8 + parameters.len));
    buf_put_u32(&message, 196610);
    buf_put(&message, parameters);
    return buf_bytes(&message);
}

static int forget_message(void **state)
{
    buf_fini(&message);
    return 0;
}

static void user_and_database_are_found_among_the_parameters(void **state)
{
    struct startup s;

    assert_int_equal(startup_read(&s,
                                  startup_of(BYTES("application_name\0psql\0user\0ann\0"
                                                   "_pq_.x\0\0database\0shop\0\0")),
                                  NULL),
                     FAIL_NONE);
    assert_int_equal(s.version, 196610);
    assert_string_equal(s.user, "ann");
    assert_string_equal(s.database, "shop");
}

static void a_database_that_is_not_named_is_the_users(void **state)
{
    struct startup s;

    assert_int_equal(startup_read(&s, startup_of(BYTES("user\0ann\0\0")), NULL), FAIL_NONE);
    assert_string_equal(s.database, "ann");
    assert_int_equal(startup_read(&s, startup_of(BYTES("database\0\0user\0ann\0\0")), NULL),
                     FAIL_NONE);
    assert_string_equal(s.database, "ann");
}

static void of_a_parameter_given_twice_the_last_one_counts(void **state)
{
    struct startup s;

    assert_int_equal(startup_read(&s,
                                  startup_of(BYTES("user\0ann\0database\0a\0user\0bob\0"
                                                   "database\0b\0\0")),
                                  NULL),
                     FAIL_NONE);
    assert_string_equal(s.user, "bob");
    assert_string_equal(s.database, "b");
}

static void no_user_is_28000(void **state)
{
    const struct bytes cases[] = { BYTES("\0"), BYTES("database\0x\0\0"), BYTES("user\0\0\0"),
                                   BYTES("user\0ann\0user\0\0\0"), BYTES("USER\0ann\0\0") };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct startup s;
        struct failure why = { 0 };

        assert_int_equal(startup_read(&s, startup_of(cases[i]), &why), FAIL_REFUSED);
        assert_string_equal(why.text, "no PostgreSQL user name specified in startup packet");
        assert_string_equal(startup_failure_code(&why), "28000");
    }
}

static void a_layout_without_its_end_is_08P01(void **state)
{
    const struct bytes cases[] = { BYTES(""),
                                   BYTES("user\0ann\0"),
                                   BYTES("user\0ann"),
                                   BYTES("user\0"),
                                   BYTES("user\0ann\0Z"),
                                   BYTES("user\0ann\0\0\0"),
                                   BYTES("user\0ann\0\0user\0bob\0\0") };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct startup s = { .user = "untouched" };
        struct failure why = { 0 };

        assert_int_equal(startup_read(&s, startup_of(cases[i]), &why), FAIL_PROTOCOL);
        assert_string_equal(why.text, "invalid startup packet layout: expected terminator as "
                                      "last byte");
        assert_string_equal(startup_failure_code(&why), "08P01");
        assert_string_equal(s.user, "untouched");
    }
}

static void a_layout_cut_anywhere_is_08P01(void **state)
{
    struct bytes whole = BYTES("user\0ann\0database\0shop\0\0");

    for (size_t cut = 0; cut < whole.len; cut++) {
        struct startup s;

        assert_int_equal(startup_read(&s, startup_of(bytes_first(whole, cut)), NULL),
                         FAIL_PROTOCOL);
    }
}

static void bytes_behind_the_message_are_not_read(void **state)
{
    struct startup s;

    startup_of(BYTES("user\0ann\0\0"));
    buf_put(&message, BYTES("user\0bob\0\0"));
    assert_int_equal(startup_read(&s, buf_bytes(&message), NULL), FAIL_NONE);
    assert_string_equal(s.user, "ann");
}

static void what_is_written_is_read(void **state)
{
    const struct startup_parameter words[] = { { "user", "ann" },
                                               { "options", "" },
                                               { "database", "shop" } };
    struct buf                     out = BUF_LIMIT(100);
    struct startup                 s;

    buf_put_u8(&out, 'x');
    startup_write(&out, words, 3);
    buf_skip(&out, 1);
    assert_int_equal(startup_read(&s, buf_bytes(&out), NULL), FAIL_NONE);
    assert_string_equal(s.user, "ann");
    assert_string_equal(s.database, "shop");
    assert_int_equal(s.version, 196608);
    assert_int_equal(out.len, 4 + 4 + sizeof "user" + sizeof "ann" + sizeof "database" +
                                  sizeof "shop" + 1);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_and_database_are_found_among_the_parameters),
        cmocka_unit_test(a_database_that_is_not_named_is_the_users),
        cmocka_unit_test(of_a_parameter_given_twice_the_last_one_counts),
        cmocka_unit_test(no_user_is_28000),
        cmocka_unit_test(a_layout_without_its_end_is_08P01),
        cmocka_unit_test(a_layout_cut_anywhere_is_08P01),
        cmocka_unit_test(bytes_behind_the_message_are_not_read),
        cmocka_unit_test(what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, forget_message);
}

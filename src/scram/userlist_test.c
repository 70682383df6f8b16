/* SPDX-License-Identifier: PostgreSQL */
#include "scram/userlist.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define KEYS                                                                                   \
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                           \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define ONE "\"SCRAM-SHA-256$1:AA==" KEYS "\""
#define TWO "\"SCRAM-SHA-256$2:AA==" KEYS "\""

static unsigned iterations_of(const struct userlist *list, const char *user)
{
    const struct scram_verifier *verifier = userlist_find(list, user);

    return verifier != NULL ? verifier->stretch.iterations : 0;
}

static void users_are_found_by_their_whole_name(void **state)
{
    struct userlist *list = userlist_read("f",
                                          BYTES("; a comment\n"
                                                "\n"
                                                "\"zoe\" " ONE "\n"
                                                "  \"ann\"\t" TWO " and more\r\n"
                                                "\"with \"\"quotes\"\"\" " TWO),
                                          NULL);

    assert_non_null(list);
    assert_int_equal(userlist_count(list), 3);
    assert_int_equal(iterations_of(list, "zoe"), 1);
    assert_int_equal(iterations_of(list, "ann"), 2);
    assert_int_equal(iterations_of(list, "with \"quotes\""), 2);
    assert_int_equal(iterations_of(list, "an"), 0);
    assert_int_equal(iterations_of(list, "anna"), 0);
    assert_int_equal(iterations_of(list, "ANN"), 0);
    assert_int_equal(iterations_of(list, ""), 0);
    assert_int_equal(
        iterations_of(list, "a name that is longer than any that PostgreSQL would take: 64+"),
        0);
    userlist_free(list);
}

static void a_file_without_users_is_empty(void **state)
{
    struct userlist *list = userlist_read("f", BYTES("; nobody\n"), NULL);

    assert_non_null(list);
    assert_int_equal(userlist_count(list), 0);
    assert_null(userlist_find(list, "ann"));
    userlist_free(list);
}

static void what_is_wrong_is_told_with_file_and_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        { "\"ann\" \"pencil\"", "f:1: not a SCRAM-SHA-256 verifier" },
        { "\n\"ann\" \"md5f6fdffe48c908deb0f4c3bd36c032e72\"", "f:2: not a SCRAM-SHA-256" },
        { "\"ann\" ", "f:1: a user and a verifier" },
        { "ann " ONE, "f:1: a user and a verifier" },
        { "\"\" " ONE, "f:1: a user and a verifier" },
        { "\"ann\" \"SCRAM-SHA-256$1:AA==" KEYS, "f:1: a user and a verifier" }, /* no end */
        { "\"ann " ONE, "f:1: a user and a verifier" },
        { "\"ann\" " ONE "\n;\n\"ann\" " TWO "\n", "f:3: the user of line 1 again" },
        { "\"0123456789012345678901234567890123456789012345678901234567890123\" " ONE,
          "f:1: a user and a verifier" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct failure why = { 0 };

        assert_null(userlist_read("f", bytes_of_string(bad[i].text), &why));
        assert_ptr_equal(strstr(why.text, bad[i].reason), why.text);
        assert_null(strstr(why.text, "pencil"));
        assert_null(strstr(why.text, "WG5d"));
    }
}

static void no_memory_is_a_failure(void **state)
{
    struct failure why = { 0 };

    alloc_fail_at(1);
    assert_null(userlist_read("f", BYTES("\"ann\" " ONE), &why));
    assert_true(alloc_has_failed());
    assert_int_equal(why.kind, FAIL_MEMORY);
}

static void *watched;
static bool  was_wiped;

static void look(void *memory)
{
    if (memory == watched)
        was_wiped = memcmp((uint8_t *)memory + sizeof(size_t), "\0\0\0\0", 4) == 0;
}

static void verifiers_are_wiped(void **state)
{
    struct userlist *list = userlist_read("f", BYTES("\"ann\" " ONE), NULL);

    watched = list;
    assert_memory_equal((uint8_t *)watched + sizeof(size_t), "ann", 4);
    alloc_before_free = look;
    userlist_free(list);
    alloc_before_free = NULL;
    assert_true(was_wiped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_by_their_whole_name),
        cmocka_unit_test(a_file_without_users_is_empty),
        cmocka_unit_test(what_is_wrong_is_told_with_file_and_line),
        cmocka_unit_test(no_memory_is_a_failure),
        cmocka_unit_test(verifiers_are_wiped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

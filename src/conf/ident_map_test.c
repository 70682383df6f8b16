/* SPDX-License-Identifier: PostgreSQL */
#include "conf/ident_map.h"

#include "harness/alloc.h"
#include "harness/check.h"

static struct ident_map *parse(const char *text)
{
    struct failure    why = { 0 };
    struct ident_map *map = ident_map_parse(bytes_of_string(text), "f", "m", &why);

    if (map == NULL)
        print_error("%s: %s\n", text, why.text);
    assert_non_null(map);
    return map;
}

static void assert_allows(const char *text, const char *name, const char *user, bool expected)
{
    struct ident_map *map = parse(text);
    struct failure    why = { 0 };

    if (ident_map_allows(map, name, user, &why) != expected)
        print_error("%s: %s as %s\n", text, name, user);
    assert_int_equal(ident_map_allows(map, name, user, &why), expected);
    assert_false(failed(&why));
    ident_map_free(map);
}

static void assert_refused(const char *text, const char *expected, const char *hint)
{
    struct failure why = { 0 };

    assert_null(ident_map_parse(bytes_of_string(text), "f", "m", &why));
    if (strstr(why.text, expected) == NULL || strstr(why.hint, hint) == NULL)
        print_error("%s: \"%s\"; \"%s\"\n", text, why.text, why.hint);
    assert_int_equal(why.kind, FAIL_CONFIG);
    assert_non_null(strstr(why.text, expected));
    assert_non_null(strstr(why.hint, hint));
}

static void names_are_compared_whole_and_with_case(void **state)
{
    assert_allows("m alice al", "alice", "al", true);
    assert_allows("m alice al", "alice", "alice", false);
    assert_allows("m alice al", "Alice", "al", false);
    assert_allows("m alice al", "alice", "AL", false);
    assert_allows("m alice al", "alicex", "al", false);
    assert_allows("m alice al", "alice", "", false);
    assert_allows("m alice al\nm alice bob", "alice", "bob", true);
    assert_allows("m alice al\nother alice bob", "alice", "bob", false);
    assert_allows("m a\\1 \\1", "a\\1", "\\1", true);
}

static void comments_blanks_and_continued_lines_are_as_postgresqls(void **state)
{
    assert_allows("# c\n\n  m\talice   al # as it is\r\n", "alice", "al", true);
    assert_allows("m alice \\\n al", "alice", "al", true);
    assert_allows("m ali\\\r\nce al", "alice", "al", true);
    assert_allows("m alice al#x", "alice", "al", true);
    assert_allows("m x y\n# old \\\nm alice al\n", "alice", "al", false);
    assert_allows("m x y\n# old \\\nm alice al\nm bob bo", "bob", "bo", true);
}

static void quotes_keep_blanks_and_double_themselves(void **state)
{
    assert_allows("m \"CN=Bob, O=A # B\" bob", "CN=Bob, O=A # B", "bob", true);
    assert_allows("\"m\" \"a\"\"b\" bob", "a\"b", "bob", true);
    assert_allows("m a\" \"b bob", "a b", "bob", true);
    assert_allows("m \"\" bob", "", "bob", true);
    assert_allows("m \"\"\"\" bob", "\"", "bob", true);
}

static void regular_expressions_match_the_whole_name(void **state)
{
    assert_allows("m /.*@x\\.org al", "b@x.org", "al", true);
    assert_allows("m /.*@x\\.org al", "b@x.org.evil", "al", false);
    assert_allows("m /x\\.org al", "b@x.org", "al", false);
    assert_allows("m /a|ab al", "ab", "al", true);
    assert_allows("m /a|ab al", "abc", "al", false);
    assert_allows("m /^\\d+$ al", "123", "al", true);
    assert_allows("m /^\\d+$ al", "123\n", "al", false);
    assert_allows("m \"/CN=(\\w+), O=X\" \\1", "CN=al, O=X", "al", true);
    assert_allows("m /z. al", "z\xc3\xbc", "al", true);
    assert_allows("m /z.* al", "z\xff", "al", false);
}

static void the_first_group_goes_into_the_user(void **state)
{
    assert_allows("m /(.*)@x \\1", "al@x", "al", true);
    assert_allows("m /(.*)@x \\1", "al@x", "bob", false);
    assert_allows("m /(.*)@x \\1", "al@x", "al@x", false);
    assert_allows("m /(.*)@x u_\\1_r", "al@x", "u_al_r", true);
    assert_allows("m /(.*)@x u_\\1_r", "al@x", "u_al_", false);
    assert_allows("m /(.*)@x u_\\1_r", "al@x", "u_a", false);
    assert_allows("m /(.*)@x \\1\\1", "al@x", "al\\1", true);
    assert_allows("m /(.*)@x \\1", "@x", "", false);
    assert_allows("m /(a)?b \\1", "b", "a", false);
    assert_allows("m /(.*)@x root", "al@x", "root", true);
}

static void all_and_expressions_for_the_user_are_as_in_postgresql_16(void **state)
{
    assert_allows("m alice all", "alice", "anybody", true);
    assert_allows("m alice all", "bob", "anybody", false);
    assert_allows("m alice \"all\"", "alice", "anybody", false);
    assert_allows("m alice \"all\"", "alice", "all", true);
    assert_allows("m alice /app_.*", "alice", "app_1", true);
    assert_allows("m alice /app_.*", "alice", "xapp_1", false);
    assert_allows("m alice \"+x\"", "alice", "+x", true);
}

static void what_cannot_be_answered_is_refused_with_its_line(void **state)
{
    assert_refused("m a b\ninclude x", "f, line 2: includes", "into this file");
    assert_refused("include_dir x", "line 1: includes", "");
    assert_refused("m a \\\n\\\n b\nm a +admins", "line 4: groups of roles", "name the users");
    assert_refused("m a b,c", "line 1: a comma", "a line for each");
    assert_refused("m a", "line 1: a map, a name and a user", "");
    assert_refused("m a b c", "more than three words", "in quotes");
    assert_refused("m \"a b", "not closed", "");
    assert_refused("m /( b", "regular expression: ", "");
    assert_refused("m /a \\1", "the regular expression has none", "parentheses");
    assert_refused("m a \"\"", "the user is empty", "");
    assert_refused("x a b\n", "f has no line of the map \"m\"", "");
    assert_refused("", "no line of the map", "");
    assert_refused("x /( b\nm a b", "line 1: regular expression", "");
}

static void every_cut_of_a_file_is_read_or_refused(void **state)
{
    static const char text[] = "# c\nm \"a \"\"b\" /x(y)\\\n # d\nm /(.*)@x \\1\nn a b\n";

    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct failure    why = { 0 };
        struct ident_map *map = ident_map_parse(bytes_of(text, cut), "f", "m", &why);

        assert_int_equal(map == NULL, failed(&why));
        ident_map_free(map);
    }
    assert_null(ident_map_parse(BYTES("m a\0b c"), "f", "m", NULL));
}

static void an_expression_that_takes_for_ever_is_stopped(void **state)
{
    struct ident_map *map = parse("m /(a+)+$ x\nm /a*!|.* y");
    struct failure    why = { 0 };

    assert_false(
        ident_map_allows(map, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "x", &why));
    assert_int_equal(why.kind, FAIL_LIMIT);
    assert_non_null(strstr(why.text, "f, line 1"));
    assert_true(
        ident_map_allows(map, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "y", &why));
    ident_map_free(map);
}

static void parsing_fails_cleanly_when_memory_runs_out(void **state)
{
    unsigned n;

    for (n = 1; n < 50; n++) {
        struct failure    why = { 0 };
        struct ident_map *map;

        alloc_fail_at(n);
        map = ident_map_parse(BYTES("m a b\nm /(x) \\1"), "f", "m", &why);
        if (!alloc_has_failed()) {
            ident_map_free(map);
            break;
        }
        assert_null(map);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 6 && n < 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared_whole_and_with_case),
        cmocka_unit_test(comments_blanks_and_continued_lines_are_as_postgresqls),
        cmocka_unit_test(quotes_keep_blanks_and_double_themselves),
        cmocka_unit_test(regular_expressions_match_the_whole_name),
        cmocka_unit_test(the_first_group_goes_into_the_user),
        cmocka_unit_test(all_and_expressions_for_the_user_are_as_in_postgresql_16),
        cmocka_unit_test(what_cannot_be_answered_is_refused_with_its_line),
        cmocka_unit_test(every_cut_of_a_file_is_read_or_refused),
        cmocka_unit_test(an_expression_that_takes_for_ever_is_stopped),
        cmocka_unit_test(parsing_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

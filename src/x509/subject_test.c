/* SPDX-License-Identifier: PostgreSQL */
#include "x509/subject.h"

#include "base/bytes.h"
#include "harness/check.h"
#include "x509/certificate.h"

#include <openssl/x509.h>
#include <stdlib.h>

static void assert_subject(const char *text, const char *expected)
{
    struct failure       why = { 0 };
    struct X509_name_st *name = subject_parse(text, &why);
    char                *written = name != NULL ? certificate_name_text(name) : NULL;

    assert_string_equal(written != NULL ? written : why.text, expected);
    free(written);
    subject_free(name);
}

static void subjects_are_read_as_they_are_printed(void **state)
{
    assert_subject("CN=a", "CN=a");
    assert_subject("CN=a,O=b,C=DE", "CN=a,O=b,C=DE");
    assert_subject("CN=a, O=b", "CN=a,O=b");
    assert_subject("CN=a\\,b,DC=example,DC=com", "CN=a\\x5c,b,DC=example,DC=com");
    assert_subject("CN=a=b", "CN=a=b");
    assert_subject("commonName=a", "CN=a");
}

static void a_backslash_takes_meaning_away_or_makes_a_byte(void **state)
{
    assert_subject("CN=G\\C3\\bcnther", "CN=G\\xc3\\xbcnther");
    assert_subject("CN=a\\+b\\\"c\\;d", "CN=a\\x5c+b\\x5c\"c\\x5c;d");
    assert_subject("CN=\\g\\2c", "CN=g\\x5c,");
    assert_subject("CN=a\\4", "CN=a4");
    assert_subject("CN=a\\00b", "CN is empty or has control characters");
    assert_subject("CN=a\\0Ab", "CN is empty or has control characters");
}

static void the_first_is_encoded_last(void **state)
{
    struct X509_name_st *name = subject_parse("CN=a,O=b", NULL);

    assert_int_equal(X509_NAME_get_index_by_NID(name, NID_commonName, -1), 1);
    assert_int_equal(X509_NAME_get_index_by_NID(name, NID_organizationName, -1), 0);
    assert_false(subject_is_empty(name));
    subject_free(name);
}

static void what_is_no_subject_says_why(void **state)
{
    assert_subject("", "subject: it is empty or too long");
    assert_subject("a", "subject: \"a\" has no value");
    assert_subject("CN=a,b", "subject: \"b\" has no value");
    assert_subject("CN=a,", "subject: it ends with a comma");
    assert_subject("nonsense=a", "subject: \"nonsense\" is not known");
    assert_subject("CN=", "CN is empty or has control characters");
    assert_subject("CN=a\x01", "CN is empty or has control characters");
    assert_subject("CN=a+OU=b", "subject: '+' needs a backslash");
    assert_subject("CN=\"a, b\"", "subject: '\"' needs a backslash");
    assert_subject("O=a;CN=b", "subject: ';' needs a backslash");
    assert_subject("C=Germany", "C cannot be \"Germany\"");
    assert_subject("CN=\xff\xfe", "CN cannot be \"\\xff\\xfe\"");
}

/* No end of the text is read past, whatever it is cut after. */
static void a_subject_may_be_cut_anywhere(void **state)
{
    static const char text[] = "CN=a\\,b,O=\\\\c\\C3\\A4,C=DE";

    for (size_t cut = 0; cut < sizeof text; cut++) {
        char          *copy = strndup(text, cut); /* exact, for AddressSanitizer */
        struct failure why = { 0 };
        X509_NAME     *name = subject_parse(copy, &why);

        assert_int_equal(name == NULL, failed(&why));
        subject_free(name);
        free(copy);
    }
}

static const char *kinds_of(const char *text)
{
    struct failure                why = { 0 };
    struct stack_st_GENERAL_NAME *names = subject_names(&text, 1, &why);
    static char                   shown[300];
    char                         *written;

    if (names == NULL)
        return "none";
    assert_int_equal(subject_name_count(names), 1);
    written = certificate_names_text(names);
    snprintf(shown, sizeof shown, "%s", written);
    free(written);
    subject_names_free(names);
    return shown;
}

static void names_find_their_kind(void **state)
{
    static const char *const rows[][2] = {
        { "db", "DNS:db" },
        { "*.a.b", "DNS:*.a.b" },
        { "DNS:a_b.c", "DNS:a_b.c" },
        { "10.0.0.5", "IP:10.0.0.5" },
        { "ip:2001:db8::1", "IP:2001:db8::1" },
        { "email:a@b", "email:a@b" },
        { "URI:a:b", "URI:a:b" },
        { "1a.2b", "DNS:1a.2b" },
        { "a.1", "none" },
        { "10.0.0", "none" },
        { "a.", "none" },
        { ".a", "none" },
        { "*", "none" },
        { "a*.b", "none" },
        { "a-.b", "none" },
        { "a b", "none" },
        { "DNS:10.0.0.5", "none" },
        { "IP:db", "none" },
        { "email:ab", "none" },
        { "URI:ab", "none" },
        { "URI:a: b", "none" },
        { "", "none" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(kinds_of(rows[i][0]), rows[i][1]);
}

static void a_common_name_is_taken_as_it_is(void **state)
{
    struct failure       why = { 0 };
    struct X509_name_st *name = subject_of_common_name("a,O=b", &why);
    char                *written = certificate_name_text(name);

    assert_int_equal(X509_NAME_entry_count(name), 1);
    assert_string_equal(written, "CN=a\\x5c,O=b");
    free(written);
    subject_free(name);
    assert_null(subject_of_common_name("", &why));
    assert_null(subject_of_common_name("a\nb", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subjects_are_read_as_they_are_printed),
        cmocka_unit_test(a_backslash_takes_meaning_away_or_makes_a_byte),
        cmocka_unit_test(the_first_is_encoded_last),
        cmocka_unit_test(what_is_no_subject_says_why),
        cmocka_unit_test(a_subject_may_be_cut_anywhere),
        cmocka_unit_test(names_find_their_kind),
        cmocka_unit_test(a_common_name_is_taken_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

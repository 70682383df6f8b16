/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/finding.h"

#include "harness/check.h"

#include <string.h>

static void every_row_has_its_own_id_and_says_what_to_do(void **state)
{
    for (enum finding i = 0; i < FINDING_COUNT; i++) {
        const struct finding_row *row = finding_row(i);

        assert_non_null(row->id);
        assert_non_null(row->text);
        assert_non_null(strchr(row->id, '.'));
        assert_int_equal(strspn(row->id, "abcdefghijklmnopqrstuvwxyz0123456789.-"),
                         strlen(row->id));
        if (row->severity == SEVERITY_ERROR)
            assert_true(row->client != NULL || row->server != NULL || row->proxy != NULL);
        for (enum finding j = 0; j < i; j++)
            assert_string_not_equal(row->id, finding_row(j)->id);
    }
}

static void texts_keep_the_rules_of_failures(void **state)
{
    for (enum finding i = 0; i < FINDING_COUNT; i++) {
        const char *texts[] = { finding_row(i)->text, finding_row(i)->client,
                                finding_row(i)->server, finding_row(i)->proxy };

        for (size_t t = 0; t < 4; t++) {
            if (texts[t] == NULL)
                continue;
            assert_true(strlen(texts[t]) > 0);
            assert_true(texts[t][strlen(texts[t]) - 1] != '.' ||
                        strstr(texts[t], "...") != NULL);
            assert_null(strstr(texts[t], "  "));
        }
    }
}

static void severities_have_names(void **state)
{
    assert_string_equal(severity_name(SEVERITY_INFO), "info");
    assert_string_equal(severity_name(SEVERITY_WARNING), "warning");
    assert_string_equal(severity_name(SEVERITY_ERROR), "error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_own_id_and_says_what_to_do),
        cmocka_unit_test(texts_keep_the_rules_of_failures),
        cmocka_unit_test(severities_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "driver/password_file.h"

#include "harness/certs.h"
#include "harness/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct password_question question = { "db.example", 5432, "orders", "alice" };

static void assert_line(const char *line, const char *password)
{
    char *found = password_line_match(bytes_of_string(line), &question);

    if (password == NULL)
        assert_null(found);
    else
        assert_string_equal(found, password);
    free(found);
}

static void a_line_fits_by_its_four_fields(void **state)
{
    assert_line("db.example:5432:orders:alice:sesame", "sesame");
    assert_line("*:*:*:*:sesame", "sesame");
    assert_line("*:5432:*:alice:", "");
    assert_line("db.exampl:5432:orders:alice:sesame", NULL);
    assert_line("db.examples:5432:orders:alice:sesame", NULL);
    assert_line("db.example:543:orders:alice:sesame", NULL);
    assert_line("db.example:5432:orders:bob:sesame", NULL);
    assert_line("**:5432:orders:alice:sesame", NULL);
    assert_line("#*:*:*:*:sesame", NULL);
    assert_line("", NULL);
    assert_line("*:*:*", NULL);
}

static void a_backslash_takes_the_next_byte(void **state)
{
    assert_line("db\\.example:5432:or\\ders:alice:ses\\:a\\\\me", "ses:a\\me");
    assert_line("*:*:*:*:sesame:rest", "sesame");
    assert_line("*:*:*:alice\\:sesame", NULL);
}

static void every_cut_of_a_line_is_no_password_until_its_fields_are_there(void **state)
{
    static const char line[] = "db.example:5432:orders:alice:sesame";

    for (size_t cut = 0; cut < sizeof line; cut++) {
        char *found = password_line_match(bytes_of(line, cut), &question);

        assert_int_equal(found != NULL, cut >= strlen("db.example:5432:orders:alice:"));
        free(found);
    }
}

static void the_first_line_that_fits_counts_and_others_may_not_read_it(void **state)
{
    static const char text[] = "other:*:*:*:1\r\n*:*:orders:*:sesame\r\n*:*:*:*:3\n";
    char             *dir = certs_dir_new();
    char             *file = certs_write_text(dir, "pgpass", text, sizeof text - 1);
    char              warning[256], *found;

    chmod(file, 0600);
    found = password_file_find(file, &question, warning);
    assert_string_equal(found, "sesame");
    assert_string_equal(warning, "");
    free(found);
    chmod(file, 0640);
    assert_null(password_file_find(file, &question, warning));
    assert_non_null(strstr(warning, "0640"));
    assert_null(password_file_find("/nonexistent", &question, warning));
    assert_string_equal(warning, "");
    assert_null(password_file_find(dir, &question, warning));
    assert_non_null(strstr(warning, "not a plain file"));
    free(file);
    certs_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_fits_by_its_four_fields),
        cmocka_unit_test(a_backslash_takes_the_next_byte),
        cmocka_unit_test(every_cut_of_a_line_is_no_password_until_its_fields_are_there),
        cmocka_unit_test(the_first_line_that_fits_counts_and_others_may_not_read_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

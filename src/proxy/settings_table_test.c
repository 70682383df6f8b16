/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_table.h"

#include "conf/file.h"
#include "conf/manual.h"
#include "harness/settings_samples.h"

#include <stdio.h>
#include <stdlib.h>

static void print_sample(struct buf *out)
{
    conf_write_sample(out, settings_tables());
    buf_put_u8(out, 0);
    assert_true(buf_ok(out));
}

static void the_sample_loads(void **state)
{
    struct buf out = BUF_LIMIT(100000);

    print_sample(&out);
    settings_free(load_without_a_word((const char *)buf_bytes(&out).p));
    buf_fini(&out);
}

/* A setting that has no effect alone. */
static bool needs_another(const char *line)
{
    static const char *const words[] = { "unix_socket_",
                                         "trusted_proxies",
                                         "client_cert",
                                         "client_key",
                                         "ident_",
                                         "ticket_key_file",
                                         "key_passphrase_command",
                                         "cancel_unknown",
                                         "[[proxy.host]]",
                                         "auth_",
                                         "names" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* Takes the '#' off one setting at a time; help is behind "# ". */
static void every_commented_setting_of_the_sample_loads_too(void **state)
{
    struct buf out = BUF_LIMIT(100000);
    char      *text;
    unsigned   tried = 0;

    print_sample(&out);
    text = strdup((const char *)buf_bytes(&out).p);
    for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++) {
        if (at[2] == ' ' || needs_another(at + 2))
            continue;
        at[1] = ' ';
        settings_free(load_without_a_word(text));
        at[1] = '#';
        tried++;
    }
    assert_true(tried > 15);
    free(text);
    buf_fini(&out);
}

static void the_reference_names_every_setting(void **state)
{
    struct buf out = BUF_LIMIT(100000);

    conf_write_reference(&out, settings_tables());
    buf_put_u8(&out, 0);
    assert_true(buf_ok(&out));
    for (const struct conf_table *const *t = settings_tables(); *t != NULL; t++)
        for (size_t n = 0; conf_option(*t, n) != NULL; n++) {
            char name[64];

            snprintf(name, sizeof name, "\n- `%s`: ", conf_option(*t, n)->name);
            assert_non_null(strstr((const char *)buf_bytes(&out).p, name));
        }
    buf_fini(&out);
}

/* Written again by: build/pgtls help settings > docs/settings.md */
static void docs_settings_md_is_what_the_tables_print(void **state)
{
    struct buf     out = BUF_LIMIT(100000), file = BUF_LIMIT(100000);
    struct failure why = { 0 };
    char           name[4096];

    if (getenv("PGTLS_SOURCE") == NULL)
        skip();
    snprintf(name, sizeof name, "%s/docs/settings.md", getenv("PGTLS_SOURCE"));
    conf_write_reference(&out, settings_tables());
    assert_int_equal(conf_file_read(name, &file, &why), FAIL_NONE);
    assert_buf_is(&file, buf_bytes(&out));
    buf_fini(&out);
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_loads),
        cmocka_unit_test(every_commented_setting_of_the_sample_loads_too),
        cmocka_unit_test(the_reference_names_every_setting),
        cmocka_unit_test(docs_settings_md_is_what_the_tables_print),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

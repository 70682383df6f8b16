/* SPDX-License-Identifier: PostgreSQL */
#include "cli/manual.h"

#include "cli/command.h"
#include "conf/file.h"
#include "conf/manual.h"
#include "harness/check.h"
#include "proxy/end_reason.h"
#include "proxy/settings.h"
#include "runtime/log.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_BYTES ((size_t)256 * 1024)

static void print(struct buf *out, void (*write)(struct buf *out))
{
    buf_init(out, PAGE_BYTES);
    write(out);
    assert_true(buf_ok(out));
}

static bool has(const struct buf *page, const char *text)
{
    return memmem(buf_bytes(page).p, buf_bytes(page).len, text, strlen(text)) != NULL;
}

static void check_file(const char *path_in_source, void (*write)(struct buf *out))
{
    struct buf     page, file = BUF_LIMIT(PAGE_BYTES);
    struct failure why = { 0 };
    char           path[4096];

    if (getenv("PGTLS_SOURCE") == NULL)
        skip();
    snprintf(path, sizeof path, "%s/%s", getenv("PGTLS_SOURCE"), path_in_source);
    print(&page, write);
    assert_int_equal(conf_file_read(path, &file, &why), FAIL_NONE);
    assert_buf_is(&file, buf_bytes(&page));
    buf_fini(&page);
    buf_fini(&file);
}

/* Written again by: build/src/pgtls help pgtls.1 > docs/man/pgtls.1, and so on. */
static void check_page(const char *name, void (*write)(struct buf *out))
{
    char path[256];

    snprintf(path, sizeof path, "docs/man/%s", name);
    check_file(path, write);
}

static void docs_man_pgtls_1_is_what_the_tables_print(void **state)
{
    check_page("pgtls.1", manual_write_program_page);
}

static void docs_man_pgtls_cert_1_is_what_the_tables_print(void **state)
{
    check_page("pgtls-cert.1", manual_write_cert_page);
}

static void docs_man_pgtls_toml_5_is_what_the_tables_print(void **state)
{
    check_page("pgtls.toml.5", manual_write_file_page);
}

static void docs_man_pgtls_check_1_is_what_the_catalogue_prints(void **state)
{
    check_page("pgtls-check.1", manual_write_check_page);
}

static void docs_findings_is_what_the_catalogue_prints(void **state)
{
    check_file("docs/findings.md", manual_write_findings);
}

static void the_pages_name_every_event_and_setting(void **state)
{
    struct buf page;
    char       term[120];

    print(&page, manual_write_program_page);
    for (enum log_event event = 0; event < EVENT_COUNT; event++) {
        snprintf(term, sizeof term, "\\fB%s (", log_event_row(event)->name);
        assert_true(has(&page, term));
    }
    for (enum end_reason reason = END_NONE + 1; reason < END_REASON_COUNT; reason++) {
        snprintf(term, sizeof term, "\\fB%s\\fR", end_reason_row(reason)->name);
        assert_true(has(&page, term));
    }
    for (const struct command *c = command_table(); c->word != NULL; c++) {
        snprintf(term, sizeof term, ".SS \"pgtls %s: ", c->word);
        assert_true(has(&page, term));
    }
    buf_fini(&page);
    print(&page, manual_write_file_page);
    for (const struct conf_table *const *t = settings_tables(); *t != NULL; t++)
        for (const struct option *row = (*t)->rows; row->name != NULL; row++) {
            snprintf(term, sizeof term, ".TP\n.B %s\n", row->name);
            assert_true(has(&page, term));
        }
    buf_fini(&page);
}

static void text_cannot_become_a_command_of_roff(void **state)
{
    struct buf out = BUF_LIMIT(200);

    conf_write_roff(&out, ".TH a-b `c` \\n\n'x");
    assert_buf_is(&out, BYTES("\\&.TH a\\-b \\fBc\\fR \\en\n\\&'x"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docs_man_pgtls_1_is_what_the_tables_print),
        cmocka_unit_test(docs_man_pgtls_cert_1_is_what_the_tables_print),
        cmocka_unit_test(docs_man_pgtls_toml_5_is_what_the_tables_print),
        cmocka_unit_test(docs_man_pgtls_check_1_is_what_the_catalogue_prints),
        cmocka_unit_test(docs_findings_is_what_the_catalogue_prints),
        cmocka_unit_test(the_pages_name_every_event_and_setting),
        cmocka_unit_test(text_cannot_become_a_command_of_roff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

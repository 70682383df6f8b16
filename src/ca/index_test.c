/* SPDX-License-Identifier: PostgreSQL */
#include "ca/index.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define VALID   "V\t300101000000Z\t\t0A1B\tunknown\t/CN=alice\n"
#define REVOKED "R\t20510203040506Z\t250607080910Z,keyCompromise\tFF\tunknown\t/CN=b\n"
#define EXPIRED "E\t990101000000Z\t\t01\tunknown\t\n"

static struct index_file parse(const char *text)
{
    struct index_file index = { 0 };
    struct failure    why = { 0 };

    assert_int_equal(index_parse(&index, bytes_of_string(text), &why), FAIL_NONE);
    return index;
}

static void assert_bad(const char *text, const char *where)
{
    struct index_file index = { 0 };
    struct failure    why = { 0 };

    assert_int_equal(index_parse(&index, bytes_of_string(text), &why), FAIL_CERT);
    assert_string_equal(why.text, where);
    index_fini(&index);
}

static void what_was_read_is_written_again(void **state)
{
    struct index_file index = parse(VALID REVOKED EXPIRED);
    struct buf        out = BUF_LIMIT(1000);

    assert_int_equal(index.count, 3);
    index_write(&index, &out);
    assert_buf_is(&out, BYTES(VALID REVOKED EXPIRED));
    assert_int_equal(index.rows[1].revoked_at, 1749283750);
    assert_string_equal(index_reason(&index.rows[1]), "keyCompromise");
    assert_null(index_reason(&index.rows[0]));
    buf_fini(&out);
    index_fini(&index);
}

static void a_serial_is_found_however_it_is_written(void **state)
{
    struct index_file index = parse(VALID REVOKED);

    assert_ptr_equal(index_find(&index, "0A1B"), &index.rows[0]);
    assert_ptr_equal(index_find(&index, "a1b"), &index.rows[0]);
    assert_ptr_equal(index_find(&index, "00ff"), &index.rows[1]);
    assert_null(index_find(&index, "0A1"));
    assert_null(index_find(&index, ""));
    index_fini(&index);
}

static void a_certificate_is_added_and_revoked_once(void **state)
{
    struct index_file index = { 0 };
    struct failure    why = { 0 };
    struct buf        out = BUF_LIMIT(1000);

    assert_int_equal(index_add(&index, "AB", "/CN=x", 2524607999, &why), FAIL_NONE);
    assert_int_equal(index_add(&index, "CD", "/CN=y", 2524608000, &why), FAIL_NONE);
    assert_int_equal(index_revoke(&index.rows[0], 1750000000, "superseded", &why), FAIL_NONE);
    assert_int_equal(index_revoke(&index.rows[1], 1750000000, NULL, &why), FAIL_NONE);
    assert_int_equal(index_revoke(&index.rows[1], 1750000001, NULL, &why), FAIL_REFUSED);
    index_write(&index, &out);
    /* RFC 5280 4.1.2.5: four digits from 2050 on */
    assert_buf_is(&out, BYTES("R\t491231235959Z\t250615150640Z,superseded\tAB\tunknown\t/CN=x\n"
                              "R\t20500101000000Z\t250615150640Z\tCD\tunknown\t/CN=y\n"));
    buf_fini(&out);
    index_fini(&index);
}

static void lines_that_are_none_are_named(void **state)
{
    assert_bad("nonsense\n", "line 1 is none of an index");
    assert_bad(VALID "V\t1\t\t01\tunknown\t/CN=x\n", "line 2 is none of an index");
    assert_bad("X\t300101000000Z\t\t01\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("VV\t300101000000Z\t\t01\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("V\t300101000000Z\tx\t01\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("R\t300101000000Z\t\t01\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("V\t300101000000Z\t\t\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("V\t300101000000Z\t\t0x1\tunknown\t/\n", "line 1 is none of an index");
    assert_bad("V\t300101000000Z\t\t01\tunknown\t/\t\n", "line 1 is none of an index");
}

/* A cut may only be taken for whole where the last field has become shorter. */
static void an_index_that_is_cut_is_refused_or_shorter(void **state)
{
    const char *text = REVOKED;
    size_t      subject = strlen(text) - strlen("/CN=b\n");

    for (size_t cut = 1; cut < strlen(text); cut++) {
        struct index_file index = { 0 };
        enum fail         rc = index_parse(&index, bytes_of(text, cut), NULL);

        assert_int_equal(rc, cut < subject ? FAIL_CERT : FAIL_NONE);
        index_fini(&index);
    }
}

static void every_allocation_that_fails_is_told(void **state)
{
    for (unsigned n = 1; n < 100; n++) {
        struct index_file index = { 0 };
        struct failure    why = { 0 };
        enum fail         rc;

        alloc_fail_at(n);
        rc = index_parse(&index, BYTES(VALID REVOKED), &why);
        if (rc == FAIL_NONE)
            rc = index_add(&index, "AB", "/CN=x", 1, &why);
        if (rc == FAIL_NONE)
            rc = index_revoke(&index.rows[0], 1, NULL, &why);
        index_fini(&index);
        if (!alloc_has_failed()) {
            assert_int_equal(rc, FAIL_NONE);
            assert_true(n > 15);
            return;
        }
        assert_int_equal(rc, FAIL_MEMORY);
    }
    assert_true(false); /* it never succeeds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_written_again),
        cmocka_unit_test(a_serial_is_found_however_it_is_written),
        cmocka_unit_test(a_certificate_is_added_and_revoked_once),
        cmocka_unit_test(lines_that_are_none_are_named),
        cmocka_unit_test(an_index_that_is_cut_is_refused_or_shorter),
        cmocka_unit_test(every_allocation_that_fails_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

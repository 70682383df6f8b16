/* SPDX-License-Identifier: PostgreSQL */
#include "pg/sasl.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define BOTH      BYTES("R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
#define PLAIN     BYTES("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0")
#define ONLY_PLUS BYTES("R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0")

static void the_code_of_an_authentication_message_is_read(void **state)
{
    assert_int_equal(auth_code(BYTES("R\0\0\0\x08\0\0\0\0")), AUTH_OK);
    assert_int_equal(auth_code(BYTES("R\0\0\0\x0c\0\0\0\5salt")), 5);
    assert_int_equal(auth_code(BOTH), AUTH_SASL);
    assert_int_equal(auth_code(BYTES("R\0\0\0\x08\xff\xff\xff\xff")), 0xffffffff);
    assert_int_equal(auth_code(BYTES("R\0\0\0\x07\0\0\0")), -1);
    assert_int_equal(auth_code(BYTES("R\0\0\0\x09\0\0\0\0")), -1);
    assert_int_equal(auth_code(BYTES("E\0\0\0\x08\0\0\0\0")), -1);
    for (size_t cut = 0; cut < BOTH.len; cut++)
        assert_int_equal(auth_code(bytes_first(BOTH, cut)), -1);
}

static void plus_is_seen_where_it_is_offered(void **state)
{
    assert_true(sasl_offers_plus(BOTH));
    assert_true(sasl_offers_plus(ONLY_PLUS));
    assert_false(sasl_offers_plus(PLAIN));
    assert_false(sasl_offers_plus(BYTES("R\0\0\0\x08\0\0\0\0")));
    /* a server-first-message may hold anything */
    assert_false(sasl_offers_plus(BYTES("R\0\0\0\x10\0\0\0\x0bX-PLUS\0\0")));
}

static void plus_is_taken_out_and_the_rest_keeps_its_order(void **state)
{
    const struct {
        struct bytes in, out;
    } cases[] = {
        { BOTH, PLAIN },
        { BYTES("R\0\0\0\x14\0\0\0\x0a"
                "A\0B-PLUS\0C\0\0"),
          BYTES("R\0\0\0\x0d\0\0\0\x0a"
                "A\0C\0\0") },
        { BYTES("R\0\0\0\x1a\0\0\0\x0a"
                "X-PLUS\0PLUS\0-PLU\0\0"),
          BYTES("R\0\0\0\x13\0\0\0\x0aPLUS\0-PLU\0\0") },
        { BYTES("R\0\0\0\x16\0\0\0\x0aX-PLUS\0Y\0\0tail"),
          BYTES("R\0\0\0\x0f\0\0\0\x0aY\0\0tail") },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = BUF_LIMIT(200);

        assert_true(sasl_strip_plus(&out, cases[i].in));
        assert_buf_is(&out, cases[i].out);
        buf_fini(&out);
    }
}

static void a_list_that_would_become_empty_passes_unchanged(void **state)
{
    const struct bytes unchanged[] = { ONLY_PLUS, PLAIN, BYTES("R\0\0\0\x09\0\0\0\x0a\0"),
                                       BYTES("R\0\0\0\x08\0\0\0\0"), BYTES("N\0\0\0\4") };

    for (size_t i = 0; i < sizeof unchanged / sizeof unchanged[0]; i++) {
        struct buf out = BUF_LIMIT(200);

        assert_false(sasl_strip_plus(&out, unchanged[i]));
        assert_buf_is(&out, unchanged[i]);
        buf_fini(&out);
    }
}

static void a_list_cut_anywhere_passes_unchanged(void **state)
{
    for (size_t cut = 9; cut < BOTH.len; cut++) {
        struct buf   out = BUF_LIMIT(200);
        uint8_t      part[64];
        struct bytes message = bytes_of(part, cut);

        memcpy(part, BOTH.p, cut);
        part[4] = (uint8_t)(cut - 1);
        assert_false(sasl_offers_plus(message));
        assert_false(sasl_strip_plus(&out, message));
        assert_buf_is(&out, message);
        buf_fini(&out);
    }
}

static void without_memory_nothing_is_appended(void **state)
{
    struct buf out = BUF_LIMIT(200);

    alloc_fail_at(1);
    assert_false(sasl_strip_plus(&out, BOTH));
    assert_true(alloc_has_failed());
    assert_false(buf_ok(&out));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void mechanisms_are_found_by_their_whole_name(void **state)
{
    assert_true(sasl_offers(BOTH, "SCRAM-SHA-256"));
    assert_true(sasl_offers(BOTH, "SCRAM-SHA-256-PLUS"));
    assert_false(sasl_offers(BOTH, "SCRAM-SHA"));
    assert_false(sasl_offers(ONLY_PLUS, "SCRAM-SHA-256"));
    assert_false(sasl_offers(BYTES("R\0\0\0\x08\0\0\0\0"), "SCRAM-SHA-256"));
    for (size_t cut = 0; cut < BOTH.len; cut++)
        assert_false(sasl_offers(bytes_first(BOTH, cut), "SCRAM-SHA-256"));
}

static void messages_that_are_written_can_be_read(void **state)
{
    struct buf          out = BUF_LIMIT(200);
    struct sasl_initial initial;

    sasl_write_list(&out, true);
    assert_buf_is(&out, BOTH);
    buf_clear(&out);
    sasl_write_list(&out, false);
    assert_buf_is(&out, PLAIN);
    buf_clear(&out);
    auth_write(&out, AUTH_SASL_CONTINUE, BYTES("r=x"));
    assert_int_equal(auth_code(buf_bytes(&out)), AUTH_SASL_CONTINUE);
    assert_true(bytes_equal(auth_body(buf_bytes(&out)), BYTES("r=x")));
    buf_clear(&out);
    sasl_write_response(&out, BYTES("c=biws"));
    assert_buf_is(&out, BYTES("p\0\0\0\x0a"
                              "c=biws"));
    buf_clear(&out);
    sasl_write_initial(&out, "X", BYTES("n,,"));
    assert_true(sasl_read_initial(&initial, buf_bytes(&out)));
    assert_string_equal(initial.mechanism, "X");
    assert_true(initial.has_body && bytes_equal(initial.body, BYTES("n,,")));
    for (size_t cut = 0; cut < out.len; cut++)
        assert_false(sasl_read_initial(&initial, bytes_first(buf_bytes(&out), cut)));
    assert_true(sasl_read_initial(&initial, BYTES("p\0\0\0\x0aX\0\xff\xff\xff\xff")));
    assert_false(initial.has_body);
    assert_false(sasl_read_initial(&initial, BYTES("p\0\0\0\x0aX\0\xff\xff\xff\xfe")));
    assert_false(sasl_read_initial(&initial, BYTES("p\0\0\0\x0bX\0\xff\xff\xff\xffy")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_of_an_authentication_message_is_read),
        cmocka_unit_test(plus_is_seen_where_it_is_offered),
        cmocka_unit_test(plus_is_taken_out_and_the_rest_keeps_its_order),
        cmocka_unit_test(a_list_that_would_become_empty_passes_unchanged),
        cmocka_unit_test(a_list_cut_anywhere_passes_unchanged),
        cmocka_unit_test(mechanisms_are_found_by_their_whole_name),
        cmocka_unit_test(messages_that_are_written_can_be_read),
        cmocka_unit_test(without_memory_nothing_is_appended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

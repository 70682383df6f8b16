/* SPDX-License-Identifier: PostgreSQL */
#include "harness/check.h"
#include "session/dial.h"

static void the_question_is_ssl_request(void **state)
{
    struct buf out = BUF_LIMIT(64);

    dial_ask_for_tls(&out);
    assert_buf_is(&out, BYTES("\x00\x00\x00\x08\x04\xd2\x16\x2f"));
    buf_fini(&out);
}

static void only_s_starts_tls_and_nothing_leads_to_plaintext(void **state)
{
    for (unsigned answer = 0; answer < 256; answer++) {
        struct failure why = { 0 };
        enum fail      rc = dial_answer((uint8_t)answer, &why);

        assert_int_equal(rc == FAIL_NONE, answer == 'S');
        assert_int_equal(failed(&why), answer != 'S');
        assert_int_equal(why.hint[0] != '\0', answer != 'S');
    }
}

static void each_answer_is_told_by_its_name(void **state)
{
    struct failure n = { 0 }, e = { 0 }, junk = { 0 }, nothing = { 0 };

    assert_int_equal(dial_answer('N', &n), FAIL_REFUSED);
    assert_string_equal(n.text, "the server does not support TLS, but TLS was required");
    assert_int_equal(dial_answer('E', &e), FAIL_REFUSED);
    assert_string_equal(e.text, "the server sent an error response to SSLRequest");
    assert_int_equal(dial_answer(0x1b, &junk), FAIL_PROTOCOL);
    assert_string_equal(junk.text, "the server's answer to SSLRequest is invalid: \"\\x1b\"");
    assert_int_equal(dial_no_answer(&nothing), FAIL_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_question_is_ssl_request),
        cmocka_unit_test(only_s_starts_tls_and_nothing_leads_to_plaintext),
        cmocka_unit_test(each_answer_is_told_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

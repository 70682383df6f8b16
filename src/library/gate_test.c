/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/gate.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define SSL     "\0\0\0\x08\x04\xd2\x16\x2f"
#define HELLO   "\x16\3\1\2\0\1\0\1\xfc\3\3"
#define STARTUP "\0\0\0\x12\0\3\0\0user\0ann\0\0"
#define LIMIT   1024

static struct pgtls_bytes public_bytes(struct bytes from)
{
    return (struct pgtls_bytes){ from.p, from.len };
}

static void a_client_asks_and_the_gate_says_s(void **state)
{
    struct pgtls_gate   *gate = pgtls_gate_new(PGTLS_GATE_TLS_REQUIRED, PGTLS_GATE_CLEAR);
    struct pgtls_buffer *question = pgtls_buffer_new(LIMIT), *answer = pgtls_buffer_new(LIMIT);
    struct pgtls_error  *error = pgtls_error_new();

    pgtls_ask_for_tls(question);
    struct pgtls_bytes in = pgtls_buffer_bytes(question);
    assert_int_equal(pgtls_gate_feed(gate, &in, answer), PGTLS_GATE_START_TLS);
    assert_int_equal(in.len, 0);
    assert_int_equal(pgtls_buffer_bytes(answer).len, 1);
    assert_int_equal(pgtls_tls_answer(*pgtls_buffer_bytes(answer).p, error), PGTLS_OK);
    assert_int_equal(pgtls_tls_answer('N', error), PGTLS_ERROR_REFUSED);
    assert_int_equal(pgtls_error_kind(error), PGTLS_ERROR_REFUSED);

    pgtls_error_free(error);
    pgtls_buffer_free(question);
    pgtls_buffer_free(answer);
    pgtls_gate_free(gate);
}

static void a_request_is_understood_however_it_is_cut(void **state)
{
    const struct pgtls_bytes all = public_bytes(BYTES(SSL HELLO));

    for (size_t cut = 0; cut < 8; cut++) {
        struct pgtls_gate   *gate = pgtls_gate_new(PGTLS_GATE_TLS_OPTIONAL, PGTLS_GATE_CLEAR);
        struct pgtls_buffer *out = pgtls_buffer_new(LIMIT);
        struct pgtls_bytes   in = { all.p, cut };

        assert_int_equal(pgtls_gate_feed(gate, &in, out), PGTLS_GATE_WANT_MORE);
        assert_int_equal(in.len, cut);
        assert_int_equal(pgtls_buffer_bytes(out).len, 0);
        in = all;
        assert_int_equal(pgtls_gate_feed(gate, &in, out), PGTLS_GATE_START_TLS);
        assert_ptr_equal(in.p, all.p + 8);
        assert_int_equal(in.len, all.len - 8);
        pgtls_buffer_free(out);
        pgtls_gate_free(gate);
    }
}

static void login_in_the_clear_is_refused_with_a_reason(void **state)
{
    struct pgtls_gate   *gate = pgtls_gate_new(PGTLS_GATE_TLS_REQUIRED, PGTLS_GATE_CLEAR);
    struct pgtls_buffer *out = pgtls_buffer_new(LIMIT);
    struct pgtls_error  *error = pgtls_error_new();
    struct pgtls_bytes   in = public_bytes(BYTES(STARTUP));

    assert_int_equal(pgtls_gate_feed(gate, &in, out), PGTLS_GATE_REFUSED);
    assert_int_equal(*pgtls_buffer_bytes(out).p, 'E');
    pgtls_gate_error(gate, error);
    assert_int_not_equal(pgtls_error_kind(error), PGTLS_OK);
    assert_string_not_equal(pgtls_error_text(error), "");
    pgtls_error_free(error);
    pgtls_buffer_free(out);
    pgtls_gate_free(gate);
}

static void inside_tls_login_goes_on(void **state)
{
    struct pgtls_gate *gate =
        pgtls_gate_new(PGTLS_GATE_TLS_REQUIRED, PGTLS_GATE_INSIDE_NEGOTIATED_TLS);
    struct pgtls_buffer *out = pgtls_buffer_new(LIMIT);
    struct pgtls_bytes   in = public_bytes(BYTES(STARTUP));
    size_t               len = in.len;

    assert_int_equal(pgtls_gate_feed(gate, &in, out), PGTLS_GATE_STARTUP);
    assert_int_equal(in.len, len);
    assert_int_equal(pgtls_buffer_bytes(out).len, 0);
    pgtls_buffer_free(out);
    pgtls_gate_free(gate);
}

/* Else a policy that is none would let logins in the clear pass. */
static void values_that_no_enum_has_are_refused(void **state)
{
    assert_null(pgtls_gate_new((enum pgtls_gate_policy)3, PGTLS_GATE_CLEAR));
    assert_null(pgtls_gate_new((enum pgtls_gate_policy) - 1, PGTLS_GATE_CLEAR));
    assert_null(pgtls_gate_new(PGTLS_GATE_TLS_REQUIRED, (enum pgtls_gate_layer)3));
}

static void a_buffer_gives_up_bytes_and_never_more_than_it_has(void **state)
{
    struct pgtls_buffer *buffer = pgtls_buffer_new(15);

    pgtls_ask_for_tls(buffer);
    pgtls_buffer_skip(buffer, 3);
    assert_int_equal(pgtls_buffer_bytes(buffer).len, 5);
    assert_int_equal(pgtls_buffer_failed(buffer), 0);
    pgtls_buffer_skip(buffer, 99);
    assert_int_equal(pgtls_buffer_bytes(buffer).len, 0);

    pgtls_ask_for_tls(buffer);
    pgtls_ask_for_tls(buffer);
    assert_int_equal(pgtls_buffer_failed(buffer), 1);
    pgtls_buffer_free(buffer);
}

static void a_missing_allocation_is_told(void **state)
{
    alloc_fail_at(1);
    assert_null(pgtls_gate_new(PGTLS_GATE_TLS_REQUIRED, PGTLS_GATE_CLEAR));
    assert_true(alloc_has_failed());
    alloc_fail_at(1);
    assert_null(pgtls_buffer_new(LIMIT));
    assert_true(alloc_has_failed());
    alloc_fail_at(1);
    assert_null(pgtls_error_new());
    assert_true(alloc_has_failed());

    struct pgtls_buffer *buffer = pgtls_buffer_new(LIMIT);
    alloc_fail_at(1);
    pgtls_ask_for_tls(buffer);
    assert_true(alloc_has_failed());
    assert_int_equal(pgtls_buffer_failed(buffer), 1);
    pgtls_buffer_free(buffer);
    pgtls_gate_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_asks_and_the_gate_says_s),
        cmocka_unit_test(a_request_is_understood_however_it_is_cut),
        cmocka_unit_test(login_in_the_clear_is_refused_with_a_reason),
        cmocka_unit_test(inside_tls_login_goes_on),
        cmocka_unit_test(values_that_no_enum_has_are_refused),
        cmocka_unit_test(a_buffer_gives_up_bytes_and_never_more_than_it_has),
        cmocka_unit_test(a_missing_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

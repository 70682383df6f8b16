/* SPDX-License-Identifier: PostgreSQL */
#include "session/login.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "pg/error_response.h"

#define OK         "R\0\0\0\x08\0\0\0\0"
#define SASL_BOTH  "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
#define SASL_PLAIN "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
#define SASL_ONLY  "R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"
#define CONTINUE   "R\0\0\0\x0b\0\0\0\x0br=x"
#define FINAL      "R\0\0\0\x0b\0\0\0\x0cv=x"
#define PARAMETER                                                                              \
    "S\0\0\0\x0a"                                                                              \
    "a\0bcd\0"
#define KEY     "K\0\0\0\x0c\0\0\x01\x02\1\2\3\4"
#define READY   "Z\0\0\0\5I"
#define NOTICE  "N\0\0\0\5\0"
#define VERSION "v\0\0\0\x0c\0\3\0\0\0\0\0\0"
#define REFUSAL                                                                                \
    "E\0\0\0\x0f"                                                                              \
    "C28000\0Mx\0\0"
#define BAD_PASSWORD                                                                           \
    "E\0\0\0\x0f"                                                                              \
    "C28P01\0Mx\0\0"
#define WELCOME      OK PARAMETER KEY READY
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct login_legs plain_to_tls = { .server_tls = true, .strips_plus = true };
static const struct login_legs tls_to_tls = { .client_tls = true, .server_tls = true };
static const struct login_legs tls_to_plain = { .client_tls = true, .server_tls = false };
static const struct login_legs binding_passes = { .client_tls = true,
                                                  .server_tls = true,
                                                  .binding_passes = true };

struct login_case {
    const struct login_legs *legs;
    struct bytes             in, out;
    enum login_verdict       verdict;
    size_t                   left; /* of `in` */
};

/* clang-format off: one case a line */
static const struct login_case cases[] = {
    { &tls_to_tls, BYTES_INIT(WELCOME), BYTES_INIT(WELCOME), LOGIN_READY, 0 },
    { &tls_to_tls, BYTES_INIT(WELCOME NOTICE), BYTES_INIT(WELCOME), LOGIN_READY, 6 },
    { &tls_to_tls, BYTES_INIT(VERSION NOTICE WELCOME), BYTES_INIT(VERSION NOTICE WELCOME),
      LOGIN_READY, 0 },
    { &tls_to_tls, BYTES_INIT("x\0\0\0\4" WELCOME), BYTES_INIT("x\0\0\0\4" WELCOME),
      LOGIN_READY, 0 },
    { &tls_to_tls, BYTES_INIT("R\0\0\0\x0c\0\0\0\5salt" WELCOME),
      BYTES_INIT("R\0\0\0\x0c\0\0\0\5salt" WELCOME), LOGIN_READY, 0 },
    { &tls_to_tls, BYTES_INIT(SASL_BOTH CONTINUE FINAL WELCOME),
      BYTES_INIT(SASL_BOTH CONTINUE FINAL WELCOME), LOGIN_READY, 0 },
    { &binding_passes, BYTES_INIT(SASL_BOTH), BYTES_INIT(SASL_BOTH), LOGIN_WANT_MORE, 0 },
    { &tls_to_plain, BYTES_INIT(SASL_BOTH), BYTES_INIT(SASL_BOTH), LOGIN_WANT_MORE, 0 },
    { &plain_to_tls, BYTES_INIT(SASL_BOTH CONTINUE), BYTES_INIT(SASL_PLAIN CONTINUE),
      LOGIN_WANT_MORE, 0 },
    { &plain_to_tls, BYTES_INIT(VERSION SASL_BOTH), BYTES_INIT(VERSION SASL_PLAIN),
      LOGIN_WANT_MORE, 0 },
    { &plain_to_tls, BYTES_INIT(SASL_ONLY), BYTES_INIT(SASL_ONLY), LOGIN_WANT_MORE, 0 },
    { &plain_to_tls, BYTES_INIT(SASL_PLAIN), BYTES_INIT(SASL_PLAIN), LOGIN_WANT_MORE, 0 },
    { &plain_to_tls, BYTES_INIT(SASL_BOTH REFUSAL), BYTES_INIT(SASL_PLAIN REFUSAL),
      LOGIN_WANT_MORE, 0 },
    { &tls_to_tls, BYTES_INIT(REFUSAL), BYTES_INIT(REFUSAL), LOGIN_WANT_MORE, 0 },
    { &tls_to_tls, BYTES_INIT(SASL_PLAIN REFUSAL), BYTES_INIT(SASL_PLAIN REFUSAL),
      LOGIN_WANT_MORE, 0 },
    { &tls_to_tls, BYTES_INIT(SASL_BOTH BAD_PASSWORD), BYTES_INIT(SASL_BOTH BAD_PASSWORD),
      LOGIN_WANT_MORE, 0 },
    { &tls_to_tls, BYTES_INIT(SASL_BOTH OK REFUSAL), BYTES_INIT(SASL_BOTH OK REFUSAL),
      LOGIN_WANT_MORE, 0 },
    { &binding_passes, BYTES_INIT(SASL_BOTH REFUSAL), BYTES_INIT(SASL_BOTH REFUSAL),
      LOGIN_WANT_MORE, 0 },
    { &tls_to_plain, BYTES_INIT(SASL_BOTH REFUSAL), BYTES_INIT(SASL_BOTH REFUSAL),
      LOGIN_WANT_MORE, 0 },
    { &tls_to_tls, BYTES_INIT(OK "S\0\0\0\3"), BYTES_INIT(OK), LOGIN_BROKEN, 5 },
    { &tls_to_tls, BYTES_INIT(OK "S\xff\xff\xff\xff"), BYTES_INIT(OK), LOGIN_BROKEN, 5 },
    { &tls_to_tls, BYTES_INIT("R\0\0\0\7\0\0\0"), BYTES_INIT(""), LOGIN_BROKEN, 0 },
    { &tls_to_tls, BYTES_INIT(OK "Z\0\0\0\6II"), BYTES_INIT(OK), LOGIN_BROKEN, 0 },
    { &tls_to_tls, BYTES_INIT(OK "Z\0\0\0\4"), BYTES_INIT(OK), LOGIN_BROKEN, 0 },
    { &tls_to_tls, BYTES_INIT("R\0\1\0\0"), BYTES_INIT(""), LOGIN_BROKEN, 5 },
    { &tls_to_tls, BYTES_INIT("K\x7f\xff\xff\xff"), BYTES_INIT(""), LOGIN_BROKEN, 5 },
    { &tls_to_tls, BYTES_INIT("Z\x7f\xff\xff\xff"), BYTES_INIT(""), LOGIN_BROKEN, 5 },
    { &tls_to_tls, BYTES_INIT("EFATAL:  old style\n"), BYTES_INIT("EFATAL:  old style\n"),
      LOGIN_WANT_MORE, 0 },
};
/* clang-format on */

struct run {
    struct login       login;
    struct buf         out;
    enum login_verdict verdict;
    size_t             left;
};

static void run_init(struct run *run, const struct login_legs *legs)
{
    *run = (struct run){ .out = BUF_LIMIT(300000), .verdict = LOGIN_WANT_MORE };
    login_init(&run->login, legs);
}

static void run_fini(struct run *run)
{
    login_fini(&run->login);
    buf_fini(&run->out);
}

static void run_feed(struct run *run, struct bytes in)
{
    run->left += in.len;
    if (run->verdict == LOGIN_WANT_MORE) {
        run->verdict = login_feed(&run->login, &in, &run->out);
        run->left = in.len;
    }
}

static void what_the_server_says_passes_on(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct run run;

        run_init(&run, cases[i].legs);
        run_feed(&run, cases[i].in);
        assert_int_equal(run.verdict, cases[i].verdict);
        assert_buf_is(&run.out, cases[i].out);
        assert_int_equal(run.left, cases[i].left);
        assert_int_equal(run.login.broken != NULL, run.verdict == LOGIN_BROKEN);
        run_fini(&run);
    }
}

static void two_cuts_anywhere_change_nothing(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes in = cases[i].in;

        for (size_t first = 0; first <= in.len; first++) {
            for (size_t second = first; second <= in.len; second++) {
                struct run run;

                run_init(&run, cases[i].legs);
                run_feed(&run, bytes_first(in, first));
                run_feed(&run, bytes_of(in.p + first, second - first));
                run_feed(&run, bytes_of(in.p + second, in.len - second));
                assert_int_equal(run.verdict, cases[i].verdict);
                if (run.verdict == LOGIN_READY)
                    assert_null(run.login.held.memory);
                assert_buf_is(&run.out, cases[i].out);
                run_fini(&run);
            }
        }
    }
}

static void the_facts_of_a_login_are_kept(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    run_feed(&run, BYTES(SASL_BOTH));
    assert_true(run.login.plus_offered);
    assert_false(run.login.authenticated);
    run_feed(&run, BYTES(CONTINUE FINAL));
    assert_true(run.login.plus_offered);
    run_feed(&run, BYTES(OK));
    assert_true(run.login.authenticated);
    assert_false(run.login.plus_offered);
    assert_int_equal(run.login.key_len, 0);
    run_feed(&run, BYTES(KEY "Z\0\0\0\5T"));
    assert_true(run.login.key_len >= 8);
    assert_int_equal(bytes_u32(run.login.key), 0x102);
    assert_int_equal(run.login.status, 'T');
    assert_false(run.login.has_error);
    assert_null(run.login.held.memory);
    run_fini(&run);
}

static void whether_plus_was_taken_out_is_kept(void **state)
{
    struct run run;

    run_init(&run, &plain_to_tls);
    run_feed(&run, BYTES(SASL_BOTH));
    assert_true(run.login.plus_offered);
    assert_true(run.login.plus_stripped);
    run_feed(&run, BYTES(SASL_ONLY));
    assert_true(run.login.plus_offered);
    assert_false(run.login.plus_stripped);
    run_fini(&run);
}

static void a_binding_refusal_gets_a_hint_however_it_is_cut(void **state)
{
    struct bytes in = BYTES(SASL_BOTH CONTINUE REFUSAL);
    size_t       before = in.len - BYTES(REFUSAL).len;

    for (size_t cut = 0; cut <= in.len; cut++) {
        struct error_response error;
        struct bytes          out;
        struct run            run;

        run_init(&run, &tls_to_tls);
        run_feed(&run, bytes_first(in, cut));
        run_feed(&run, bytes_of(in.p + cut, in.len - cut));
        assert_true(run.login.binding_refused);
        assert_string_equal(run.login.error_code, "28000");
        out = buf_bytes(&run.out);
        assert_true(out.len <= in.len + LOGIN_HINT_MOST);
        assert_memory_equal(out.p, in.p, before);
        bytes_skip(&out, before);
        assert_true(error_response_read(&error, out));
        assert_string_equal(error.message, "x");
        assert_non_null(strstr(error.hint, "channel_binding=disable"));
        run_fini(&run);
    }
}

static void only_the_first_refusal_gets_a_hint(void **state)
{
    struct bytes in = BYTES(SASL_BOTH REFUSAL REFUSAL REFUSAL);
    struct run   run;

    run_init(&run, &tls_to_tls);
    run_feed(&run, in);
    assert_true(run.out.len > in.len);
    assert_true(run.out.len <= in.len + LOGIN_HINT_MOST);
    run_fini(&run);
}

static void nobody_is_let_in_behind_an_error(void **state)
{
    static const struct bytes then[] = { BYTES_INIT("R\0\0\0\x08\0\0\0\0"),
                                         BYTES_INIT("R\0\0\0\x08\0\0\0\3"),
                                         BYTES_INIT("Z\0\0\0\5I") };

    for (size_t i = 0; i < sizeof then / sizeof then[0]; i++) {
        struct run run;

        run_init(&run, &tls_to_tls);
        run_feed(&run, BYTES(BAD_PASSWORD));
        run_feed(&run, then[i]);
        assert_int_equal(run.verdict, LOGIN_BROKEN);
        assert_int_equal(run.out.len, BYTES(BAD_PASSWORD).len);
        assert_false(run.login.authenticated);
        run_fini(&run);
    }
}

static void the_last_error_is_kept_escaped(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    run_feed(&run, BYTES("E\0\0\0\x1c"
                         "C3D000\0Mno \"x\"\n\x1b[2J\0Hy\0\0"));
    assert_true(run.login.has_error);
    assert_string_equal(run.login.error_code, "3D000");
    assert_string_equal(run.login.error_message, "no \"x\"\\x0a\\x1b[2J");
    run_feed(&run, BYTES("E\0\0\0\x0c"
                         "C3D\n00\0\0"));
    assert_string_equal(run.login.error_code, "");
    assert_string_equal(run.login.error_message, "");
    run_feed(&run, BYTES("E\0\0\0\x0d"
                         "C3D0000\0\0"));
    assert_string_equal(run.login.error_code, "");
    run_fini(&run);
}

/* A message of this type with `length` in its header, zeros behind it. */
static void feed_long(struct run *run, uint8_t type, uint32_t length)
{
    static const uint8_t zeros[4096];
    struct buf           header = BUF_LIMIT(5);

    buf_put_u8(&header, type);
    buf_put_u32(&header, length);
    run_feed(run, buf_bytes(&header));
    buf_fini(&header);
    for (size_t left = length - 4; left > 0;) {
        struct bytes part = bytes_first(bytes_of(zeros, sizeof zeros), left);

        run_feed(run, part);
        left -= part.len;
    }
}

static void the_longest_message_that_is_held_is_64_KiB(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    feed_long(&run, 'R', LOGIN_HELD_MOST - 1);
    assert_int_equal(run.verdict, LOGIN_WANT_MORE);
    assert_int_equal(run.out.len, LOGIN_HELD_MOST);
    assert_true(run.login.authenticated);
    feed_long(&run, 'K', LOGIN_HELD_MOST);
    assert_int_equal(run.verdict, LOGIN_BROKEN);
    assert_int_equal(run.out.len, LOGIN_HELD_MOST);
    run_fini(&run);
}

static void a_longer_error_passes_unseen(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    run_feed(&run, BYTES(BAD_PASSWORD));
    feed_long(&run, 'E', LOGIN_HELD_MOST);
    assert_int_equal(run.verdict, LOGIN_WANT_MORE);
    assert_int_equal(run.out.len, BYTES(BAD_PASSWORD).len + LOGIN_HELD_MOST + 1);
    assert_true(run.login.has_error);
    assert_string_equal(run.login.error_code, "");
    assert_true(login_is_between(&run.login));
    run_fini(&run);
}

static void an_error_may_be_put_in_where_no_message_was_passed_on_half(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    assert_true(login_is_between(&run.login));
    run_feed(&run, BYTES("R\0\0\0\x08\0\0"));
    assert_true(login_is_between(&run.login));
    assert_int_equal(run.out.len, 0);
    run_feed(&run, BYTES("\0\0S\0\0\0\x0a"
                         "a"));
    assert_false(login_is_between(&run.login));
    run_feed(&run, BYTES("\0bcd"));
    assert_false(login_is_between(&run.login));
    run_feed(&run, BYTES("\0"));
    assert_true(login_is_between(&run.login));
    run_fini(&run);
}

static void a_key_of_an_odd_length_passes_but_is_none(void **state)
{
    struct run run;

    run_init(&run, &tls_to_tls);
    run_feed(&run, BYTES("K\0\0\0\x0b\0\0\x01\x02\1\2\3"));
    assert_int_equal(run.login.key_len, 0);
    feed_long(&run, 'K', 265);
    assert_int_equal(run.login.key_len, 0);
    feed_long(&run, 'K', 264);
    assert_true(run.login.key_len >= 8);
    assert_int_equal(run.out.len, 12 + 266 + 265);
    run_fini(&run);
}

/* With the n-th allocation failing, for each n. */
static void starve(struct bytes in, enum login_verdict fed)
{
    for (unsigned n = 1; n < 100; n++) {
        struct run run;
        bool       failed_one;

        run_init(&run, &tls_to_tls);
        alloc_fail_at(n);
        for (size_t i = 0; i < in.len; i++)
            run_feed(&run, bytes_of(in.p + i, 1));
        failed_one = alloc_has_failed();
        assert_int_equal(run.verdict, failed_one ? LOGIN_BROKEN : fed);
        if (failed_one)
            assert_string_equal(run.login.broken, "out of memory");
        run_fini(&run);
        if (!failed_one)
            break;
    }
}

static void without_memory_or_room_the_login_is_broken(void **state)
{
    struct bytes in = BYTES(SASL_BOTH CONTINUE FINAL WELCOME);
    struct run   run;

    starve(in, LOGIN_READY);
    starve(BYTES(SASL_BOTH CONTINUE REFUSAL), LOGIN_WANT_MORE);

    run_init(&run, &tls_to_tls);
    run.out.limit_bytes = 20;
    run_feed(&run, in);
    assert_int_equal(run.verdict, LOGIN_BROKEN);
    run_fini(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_says_passes_on),
        cmocka_unit_test(two_cuts_anywhere_change_nothing),
        cmocka_unit_test(the_facts_of_a_login_are_kept),
        cmocka_unit_test(whether_plus_was_taken_out_is_kept),
        cmocka_unit_test(a_binding_refusal_gets_a_hint_however_it_is_cut),
        cmocka_unit_test(only_the_first_refusal_gets_a_hint),
        cmocka_unit_test(nobody_is_let_in_behind_an_error),
        cmocka_unit_test(the_last_error_is_kept_escaped),
        cmocka_unit_test(the_longest_message_that_is_held_is_64_KiB),
        cmocka_unit_test(a_longer_error_passes_unseen),
        cmocka_unit_test(an_error_may_be_put_in_where_no_message_was_passed_on_half),
        cmocka_unit_test(a_key_of_an_odd_length_passes_but_is_none),
        cmocka_unit_test(without_memory_or_room_the_login_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

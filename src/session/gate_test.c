/* SPDX-License-Identifier: PostgreSQL */
#include "session/gate.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "pg/error_response.h"

#define SSL          "\0\0\0\x08\x04\xd2\x16\x2f"
#define GSS          "\0\0\0\x08\x04\xd2\x16\x30"
#define CANCEL       "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7\1\2\3\4"
#define STARTUP      "\0\0\0\x12\0\3\0\0user\0ann\0\0"
#define HELLO        "\x16\3\1\2\0\1\0\1\xfc\3\3"
#define MOST_FEEDS   4
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a client sends, one feed after the other, and what comes of it. */
struct gate_case {
    enum gate_policy  policy;
    enum gate_layer   layer;
    struct bytes      feeds[MOST_FEEDS]; /* only the last verdict may be other than WANT_MORE */
    enum gate_verdict verdict;
    const char       *answer; /* the single letters before any ErrorResponse */
    const char       *code;   /* SQLSTATE of the ErrorResponse, or NULL */
    const char       *text;   /* of the failure, or NULL */
    size_t            left;   /* in `in` after the last feed */
};

#define UNSUPPORTED(code) "unsupported frontend protocol " code ": server supports 3.0 to 3.0"
#define NEVER             GATE_TLS_NEVER, GATE_CLEAR
#define OPTIONAL          GATE_TLS_OPTIONAL, GATE_CLEAR
#define REQUIRED          GATE_TLS_REQUIRED, GATE_CLEAR
#define INSIDE            GATE_TLS_REQUIRED, GATE_INSIDE_NEGOTIATED_TLS
#define DIRECT            GATE_TLS_REQUIRED, GATE_INSIDE_DIRECT_TLS

static const char *const early_ssl = "received unencrypted data after SSL request";
static const char *const early_gss =
    "received unencrypted data after GSSAPI encryption request";

/* clang-format off: one case a line */
static const struct gate_case cases[] = {
    /* SSLRequest */
    { REQUIRED, { BYTES_INIT(SSL) }, GATE_START_TLS, "S", NULL, NULL, 0 },
    { OPTIONAL, { BYTES_INIT(SSL) }, GATE_START_TLS, "S", NULL, NULL, 0 },
    { REQUIRED, { BYTES_INIT(SSL HELLO) }, GATE_START_TLS, "S", NULL, NULL, 11 },
    { REQUIRED, { BYTES_INIT(SSL STARTUP) }, GATE_START_TLS, "S", NULL, NULL, 18 },
    { REQUIRED, { BYTES_INIT(SSL "\0") }, GATE_START_TLS, "S", NULL, NULL, 1 },
    { REQUIRED, { BYTES_INIT(SSL SSL) }, GATE_START_TLS, "S", NULL, NULL, 8 },
    { NEVER, { BYTES_INIT(SSL) }, GATE_WANT_MORE, "N", NULL, NULL, 0 },
    { NEVER, { BYTES_INIT(SSL), BYTES_INIT(STARTUP) }, GATE_STARTUP, "N", NULL, NULL, 18 },
    { NEVER, { BYTES_INIT(SSL), BYTES_INIT(CANCEL) }, GATE_CANCEL, "N", NULL, NULL, 16 },
    { NEVER, { BYTES_INIT(SSL STARTUP) }, GATE_REFUSED, "N", "08P01", early_ssl, 18 },
    { NEVER, { BYTES_INIT(SSL "\0") }, GATE_REFUSED, "N", "08P01", early_ssl, 1 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT(SSL) },
      GATE_REFUSED,
      "N",
      "0A000",
      UNSUPPORTED("1234.5679"),
      8 },
    { REQUIRED,
      { BYTES_INIT("\0\0\0\x09\x04\xd2\x16\x2f\0") },
      GATE_CLOSE_SILENTLY,
      "",
      NULL,
      NULL,
      9 },
    /* GSSENCRequest */
    { REQUIRED, { BYTES_INIT(GSS) }, GATE_WANT_MORE, "N", NULL, NULL, 0 },
    { REQUIRED, { BYTES_INIT(GSS), BYTES_INIT(SSL) }, GATE_START_TLS, "NS", NULL, NULL, 0 },
    { REQUIRED,
      { BYTES_INIT(GSS), BYTES_INIT(SSL HELLO) },
      GATE_START_TLS,
      "NS",
      NULL,
      NULL,
      11 },
    { REQUIRED,
      { BYTES_INIT(GSS), BYTES_INIT(STARTUP) },
      GATE_REFUSED,
      "N",
      "28000",
      NULL,
      18 },
    { OPTIONAL, { BYTES_INIT(GSS), BYTES_INIT(STARTUP) }, GATE_STARTUP, "N", NULL, NULL, 18 },
    { NEVER,
      { BYTES_INIT(GSS), BYTES_INIT(SSL), BYTES_INIT(STARTUP) },
      GATE_STARTUP,
      "NN",
      NULL,
      NULL,
      18 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT(GSS), BYTES_INIT(STARTUP) },
      GATE_STARTUP,
      "NN",
      NULL,
      NULL,
      18 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT(GSS), BYTES_INIT(SSL) },
      GATE_REFUSED,
      "NN",
      "0A000",
      UNSUPPORTED("1234.5679"),
      8 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT(GSS), BYTES_INIT(GSS) },
      GATE_REFUSED,
      "NN",
      "0A000",
      UNSUPPORTED("1234.5680"),
      8 },
    { REQUIRED,
      { BYTES_INIT(GSS), BYTES_INIT(GSS) },
      GATE_REFUSED,
      "N",
      "0A000",
      UNSUPPORTED("1234.5680"),
      8 },
    { REQUIRED, { BYTES_INIT(GSS SSL) }, GATE_REFUSED, "N", "08P01", early_gss, 8 },
    { REQUIRED, { BYTES_INIT(GSS STARTUP) }, GATE_REFUSED, "N", "08P01", early_gss, 18 },
    /* the rest in the clear */
    { REQUIRED,
      { BYTES_INIT(STARTUP) },
      GATE_REFUSED,
      "",
      "28000",
      "this server requires a TLS (SSL) connection",
      18 },
    { OPTIONAL, { BYTES_INIT(STARTUP) }, GATE_STARTUP, "", NULL, NULL, 18 },
    { NEVER, { BYTES_INIT(STARTUP "Q") }, GATE_STARTUP, "", NULL, NULL, 19 },
    { REQUIRED, { BYTES_INIT(CANCEL) }, GATE_CANCEL, "", NULL, NULL, 16 },
    { REQUIRED, { BYTES_INIT(CANCEL "X\0\0\0\4") }, GATE_CANCEL, "", NULL, NULL, 21 },
    { NEVER,
      { BYTES_INIT("\0\0\0\x08\0\4\0\0") },
      GATE_REFUSED,
      "",
      "0A000",
      UNSUPPORTED("4.0"),
      8 },
    { NEVER,
      { BYTES_INIT("\0\0\0\x08\x04\xd2\x27\x0f") },
      GATE_REFUSED,
      "",
      "0A000",
      UNSUPPORTED("1234.9999"),
      8 },
    { NEVER, { BYTES_INIT("\0\0\0\x08\0\3\x0f\x9f") }, GATE_STARTUP, "", NULL, NULL, 8 },
    { NEVER,
      { BYTES_INIT("GET / HTTP/1.1\r\n") },
      GATE_CLOSE_SILENTLY,
      "",
      NULL,
      "not a PostgreSQL startup packet: it begins \"GET / HT\"",
      16 },
    { NEVER,
      { BYTES_INIT("\0\0\x27\x15") },
      GATE_CLOSE_SILENTLY,
      "",
      NULL,
      "not a PostgreSQL startup packet: it begins \"\\x00\\x00'\\x15\"",
      4 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT("GET / HTTP/1.1\r\n") },
      GATE_CLOSE_SILENTLY,
      "N",
      NULL,
      NULL,
      16 },
    /* direct TLS */
    { REQUIRED, { BYTES_INIT("\x16") }, GATE_START_DIRECT_TLS, "", NULL, NULL, 1 },
    { OPTIONAL, { BYTES_INIT(HELLO) }, GATE_START_DIRECT_TLS, "", NULL, NULL, 11 },
    { NEVER,
      { BYTES_INIT(HELLO) },
      GATE_CLOSE_SILENTLY,
      "",
      NULL,
      "TLS from the first byte where no TLS is served",
      11 },
    { NEVER,
      { BYTES_INIT(SSL), BYTES_INIT(HELLO) },
      GATE_CLOSE_SILENTLY,
      "N",
      NULL,
      "TLS began after encryption was declined",
      11 },
    { REQUIRED,
      { BYTES_INIT(GSS), BYTES_INIT(HELLO) },
      GATE_CLOSE_SILENTLY,
      "N",
      NULL,
      "TLS began after encryption was declined",
      11 },
    /* inside TLS that SSLRequest began */
    { INSIDE, { BYTES_INIT(STARTUP) }, GATE_STARTUP, "", NULL, NULL, 18 },
    { INSIDE, { BYTES_INIT(CANCEL) }, GATE_CANCEL, "", NULL, NULL, 16 },
    { INSIDE, { BYTES_INIT(SSL) }, GATE_REFUSED, "", "0A000", UNSUPPORTED("1234.5679"), 8 },
    { INSIDE, { BYTES_INIT(GSS) }, GATE_REFUSED, "", "0A000", UNSUPPORTED("1234.5680"), 8 },
    { INSIDE, { BYTES_INIT(HELLO) }, GATE_CLOSE_SILENTLY, "", NULL, "TLS inside TLS", 11 },
    /* inside TLS from the first byte */
    { DIRECT, { BYTES_INIT(STARTUP) }, GATE_STARTUP, "", NULL, NULL, 18 },
    { DIRECT, { BYTES_INIT(CANCEL) }, GATE_CANCEL, "", NULL, NULL, 16 },
    { DIRECT, { BYTES_INIT(SSL), BYTES_INIT(STARTUP) }, GATE_STARTUP, "N", NULL, NULL, 18 },
    { DIRECT,
      { BYTES_INIT(GSS), BYTES_INIT(SSL), BYTES_INIT(STARTUP) },
      GATE_STARTUP,
      "NN",
      NULL,
      NULL,
      18 },
    { DIRECT,
      { BYTES_INIT(SSL), BYTES_INIT(SSL) },
      GATE_REFUSED,
      "N",
      "0A000",
      UNSUPPORTED("1234.5679"),
      8 },
    { DIRECT, { BYTES_INIT(SSL STARTUP) }, GATE_REFUSED, "N", "08P01", early_ssl, 18 },
    { DIRECT, { BYTES_INIT(HELLO) }, GATE_CLOSE_SILENTLY, "", NULL, "TLS inside TLS", 11 },
};
/* clang-format on */

static void check_answer(const struct gate_case *c, const struct buf *out)
{
    struct bytes          answer = buf_bytes(out);
    struct error_response error;
    size_t                letters = strlen(c->answer);

    assert_true(answer.len >= letters && answer.len <= GATE_OUT_MOST);
    if (letters > 0)
        assert_memory_equal(answer.p, c->answer, letters);
    bytes_skip(&answer, letters);
    if (c->code == NULL) {
        assert_int_equal(answer.len, 0);
        return;
    }
    assert_true(error_response_read(&error, answer));
    assert_string_equal(error.severity, "FATAL");
    assert_string_equal(error.code, c->code);
    if (c->text != NULL)
        assert_string_equal(error.message, c->text);
}

static void check_end(const struct gate_case *c, const struct gate *gate,
                      enum gate_verdict verdict, const struct buf *out)
{
    assert_int_equal(verdict, c->verdict);
    check_answer(c, out);
    if (verdict == GATE_REFUSED || verdict == GATE_CLOSE_SILENTLY)
        assert_true(failed(gate_failure(gate)));
    else
        assert_false(failed(gate_failure(gate)));
}

static void every_opening_gets_the_answer_of_postgresql(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct gate_case *c = &cases[i];
        enum gate_verdict       verdict = GATE_WANT_MORE;
        struct buf              out = BUF_LIMIT(GATE_OUT_MOST);
        struct gate             gate;
        struct bytes            in = { NULL, 0 };

        gate_init(&gate, c->policy, c->layer);
        for (size_t n = 0; n < MOST_FEEDS && c->feeds[n].len > 0; n++) {
            assert_int_equal(verdict, GATE_WANT_MORE);
            in = c->feeds[n];
            verdict = gate_feed(&gate, &in, &out);
        }
        check_end(c, &gate, verdict, &out);
        assert_int_equal(in.len, c->left);
        if (c->text != NULL)
            assert_string_equal(gate_failure(&gate)->text, c->text);
        buf_fini(&out);
    }
}

/* Feeds one packet first up to the cut, then the whole of what is left. */
static enum gate_verdict feed_cut(struct gate *gate, struct bytes packet, size_t cut,
                                  struct buf *out)
{
    struct bytes      in = bytes_first(packet, cut);
    enum gate_verdict verdict = gate_feed(gate, &in, out);

    if (verdict != GATE_WANT_MORE)
        return verdict;
    bytes_skip(&packet, cut - in.len);
    return gate_feed(gate, &packet, out);
}

/* Bytes behind a request that gets N are a fault only where they came early. */
static bool cuts_may_matter(const struct gate_case *c)
{
    return c->code != NULL && strcmp(c->code, "08P01") == 0;
}

static void no_cut_within_a_packet_changes_the_answer(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct gate_case *c = &cases[i];

        for (size_t cut = 1; cut <= 8 && !cuts_may_matter(c); cut++) {
            enum gate_verdict verdict = GATE_WANT_MORE;
            struct buf        out = BUF_LIMIT(GATE_OUT_MOST);
            struct gate       gate;

            gate_init(&gate, c->policy, c->layer);
            for (size_t n = 0; n < MOST_FEEDS && c->feeds[n].len > 0; n++)
                verdict = feed_cut(&gate, c->feeds[n], cut, &out);
            check_end(c, &gate, verdict, &out);
            buf_fini(&out);
        }
    }
}

static void a_packet_cut_short_gets_no_answer(void **state)
{
    const struct bytes packets[] = { BYTES(SSL), BYTES(GSS), BYTES(CANCEL), BYTES(STARTUP) };

    for (size_t i = 0; i < COUNT(packets); i++) {
        for (size_t cut = 0; cut < packets[i].len; cut++) {
            struct buf   out = BUF_LIMIT(GATE_OUT_MOST);
            struct bytes in = bytes_first(packets[i], cut);
            struct gate  gate;

            gate_init(&gate, REQUIRED);
            assert_int_equal(gate_feed(&gate, &in, &out), GATE_WANT_MORE);
            assert_int_equal(in.len, cut);
            assert_int_equal(out.len, 0);
            buf_fini(&out);
        }
    }
}

static void a_refused_plaintext_client_is_told_what_to_do(void **state)
{
    struct buf            out = BUF_LIMIT(GATE_OUT_MOST);
    struct bytes          in = BYTES(STARTUP);
    struct error_response error;
    struct gate           gate;

    gate_init(&gate, REQUIRED);
    assert_int_equal(gate_feed(&gate, &in, &out), GATE_REFUSED);
    assert_true(error_response_read(&error, buf_bytes(&out)));
    assert_string_equal(error.hint, "connect with sslmode=require or stronger");
    assert_string_equal(gate_failure(&gate)->hint, error.hint);
    assert_int_equal(gate_failure(&gate)->kind, FAIL_REFUSED);
    buf_fini(&out);
}

static void protocol_2_gets_an_error_in_its_own_style(void **state)
{
    static const uint8_t whole[296] = { 0, 0, 1, 0x28, 0, 2, 0, 0 };
    struct buf           out = BUF_LIMIT(GATE_OUT_MOST);
    struct bytes         in = bytes_of(whole, sizeof whole);
    struct gate          gate;

    gate_init(&gate, NEVER);
    assert_int_equal(gate_feed(&gate, &in, &out), GATE_REFUSED);
    assert_buf_is(&out, bytes_of("EFATAL:  " UNSUPPORTED("2.0") "\n",
                                 sizeof("EFATAL:  " UNSUPPORTED("2.0") "\n")));
    buf_fini(&out);
}

static void without_memory_the_client_is_closed(void **state)
{
    const struct bytes packets[] = { BYTES(SSL), BYTES(GSS), BYTES(STARTUP),
                                     BYTES("\0\0\0\x08\0\2\0\0") };

    for (size_t i = 0; i < COUNT(packets); i++) {
        struct buf   out = BUF_LIMIT(GATE_OUT_MOST);
        struct bytes in = packets[i];
        struct gate  gate;

        gate_init(&gate, REQUIRED);
        alloc_fail_at(1);
        assert_int_equal(gate_feed(&gate, &in, &out), GATE_CLOSE_SILENTLY);
        assert_true(alloc_has_failed());
        assert_true(failed(gate_failure(&gate)));
        assert_int_equal(out.len, 0);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opening_gets_the_answer_of_postgresql),
        cmocka_unit_test(no_cut_within_a_packet_changes_the_answer),
        cmocka_unit_test(a_packet_cut_short_gets_no_answer),
        cmocka_unit_test(a_refused_plaintext_client_is_told_what_to_do),
        cmocka_unit_test(protocol_2_gets_an_error_in_its_own_style),
        cmocka_unit_test(without_memory_the_client_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

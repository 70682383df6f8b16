/* SPDX-License-Identifier: PostgreSQL */
#include "redis/resp.h"

#include "harness/check.h"

static enum resp_verdict read_one(struct resp_reply *reply, struct bytes in, size_t *left)
{
    enum resp_verdict verdict = resp_read(reply, &in);

    *left = in.len;
    return verdict;
}

static void replies_are_read_however_they_are_cut(void **state)
{
    static const struct {
        struct bytes   in;
        enum resp_kind kind;
        struct bytes   text;
    } rows[] = {
        { BYTES_INIT("+PONG\r\n"), RESP_STATUS, BYTES_INIT("PONG") },
        { BYTES_INIT("-NOAUTH Authentication required.\r\n"), RESP_ERROR,
          BYTES_INIT("NOAUTH Authentication required.") },
        { BYTES_INIT(":12\r\n"), RESP_NUMBER, BYTES_INIT("12") },
        { BYTES_INIT("$5\r\na\r\nbc\r\n"), RESP_BULK, BYTES_INIT("a\r\nbc") },
        { BYTES_INIT("$0\r\n\r\n"), RESP_BULK, BYTES_INIT("") },
        { BYTES_INIT("+\r\n"), RESP_STATUS, BYTES_INIT("") },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct resp_reply reply;
        size_t            left;

        for (size_t cut = 0; cut < rows[i].in.len; cut++) {
            assert_int_equal(read_one(&reply, bytes_first(rows[i].in, cut), &left), RESP_SHORT);
            assert_int_equal(left, cut);
        }
        assert_int_equal(read_one(&reply, rows[i].in, &left), RESP_COMPLETE);
        assert_int_equal(reply.kind, rows[i].kind);
        assert_true(bytes_equal(reply.text, rows[i].text));
        assert_int_equal(left, 0);
    }
}

static void the_items_of_an_array_follow_it(void **state)
{
    struct bytes      in = BYTES("*2\r\n$1\r\na\r\n$-1\r\n+next\r\n");
    struct resp_reply reply;

    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_int_equal(reply.kind, RESP_ARRAY);
    assert_int_equal(reply.count, 2);
    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_true(bytes_equal(reply.text, BYTES("a")));
    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_true(reply.is_null);
    assert_true(bytes_equal(in, BYTES("+next\r\n")));
}

static void what_is_no_reply_is_broken(void **state)
{
    static const struct bytes bad[] = {
        BYTES_INIT("HTTP/1.1 400 Bad Request\r\n"),
        BYTES_INIT("+no carriage return\n"),
        BYTES_INIT("$x\r\n"),
        BYTES_INIT("$\r\n"),
        BYTES_INIT("$99999999999999999999\r\n"),
        BYTES_INIT("$2\r\nabc\r\n"),
        BYTES_INIT("*65\r\n"),
        BYTES_INIT("\0"),
        BYTES_INIT("\n"),
    };
    struct resp_reply reply;
    static uint8_t    endless[RESP_LINE_MOST];
    size_t            left;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_one(&reply, bad[i], &left), RESP_BROKEN);
    memset(endless, '+', sizeof endless);
    assert_int_equal(read_one(&reply, bytes_of(endless, sizeof endless - 1), &left),
                     RESP_SHORT);
    assert_int_equal(read_one(&reply, bytes_of(endless, sizeof endless), &left), RESP_BROKEN);
}

static void errors_are_known_by_their_first_word(void **state)
{
    struct bytes      in = BYTES("-WRONGPASS invalid\r\n-NOAUTH\r\n+NOAUTH\r\n");
    struct resp_reply reply;

    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_true(resp_is_error(&reply, "WRONGPASS"));
    assert_false(resp_is_error(&reply, "WRONG"));
    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_true(resp_is_error(&reply, "NOAUTH"));
    assert_int_equal(resp_read(&reply, &in), RESP_COMPLETE);
    assert_false(resp_is_error(&reply, "NOAUTH"));
}

static void commands_are_arrays_of_bulk_strings(void **state)
{
    struct bytes words[] = { BYTES("AUTH"), BYTES("al ice"), BYTES("") };
    struct buf   out = BUF_LIMIT(100);

    resp_put_command(&out, words, 3);
    assert_buf_is(&out, BYTES("*3\r\n$4\r\nAUTH\r\n$6\r\nal ice\r\n$0\r\n\r\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_however_they_are_cut),
        cmocka_unit_test(the_items_of_an_array_follow_it),
        cmocka_unit_test(what_is_no_reply_is_broken),
        cmocka_unit_test(errors_are_known_by_their_first_word),
        cmocka_unit_test(commands_are_arrays_of_bulk_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

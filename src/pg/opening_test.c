/* SPDX-License-Identifier: PostgreSQL */
#include "pg/opening.h"

#include "harness/check.h"

#define STARTUP BYTES("\0\0\0\x12\0\3\0\0user\0ann\0\0")
#define CANCEL  BYTES("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7\1\2\3\4")

struct peek_case {
    struct bytes in;
    enum opening expected;
};

static void packet(uint8_t header[8], uint32_t length, uint32_t code)
{
    struct buf buf = BUF_LIMIT(8);

    buf_put_u32(&buf, length);
    buf_put_u32(&buf, code);
    memcpy(header, buf_bytes(&buf).p, 8);
    buf_fini(&buf);
}

static void every_first_packet_is_told_from_the_others(void **state)
{
    const struct peek_case cases[] = {
        { BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), OPENING_SSL },
        { BYTES("\0\0\0\x08\x04\xd2\x16\x30"), OPENING_GSS },
        { CANCEL, OPENING_CANCEL },
        { STARTUP, OPENING_STARTUP },
        { BYTES("\0\0\0\x08\0\3\0\0"), OPENING_STARTUP },
        { BYTES("\0\0\0\x09\0\3\0\2\0"), OPENING_STARTUP },
        { BYTES("\0\0\0\x09\0\3\x0f\x9f\0"), OPENING_STARTUP },
        { BYTES("\0\0\0\x08\0\2\0\0"), OPENING_UNSUPPORTED },
        { BYTES("\0\0\0\x08\0\4\0\0"), OPENING_UNSUPPORTED },
        { BYTES("\0\0\0\x08\0\0\0\0"), OPENING_UNSUPPORTED },
        { BYTES("\0\0\0\x08\x04\xd2\x27\x0f"), OPENING_UNSUPPORTED },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(opening_peek(cases[i].in), cases[i].expected);
        assert_int_equal(opening_length(cases[i].in), cases[i].in.len);
    }
    assert_int_equal(opening_code(STARTUP), 196608);
    assert_int_equal(opening_code(CANCEL), OPENING_CODE_CANCEL);
}

static void a_packet_cut_anywhere_is_short(void **state)
{
    const struct bytes packets[] = { STARTUP, CANCEL, BYTES("\0\0\0\x08\x04\xd2\x16\x2f"),
                                     BYTES("\0\0\0\x0c\0\2\0\0abcd") };

    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++)
        for (size_t cut = 0; cut < packets[i].len; cut++)
            assert_int_equal(opening_peek(bytes_first(packets[i], cut)), OPENING_SHORT);
}

static void what_follows_a_packet_does_not_matter(void **state)
{
    assert_int_equal(opening_peek(BYTES("\0\0\0\x08\x04\xd2\x16\x2f\x16\3\1")), OPENING_SSL);
    assert_int_equal(opening_peek(BYTES("\0\0\0\x09\0\3\0\0\0Q\0\0\0\4")), OPENING_STARTUP);
}

static void one_byte_tells_a_client_hello(void **state)
{
    assert_int_equal(opening_peek(BYTES("\x16")), OPENING_TLS_HELLO);
    assert_int_equal(opening_peek(BYTES("\x16\3\1\2\0\1\0")), OPENING_TLS_HELLO);
    assert_int_equal(opening_peek(BYTES("\x15\3\1\0")), OPENING_BAD);
}

static void a_length_out_of_range_is_bad_as_soon_as_it_is_there(void **state)
{
    const uint32_t lengths[] = { 0, 4, 7, 10005, 0x7fffffff, 0x80000000, 0xffffffff };

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t header[8];

        packet(header, lengths[i], 196608);
        assert_int_equal(opening_peek(bytes_of(header, 3)), OPENING_SHORT);
        assert_int_equal(opening_peek(bytes_of(header, 4)), OPENING_BAD);
        assert_int_equal(opening_peek(bytes_of(header, 8)), OPENING_BAD);
    }
    assert_int_equal(opening_peek(BYTES("GET ")), OPENING_BAD);
    assert_int_equal(opening_peek(BYTES("SSH-2.0")), OPENING_BAD);
}

static void the_longest_startup_message_is_waited_for_and_taken(void **state)
{
    static uint8_t whole[OPENING_MOST + 1];

    packet(whole, OPENING_MOST, 196608);
    assert_int_equal(opening_peek(bytes_of(whole, 8)), OPENING_SHORT);
    assert_int_equal(opening_peek(bytes_of(whole, OPENING_MOST - 1)), OPENING_SHORT);
    assert_int_equal(opening_peek(bytes_of(whole, OPENING_MOST)), OPENING_STARTUP);
    assert_int_equal(opening_peek(bytes_of(whole, OPENING_MOST + 1)), OPENING_STARTUP);
}

static void a_cancel_has_a_key_of_4_to_256_bytes(void **state)
{
    static uint8_t whole[300];
    const struct {
        uint32_t     length;
        enum opening expected;
    } cases[] = { { 12, OPENING_BAD },    { 15, OPENING_BAD },     { 16, OPENING_CANCEL },
                  { 44, OPENING_CANCEL }, { 267, OPENING_CANCEL }, { 268, OPENING_CANCEL },
                  { 269, OPENING_BAD } };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        packet(whole, cases[i].length, OPENING_CODE_CANCEL);
        assert_int_equal(opening_peek(bytes_of(whole, cases[i].length)), cases[i].expected);
        assert_int_equal(opening_peek(bytes_of(whole, 8)),
                         cases[i].expected == OPENING_BAD ? OPENING_BAD : OPENING_SHORT);
    }
}

static void a_request_of_another_length_than_8_is_bad(void **state)
{
    assert_int_equal(opening_peek(BYTES("\0\0\0\x09\x04\xd2\x16\x2f")), OPENING_BAD);
    assert_int_equal(opening_peek(BYTES("\0\0\0\x09\x04\xd2\x16\x30")), OPENING_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_first_packet_is_told_from_the_others),
        cmocka_unit_test(a_packet_cut_anywhere_is_short),
        cmocka_unit_test(what_follows_a_packet_does_not_matter),
        cmocka_unit_test(one_byte_tells_a_client_hello),
        cmocka_unit_test(a_length_out_of_range_is_bad_as_soon_as_it_is_there),
        cmocka_unit_test(the_longest_startup_message_is_waited_for_and_taken),
        cmocka_unit_test(a_cancel_has_a_key_of_4_to_256_bytes),
        cmocka_unit_test(a_request_of_another_length_than_8_is_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

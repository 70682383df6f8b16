/* SPDX-License-Identifier: PostgreSQL */
#include "pg/frame.h"

#include "harness/check.h"

/* a query's answer, a second one within a transaction, and one that failed */
#define ANSWERS                                                                                \
    BYTES("T\0\0\0\x06\0\0"                                                                    \
          "D\0\0\0\x0b\0\1\0\0\0\1Z"                                                           \
          "C\0\0\0\x0dSELECT 1\0"                                                              \
          "Z\0\0\0\5I"                                                                         \
          "I\0\0\0\4"                                                                          \
          "Z\0\0\0\5T"                                                                         \
          "E\0\0\0\5\0"                                                                        \
          "Z\0\0\0\5E")

static void ready_for_query_is_counted_and_its_status_kept(void **state)
{
    struct frame_hopper hopper;

    frame_hopper_init_server(&hopper);
    assert_true(frame_is_between(&hopper));
    assert_int_equal(hopper.status, 0);
    assert_true(frame_hop(&hopper, ANSWERS));
    assert_int_equal(hopper.count, 3);
    assert_int_equal(hopper.status, 'E');
    assert_true(frame_is_between(&hopper));
}

/* The position after `n` bytes of ANSWERS, found the slow way. */
static bool is_boundary(size_t n)
{
    size_t at = 0;

    while (at < n)
        at += 1 + bytes_u32(ANSWERS.p + at + 1);
    return at == n;
}

static void two_cuts_anywhere_change_nothing(void **state)
{
    for (size_t first = 0; first <= ANSWERS.len; first++) {
        for (size_t second = first; second <= ANSWERS.len; second++) {
            struct frame_hopper hopper;
            struct bytes        rest = ANSWERS;

            frame_hopper_init_server(&hopper);
            assert_true(frame_hop(&hopper, bytes_first(rest, first)));
            assert_int_equal(frame_is_between(&hopper), is_boundary(first));
            bytes_skip(&rest, first);
            assert_true(frame_hop(&hopper, bytes_first(rest, second - first)));
            assert_int_equal(frame_is_between(&hopper), is_boundary(second));
            bytes_skip(&rest, second - first);
            assert_true(frame_hop(&hopper, rest));
            assert_true(frame_is_between(&hopper));
            assert_int_equal(hopper.count, 3);
            assert_int_equal(hopper.status, 'E');
        }
    }
}

static void one_byte_at_a_time_is_enough(void **state)
{
    struct frame_hopper hopper;

    frame_hopper_init_server(&hopper);
    for (size_t i = 0; i < ANSWERS.len; i++) {
        assert_true(frame_hop(&hopper, bytes_of(ANSWERS.p + i, 1)));
        assert_int_equal(frame_is_between(&hopper), is_boundary(i + 1));
    }
    assert_int_equal(hopper.count, 3);
    assert_int_equal(hopper.status, 'E');
}

static void ready_for_query_counts_when_it_ends(void **state)
{
    struct frame_hopper hopper;

    frame_hopper_init_server(&hopper);
    assert_true(frame_hop(&hopper, BYTES("Z\0\0\0\5")));
    assert_int_equal(hopper.count, 0);
    assert_false(frame_is_between(&hopper));
    assert_true(frame_hop(&hopper, BYTES("T")));
    assert_int_equal(hopper.count, 1);
    assert_int_equal(hopper.status, 'T');
}

static void an_odd_ready_for_query_keeps_the_frames(void **state)
{
    const struct bytes empty_then_long = BYTES("Z\0\0\0\4Z\0\0\0\7IXYZ\0\0\0\4");

    for (size_t cut = 0; cut <= empty_then_long.len; cut++) {
        struct frame_hopper hopper;
        struct bytes        rest = empty_then_long;

        frame_hopper_init_server(&hopper);
        assert_true(frame_hop(&hopper, bytes_first(rest, cut)));
        bytes_skip(&rest, cut);
        assert_true(frame_hop(&hopper, rest));
        assert_true(frame_is_between(&hopper));
        assert_int_equal(hopper.count, 3);
        assert_int_equal(hopper.status, 'I');
    }
}

static void an_illegal_length_is_for_good(void **state)
{
    const struct bytes cases[] = { BYTES("D\0\0\0\3"), BYTES("D\0\0\0\0"), BYTES("D\x80\0\0\0"),
                                   BYTES("D\xff\xff\xff\xff") };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t cut = 0; cut < cases[i].len; cut++) {
            struct frame_hopper hopper;
            struct bytes        rest = cases[i];

            frame_hopper_init_server(&hopper);
            assert_true(frame_hop(&hopper, bytes_first(rest, cut)));
            bytes_skip(&rest, cut);
            assert_false(frame_hop(&hopper, rest));
            assert_false(frame_is_between(&hopper));
            assert_false(frame_hop(&hopper, BYTES("Z\0\0\0\5I")));
            assert_false(frame_is_between(&hopper));
        }
    }
}

static void the_longest_message_is_hopped_over(void **state)
{
    static const uint8_t block[65536];
    struct frame_hopper  hopper;
    uint64_t             left = INT32_MAX - 4;

    frame_hopper_init_server(&hopper);
    assert_true(frame_hop(&hopper, BYTES("d\x7f\xff\xff\xff")));
    while (left > 0) {
        size_t n = left < sizeof block ? (size_t)left : sizeof block;

        assert_false(frame_is_between(&hopper));
        assert_true(frame_hop(&hopper, bytes_of(block, n)));
        left -= n;
    }
    assert_true(frame_is_between(&hopper));
}

static void a_whole_message_is_told_from_a_part(void **state)
{
    struct bytes ready = BYTES("Z\0\0\0\5I");

    assert_true(frame_is_whole(ready, 'Z'));
    assert_false(frame_is_whole(ready, 'R'));
    assert_false(frame_is_whole(BYTES("Z\0\0\0\5IZ"), 'Z'));
    for (size_t cut = 0; cut < ready.len; cut++)
        assert_false(frame_is_whole(bytes_first(ready, cut), 'Z'));
}

static void requests_of_a_client_are_counted_however_they_are_cut(void **state)
{
    /* Query, Parse, Sync, CopyData, FunctionCall, Terminate; and 'z', whose bit is near */
    static const char wire[] = "Q\0\0\0\x05\0P\0\0\0\x04S\0\0\0\x04"
                               "d\0\0\0\x06QSF\0\0\0\x04z\0\0\0\x04X\0\0\0\x04";
    struct bytes      whole = bytes_of(wire, sizeof wire - 1);

    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct frame_hopper hopper;
        struct bytes        rest = whole;

        frame_hopper_init_client(&hopper);
        assert_true(frame_hop(&hopper, bytes_first(whole, cut)));
        bytes_skip(&rest, cut);
        assert_true(frame_hop(&hopper, rest));
        assert_int_equal(hopper.count, 3);
        assert_true(frame_is_between(&hopper));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_a_client_are_counted_however_they_are_cut),
        cmocka_unit_test(ready_for_query_is_counted_and_its_status_kept),
        cmocka_unit_test(two_cuts_anywhere_change_nothing),
        cmocka_unit_test(one_byte_at_a_time_is_enough),
        cmocka_unit_test(ready_for_query_counts_when_it_ends),
        cmocka_unit_test(an_odd_ready_for_query_keeps_the_frames),
        cmocka_unit_test(an_illegal_length_is_for_good),
        cmocka_unit_test(the_longest_message_is_hopped_over),
        cmocka_unit_test(a_whole_message_is_told_from_a_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

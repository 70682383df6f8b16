/* SPDX-License-Identifier: PostgreSQL */
#include "pg/collector.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define THREE "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IX\0\0\0\x04"

static void messages_come_whole_however_they_are_cut(void **state)
{
    static const size_t lengths[] = { 9, 6, 5 };

    for (size_t piece = 1; piece <= BYTES(THREE).len; piece++) {
        struct collector collector;
        struct bytes     left = BYTES(THREE), message;
        struct buf       seen = BUF_LIMIT(100);
        size_t           count = 0;

        collector_init(&collector, 9);
        while (left.len > 0) {
            struct bytes in = bytes_first(left, piece);

            bytes_skip(&left, in.len);
            while (collector_next(&collector, &in, &message) == COLLECTED_MESSAGE) {
                assert_int_equal(message.len, lengths[count++]);
                buf_put(&seen, message);
            }
            assert_int_equal(in.len, 0);
        }
        assert_int_equal(count, 3);
        assert_buf_is(&seen, BYTES(THREE));
        collector_fini(&collector);
        buf_fini(&seen);
    }
}

static void impossible_and_too_long_messages_are_refused_by_their_header(void **state)
{
    static const struct bytes bad[] = {
        BYTES_INIT("R\0\0\0\0"),   BYTES_INIT("R\0\0\0\3"),   BYTES_INIT("R\xff\xff\xff\xff"),
        BYTES_INIT("R\x80\0\0\0"), BYTES_INIT("R\0\0\0\x09"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t cut = 0; cut < 5; cut++) {
            struct collector collector;
            struct bytes     front = bytes_first(bad[i], cut), back = bad[i], message;

            bytes_skip(&back, cut);
            collector_init(&collector, 9);
            assert_int_equal(collector_next(&collector, &front, &message), COLLECTED_NOTHING);
            assert_int_equal(collector_next(&collector, &back, &message), COLLECTED_BROKEN);
            collector_fini(&collector);
        }
}

static void no_memory_is_told(void **state)
{
    struct collector collector;
    struct bytes     in = BYTES("R\0\0"), message;

    collector_init(&collector, 9);
    alloc_fail_at(1);
    assert_int_equal(collector_next(&collector, &in, &message), COLLECTED_BROKEN);
    assert_true(alloc_has_failed());
    collector_fini(&collector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_however_they_are_cut),
        cmocka_unit_test(impossible_and_too_long_messages_are_refused_by_their_header),
        cmocka_unit_test(no_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

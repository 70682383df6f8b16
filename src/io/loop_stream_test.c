/* SPDX-License-Identifier: PostgreSQL */
/*
 * What every backend's streams do.
 */
#include "harness/loop_rig.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>

#define BIG ((size_t)8 << 20)

static void a_connection_has_two_ends(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("ping"));
    b.keeps_asking = true;
    end_ask(&b, 0);
    until(rig, b.got.len == 4);
    assert_buf_is(&b.got, BYTES("ping"));
    end_send(&b, BYTES("pong"));
    a.keeps_asking = true;
    end_ask(&a, 0);
    until(rig, a.got.len == 4 && a.sent == 1 && b.sent == 1);
    assert_buf_is(&a.got, BYTES("pong"));
    assert_int_equal(a.send_error, 0);
    rig_close(rig, &a, &b);
}

static void connecting_where_nobody_listens_is_refused(struct rig *rig)
{
    struct end     a;
    struct failure why = { 0 };

    if (rig->backend->is_unix)
        return; /* a missing file is told as ENOENT: nothing is refused there */
    assert_int_equal(address_parse(&rig->address, "127.0.0.1:1", &why), FAIL_NONE);
    end_connect(&a, rig);
    until(rig, a.connected == 1);
    assert_int_equal(a.connect_error, ECONNREFUSED);
    stream_close(&a.stream, false);
    until(rig, a.closed == 1);
}

static void a_connection_that_is_being_made_can_be_closed(struct rig *rig)
{
    struct end a;

    end_connect(&a, rig);
    stream_close(&a.stream, true);
    until(rig, a.closed == 1);
    rig_pass(rig, 20000);
    assert_int_equal(a.calls, 1);
    if (rig->accepted == 1)
        loop_discard(rig->loop, rig->last);
}

static void nothing_is_received_before_it_is_asked_for(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("early"));
    rig_pass(rig, 20000);
    assert_int_equal(b.received, 0);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    rig_pass(rig, 20000);
    assert_int_equal(b.received, 1); /* one answer to one question */
    rig_close(rig, &a, &b);
}

static void no_more_is_received_than_asked_for(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("SGhello"));
    end_ask(&b, 1);
    until(rig, b.received == 1);
    assert_buf_is(&b.got, BYTES("S"));
    end_ask(&b, 1);
    until(rig, b.received == 2);
    assert_buf_is(&b.got, BYTES("SG"));
    b.keeps_asking = true;
    b.ask_for = 2;
    end_ask(&b, 2);
    until(rig, b.got.len == 7);
    assert_true(b.largest <= 2);
    assert_buf_is(&b.got, BYTES("SGhello"));
    rig_close(rig, &a, &b);
}

static uint8_t *big_data(void)
{
    uint8_t *data = malloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 12));
    return data;
}

static void the_end_is_told_after_the_last_byte(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("last words"));
    until(rig, a.sent == 1);
    stream_shutdown(&a.stream);
    rig_pass(rig, 20000);
    b.keeps_asking = true;
    end_ask(&b, 0);
    until(rig, b.got_end);
    assert_int_equal(b.receive_error, 0);
    assert_buf_is(&b.got, BYTES("last words"));
    rig_close(rig, &a, &b);
}

/* Long before all of it: whether a peer takes something is how a slow one is told from a dead.
 */
static void what_a_peer_takes_of_much_is_seen(struct rig *rig)
{
    static const uint8_t data[1 << 20];
    struct end           a, b;

    if (!rig->backend->is_unix) /* TCP may take a megabyte at once */
        return;
    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, sizeof data));
    rig_pass(rig, 5000);
    assert_true(stream_unsent(&a.stream) > sizeof data / 2);
    for (unsigned n = 1; stream_unsent(&a.stream) > sizeof data / 2; n++) {
        end_ask(&b, 0);
        until(rig, b.received == n);
        assert_true(n < 100);
        rig_pass(rig, 1000);
    }
    assert_true(stream_unsent(&a.stream) > 0);
    rig_close(rig, &a, &b);
}

/* Segments that a TCP socket has got so far; 0 where it is none. */
static uint32_t segments(const struct stream *stream)
{
    struct tcp_info info = { 0 };
    socklen_t       len = sizeof info;

    if (getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_segs_in;
}

static void the_last_bytes_and_the_end_are_one_segment(struct rig *rig)
{
    struct end a, b;
    uint32_t   before;

    rig_pair(rig, &a, &b);
    before = segments(&b.stream);
    stream_send_last(&a.stream, BYTES("last words"));
    until(rig, a.sent == 1);
    stream_shutdown(&a.stream);
    b.keeps_asking = true;
    end_ask(&b, 0);
    until(rig, b.got_end);
    assert_int_equal(b.got.len, 10);
    if (before > 0)
        assert_int_equal(segments(&b.stream) - before, 1);
    rig_close(rig, &a, &b);
}

static void the_last_bytes_are_followed_by_the_end(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = big_data();

    for (size_t len = 10; len <= BIG; len *= BIG / 10) {
        rig_pair(rig, &a, &b);
        stream_send_last(&a.stream, bytes_of(data, len));
        rig_pass(rig, 20000);
        b.keeps_asking = true;
        end_ask(&b, 0);
        until(rig, a.sent == 1);
        stream_shutdown(&a.stream);
        until(rig, b.got_end);
        assert_int_equal(b.receive_error, 0);
        assert_buf_is(&b.got, bytes_of(data, len));
        end_send(&b, BYTES("still here"));
        a.keeps_asking = true;
        end_ask(&a, 0);
        until(rig, a.got.len == 10 && b.sent == 1);
        rig_close(rig, &a, &b);
    }
    free(data);
}

static void a_connection_that_is_half_closed_goes_on_the_other_way(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_ask(&b, 0);
    stream_shutdown(&a.stream);
    until(rig, b.got_end);
    end_send(&b, BYTES("still here"));
    a.keeps_asking = true;
    end_ask(&a, 0);
    until(rig, a.got.len == 10 && b.sent == 1);
    assert_int_equal(b.send_error, 0);
    stream_shutdown(&b.stream);
    until(rig, a.got_end);
    rig_close(rig, &a, &b);
}

static void an_abort_resets_the_peer(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_ask(&b, 0);
    stream_close(&a.stream, true);
    until(rig, b.received == 1);
    if (!rig->backend->is_unix) /* there is no reset on those */
        assert_int_equal(b.receive_error, ECONNRESET);
    rig_close(rig, &a, &b);
}

static void a_reset_is_told_to_whoever_asks_later(struct rig *rig)
{
    struct end a, b;

    if (rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    stream_close(&a.stream, true);
    rig_pass(rig, 20000);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    assert_int_equal(b.receive_error, ECONNRESET);
    assert_int_equal(b.got.len, 0);
    rig_close(rig, &a, &b);
}

static void sending_to_a_peer_that_is_gone_is_an_error_and_no_signal(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    stream_close(&a.stream, true);
    rig_pass(rig, 20000);
    end_send(&b, BYTES("hello?"));
    until(rig, b.sent == 1);
    assert_true(b.send_error == ECONNRESET || b.send_error == EPIPE);
    rig_close(rig, &a, &b);
}

static void a_reset_that_a_send_found_is_not_an_orderly_end(struct rig *rig)
{
    struct end a, b;

    if (rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    stream_close(&a.stream, true);
    rig_pass(rig, 20000);
    end_send(&b, BYTES("hello?"));
    until(rig, b.sent == 1);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    assert_int_equal(b.receive_error, ECONNRESET);
    rig_close(rig, &a, &b);
}

static void sending_nothing_completes(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(NULL, 0));
    until(rig, a.sent == 1);
    assert_int_equal(a.send_error, 0);
    rig_close(rig, &a, &b);
}

static void more_than_the_buffers_hold_waits_for_a_slow_reader(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = big_data();

    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, BIG));
    rig_pass(rig, 50000);
    assert_int_equal(a.sent, 0);
    assert_true(stream_is_sending(&a.stream));
    b.keeps_asking = true;
    b.ask_for = 60000;
    end_ask(&b, 60000);
    until(rig, b.got.len == BIG && a.sent == 1);
    assert_true(b.largest <= 60000);
    assert_int_equal(a.send_error, 0);
    assert_memory_equal(buf_bytes(&b.got).p, data, BIG);
    rig_close(rig, &a, &b);
    free(data);
}

static void a_send_under_way_fails_when_the_peer_resets(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = big_data();

    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, BIG));
    rig_pass(rig, 5000);
    stream_close(&b.stream, true);
    until(rig, a.sent == 1);
    assert_int_not_equal(a.send_error, 0);
    rig_close(rig, &a, &b);
    free(data);
}

static void after_close_comes_closed_and_nothing_else(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = big_data();
    unsigned   calls;

    for (int cut_off = 0; cut_off < 2; cut_off++) {
        rig_pair(rig, &a, &b);
        end_ask(&a, 0);
        end_send(&b, BYTES("unread"));
        end_send(&a, bytes_of(data, cut_off ? BIG : 10)); /* its completion is queued, or not */
        calls = a.calls;
        stream_close(&a.stream, cut_off);
        assert_int_equal(a.closed, 0);
        until(rig, a.closed == 1);
        rig_pass(rig, 20000);
        assert_int_equal(a.calls, calls + 1);
        rig_close(rig, &a, &b);
    }
    free(data);
}

static void close_both(struct end *end)
{
    stream_close(&end->stream, false);
    stream_close(&end->friend->stream, false);
}

/* Both have an event in the same turn: the second must not reach a closed stream. */
static void a_callback_may_close_another_stream_that_is_ready_too(struct rig *rig)
{
    struct end a[2], b[2];

    for (int i = 0; i < 2; i++) {
        rig_pair(rig, &a[i], &b[i]);
        end_send(&a[i], BYTES("x"));
        b[i].on_received = close_both;
        b[i].friend = &b[1 - i];
    }
    end_ask(&b[0], 0);
    end_ask(&b[1], 0);
    until(rig, b[0].closed == 1 && b[1].closed == 1);
    assert_int_equal(b[0].received + b[1].received, 1);
    rig_close(rig, &a[0], &b[0]);
    rig_close(rig, &a[1], &b[1]);
}

static void ask_again_and_answer(struct end *end)
{
    if (!stream_is_sending(&end->stream))
        end_send(end, BYTES("."));
}

static void a_callback_may_send_and_ask_again(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    a.on_received = ask_again_and_answer;
    b.on_received = ask_again_and_answer;
    a.keeps_asking = b.keeps_asking = true;
    end_ask(&a, 0);
    end_ask(&b, 0);
    end_send(&a, BYTES("."));
    until(rig, a.got.len >= 100);
    rig_close(rig, &a, &b);
}

/* ---- nothing spins ---- */

#define FEW 12 /* turns: what one event, or two, and the end of the wait take */

static void data_that_nobody_asked_for_does_not_spin(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("x"));
    until(rig, a.sent == 1);
    assert_true(rig_pass(rig, 50000) < FEW);
    rig_close(rig, &a, &b);
}

static void a_half_closed_peer_does_not_spin(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    stream_shutdown(&a.stream);
    assert_true(rig_pass(rig, 50000) < FEW);
    end_ask(&b, 0);
    until(rig, b.got_end);
    assert_true(rig_pass(rig, 50000) < FEW);
    stream_shutdown(&b.stream); /* now it is closed both ways: a hang-up */
    assert_true(rig_pass(rig, 50000) < FEW);
    rig_close(rig, &a, &b);
}

static void a_reset_peer_does_not_spin(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    stream_close(&a.stream, true);
    assert_true(rig_pass(rig, 50000) < FEW);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    assert_true(rig_pass(rig, 50000) < FEW);
    rig_close(rig, &a, &b);
}

static void a_send_that_waits_does_not_spin(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = big_data();

    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, BIG));
    rig_pass(rig, 20000);
    end_send(&b, BYTES("unwanted"));
    rig_pass(rig, 20000);
    assert_true(rig_pass(rig, 50000) < FEW);
    b.keeps_asking = true;
    end_ask(&b, 0);
    until(rig, a.sent == 1 && b.got.len == BIG);
    assert_true(rig_pass(rig, 50000) < FEW);
    rig_close(rig, &a, &b);
    free(data);
}

static const struct rig_test tests[] = {
    RIG_TEST(a_connection_has_two_ends),
    RIG_TEST(connecting_where_nobody_listens_is_refused),
    RIG_TEST(a_connection_that_is_being_made_can_be_closed),
    RIG_TEST(nothing_is_received_before_it_is_asked_for),
    RIG_TEST(no_more_is_received_than_asked_for),
    RIG_TEST(the_end_is_told_after_the_last_byte),
    RIG_TEST(what_a_peer_takes_of_much_is_seen),
    RIG_TEST(the_last_bytes_and_the_end_are_one_segment),
    RIG_TEST(the_last_bytes_are_followed_by_the_end),
    RIG_TEST(a_connection_that_is_half_closed_goes_on_the_other_way),
    RIG_TEST(an_abort_resets_the_peer),
    RIG_TEST(a_reset_is_told_to_whoever_asks_later),
    RIG_TEST(sending_to_a_peer_that_is_gone_is_an_error_and_no_signal),
    RIG_TEST(a_reset_that_a_send_found_is_not_an_orderly_end),
    RIG_TEST(sending_nothing_completes),
    RIG_TEST(more_than_the_buffers_hold_waits_for_a_slow_reader),
    RIG_TEST(a_send_under_way_fails_when_the_peer_resets),
    RIG_TEST(after_close_comes_closed_and_nothing_else),
    RIG_TEST(a_callback_may_close_another_stream_that_is_ready_too),
    RIG_TEST(a_callback_may_send_and_ask_again),
    RIG_TEST(data_that_nobody_asked_for_does_not_spin),
    RIG_TEST(a_half_closed_peer_does_not_spin),
    RIG_TEST(a_reset_peer_does_not_spin),
    RIG_TEST(a_send_that_waits_does_not_spin),
};

int main(void)
{
    return rig_run(tests, sizeof tests / sizeof tests[0], NULL);
}

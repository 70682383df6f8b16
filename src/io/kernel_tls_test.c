/* SPDX-License-Identifier: PostgreSQL */
/* What can be seen without a kernel that has TLS: how frames are cut, and that refusals are
 * told.  The rest is tests/scenarios/test_346_kernel_tls.py. */
#include "io/kernel_tls.h"

#include "harness/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME (KERNEL_TLS_HEADER + KERNEL_TLS_CONTENT_MOST)

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* How many bytes of content the frames have; each is checked. */
static size_t take_frames(const uint8_t *at, ssize_t size)
{
    size_t content = 0;

    while (size > 0) {
        size_t length = bytes_u16(at + 3);

        assert_memory_equal(at, "\x17\x03\x03", 3);
        for (size_t i = 0; i < length; i++)
            assert_int_equal(at[KERNEL_TLS_HEADER + i], (uint8_t)((content + i) * 7 / 5));
        content += length;
        size -= (ssize_t)(KERNEL_TLS_HEADER + length);
        assert_true(size == 0 || length == KERNEL_TLS_CONTENT_MOST);
        at += KERNEL_TLS_HEADER + length;
    }
    assert_int_equal(size, 0);
    return content;
}

static void data_becomes_frames_whatever_its_length(void **state)
{
    static const size_t sizes[] = { 1, 16383, 16384, 16385, 32768, 40000, 49152, 60000 };
    uint8_t            *room = malloc(4 * FRAME), *sent = malloc(60000);
    int                 pair[2];

    for (size_t i = 0; i < 60000; i++)
        sent[i] = (uint8_t)(i * 7 / 5);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_pair(pair);
        assert_int_equal(kernel_tls_send(pair[0], 23, bytes_of(sent, sizes[i])), sizes[i]);
        assert_int_equal(
            take_frames(room, kernel_tls_receive(pair[1], room, (size_t)4 * FRAME)), sizes[i]);
        close_pair(pair);
    }
    free(room);
    free(sent);
}

static void no_more_is_received_than_there_is_room_for(void **state)
{
    uint8_t *room = malloc(FRAME), sent[20000];
    int      pair[2];

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 / 5);
    make_pair(pair);
    assert_int_equal(kernel_tls_send(pair[0], 23, bytes_of(sent, sizeof sent)), sizeof sent);
    assert_int_equal(take_frames(room, kernel_tls_receive(pair[1], room, FRAME)), 16384);
    close_pair(pair);
    free(room);
}

static void waiting_and_the_end_are_no_frames(void **state)
{
    uint8_t *room = malloc(FRAME);
    int      pair[2];

    make_pair(pair);
    assert_int_equal(kernel_tls_receive(pair[1], room, FRAME), -1);
    assert_int_equal(errno, EAGAIN);
    shutdown(pair[0], SHUT_WR);
    assert_int_equal(kernel_tls_receive(pair[1], room, FRAME), 0);
    close_pair(pair);
    free(room);
}

static void a_socket_that_is_none_of_tcp_takes_no_keys(void **state)
{
    uint8_t keys[56] = { 0 };
    int     pair[2];

    make_pair(pair);
    assert_int_not_equal(kernel_tls_attach(pair[0]), 0);
    assert_int_not_equal(kernel_tls_set_key(pair[0], true, bytes_of(keys, sizeof keys)), 0);
    close_pair(pair);
}

/* Keys of no cipher: a kernel with TLS says no to them, one without to all. */
static void what_cannot_be_is_refused_in_words(void **state)
{
    uint8_t                  nothing[56] = { 0 };
    struct kernel_tls_trial  trial = { .keys = bytes_of(nothing, sizeof nothing) };
    struct kernel_tls_answer answer = kernel_tls_probe(&trial, 1);

    assert_non_null(answer.refusal);
    assert_non_null(answer.hint);
    assert_false(trial.sends);
    assert_false(trial.receives);
    assert_false(answer.rekeys);
}

static void a_trial_leaves_no_descriptor_behind(void **state)
{
    struct kernel_tls_trial trials[3] = { 0 };
    int                     before = dup(0), after;

    close(before);
    (void)kernel_tls_probe(trials, 3);
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_becomes_frames_whatever_its_length),
        cmocka_unit_test(no_more_is_received_than_there_is_room_for),
        cmocka_unit_test(waiting_and_the_end_are_no_frames),
        cmocka_unit_test(a_socket_that_is_none_of_tcp_takes_no_keys),
        cmocka_unit_test(what_cannot_be_is_refused_in_words),
        cmocka_unit_test(a_trial_leaves_no_descriptor_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * What only a kernel can show.
 */
#include "harness/alloc.h"
#include "harness/loop_rig.h"
#include "io/loop_epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHARE ((size_t)64 * 1024)

/* So much waits in a Unix socket of the default size. */
static size_t fill(struct rig *rig, struct end *from)
{
    static uint8_t data[1 << 20];

    end_send(from, bytes_of(data, sizeof data));
    rig_pass(rig, 5000);
    return sizeof data - from->stream.sending.len;
}

static void a_stream_that_is_alone_gets_more_than_its_share(struct rig *rig)
{
    struct end a, b;
    size_t     waiting;

    if (!rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    waiting = fill(rig, &a);
    assert_true(waiting > SHARE);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    assert_true(b.largest > SHARE);
    assert_true(b.largest <= LOOP_RECEIVE_MAX);
    rig_close(rig, &a, &b);
}

static void streams_that_are_ready_together_get_a_share_each(struct rig *rig)
{
    struct end a[2], b[2];

    if (!rig->backend->is_unix)
        return;
    for (int i = 0; i < 2; i++) {
        rig_pair(rig, &a[i], &b[i]);
        assert_true(fill(rig, &a[i]) > SHARE);
    }
    end_ask(&b[0], 0);
    end_ask(&b[1], 0);
    until(rig, b[0].received == 1 && b[1].received == 1);
    assert_int_equal(b[0].largest, SHARE);
    assert_int_equal(b[1].largest, SHARE);
    rig_close(rig, &a[0], &b[0]);
    rig_close(rig, &a[1], &b[1]);
}

/* As with records of the kernel's that TCP has no room for; here it is the socket that has
 * none. */
static void an_end_of_file_waits_for_what_the_kernel_has_taken(struct rig *rig)
{
    static const uint8_t data[SHARE];
    struct end           a, b;

    if (!rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, sizeof data));
    until(rig, a.sent == 1);
    a.stream.flags |= STREAM_KERNEL_SENDS;
    stream_shutdown(&a.stream);
    assert_true(a.stream.flags & STREAM_SHUTDOWN_DUE);
    end_ask(&b, 0);
    until(rig, b.received == 1);
    until(rig, !(a.stream.flags & STREAM_SHUTDOWN_DUE));
    end_ask(&b, 0);
    until(rig, b.got_end);
    rig_close(rig, &a, &b);
}

static struct end *replacement_end;

static void replace_friend(struct end *end)
{
    struct end *friend = end->friend;
    int fd;

    if (friend == NULL || friend->received > 0)
        return;
    fd = friend->stream.fd;
    stream_close(&friend->stream, false);
    end_connect(replacement_end, end->rig);
    assert_int_equal(replacement_end->stream.fd, fd);
}

/* The event that waits for the closed stream must not reach the one that got its number. */
static void a_descriptor_number_that_is_used_again_brings_no_old_event(struct rig *rig)
{
    struct end a[2], b[2], replacement;

    for (int i = 0; i < 2; i++) {
        rig_pair(rig, &a[i], &b[i]);
        end_send(&a[i], BYTES("x"));
        b[i].on_received = replace_friend;
        b[i].friend = &b[1 - i];
    }
    replacement_end = &replacement;
    end_ask(&b[0], 0);
    end_ask(&b[1], 0);
    until(rig, b[0].received + b[1].received == 1 && b[0].closed + b[1].closed == 1);
    until(rig, replacement.connected == 1);
    assert_int_equal(replacement.connect_error, 0);
    rig_pass(rig, 10000);
    assert_int_equal(replacement.received, 0);
    rig_close(rig, &a[0], &b[0]);
    rig_close(rig, &a[1], &b[1]);
    until(rig, rig->accepted == 3);
    end_attach(&b[0], rig);
    rig_close(rig, &replacement, &b[0]);
}

/* Between two queries nothing changes in what is registered. */
static void a_query_and_its_answer_register_nothing(struct rig *rig)
{
    struct end a, b;
    unsigned   registered;

    rig_pair(rig, &a, &b);
    registered = b.stream.registered;
    assert_int_equal(registered, EPOLLIN);
    for (unsigned n = 1; n < 4; n++) {
        end_ask(&b, 0);
        end_send(&a, BYTES("query"));
        until(rig, b.received == n && a.sent == n);
        end_send(&b, BYTES("answer"));
        assert_int_equal(b.stream.registered, registered);
        end_ask(&a, 0);
        until(rig, a.received == n && b.sent == n);
        assert_int_equal(a.stream.registered, registered);
    }
    rig_close(rig, &a, &b);
}

static void run_nothing(struct loop_task *task)
{
}

static void a_loop_that_posts_to_itself_does_not_wake_itself(struct rig *rig)
{
    struct loop_task task = { .run = run_nothing };
    int              wake_fd = loop_epoll_of(rig->loop)->wake_fd;
    uint64_t         wakes;

    rig_pass(rig, 1000);
    loop_post(rig->loop, &task);
    assert_int_equal(read(wake_fd, &wakes, sizeof wakes), -1);
    assert_int_equal(errno, EAGAIN);
    rig_turn(rig);
    loop_fall_asleep(rig->loop);
    loop_post(rig->loop, &task);
    assert_int_equal(read(wake_fd, &wakes, sizeof wakes), sizeof wakes);
    assert_int_equal(wakes, 1);
    rig_turn(rig);
}

static void accepting_pauses_while_there_are_no_descriptors(struct rig *rig)
{
    struct end    a, b;
    struct rlimit old, low;
    int           spare = open("/dev/null", O_RDONLY);
    unsigned      turns;
    uint64_t      began_us;

    end_connect(&a, rig);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)spare; /* the lowest free number is out of bounds */
    close(spare);
    setrlimit(RLIMIT_NOFILE, &low);
    until(rig, rig->paused == 1);
    assert_int_equal(rig->pause_error, EMFILE);
    began_us = loop_now_us(rig->loop);
    turns = rig_pass(rig, 50000);
    /* on a busy machine it may have been more than a pause */
    assert_true(rig->paused <= 2 + (loop_now_us(rig->loop) - began_us) / LOOP_ACCEPT_PAUSE_US);
    assert_true(turns < 5 + 4 * rig->paused);
    setrlimit(RLIMIT_NOFILE, &old);
    until(rig, rig->accepted == 1);
    end_attach(&b, rig);
    rig_close(rig, &a, &b);
}

static void a_stream_that_cannot_be_registered_again_is_told_so(struct rig *rig)
{
    struct end a, b;
    int        real;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("x"));
    rig_pass(rig, 10000); /* b is off the list, as nobody asked */
    assert_int_equal(b.stream.registered, 0);
    real = b.stream.fd;
    b.stream.fd = -1;
    end_ask(&b, 0);
    until(rig, b.received == 1);
    assert_int_equal(b.receive_error, EBADF);
    b.stream.fd = real;
    rig_close(rig, &a, &b);
}

static int real_fd;

static void repair_and_close(struct end *end)
{
    end->stream.fd = real_fd;
    stream_close(&end->stream, false);
}

/* Two completions wait; the callback of the first closes. */
static void after_a_close_in_a_callback_the_second_completion_is_not_told(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    end_send(&a, BYTES("x"));
    rig_pass(rig, 10000);
    b.on_received = repair_and_close;
    real_fd = b.stream.fd;
    end_send(&b, BYTES("y"));
    b.stream.fd = -1;
    end_ask(&b, 0);
    until(rig, b.closed == 1);
    assert_int_equal(b.received, 1);
    assert_int_equal(b.sent, 0);
    rig_close(rig, &a, &b);
}

static void after_the_end_nothing_is_registered(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    stream_shutdown(&a.stream);
    end_ask(&b, 0);
    until(rig, b.got_end);
    assert_int_equal(b.stream.registered, 0);
    rig_close(rig, &a, &b);
}

static int option_of(const struct end *end, int level, int name)
{
    int       value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(end->stream.fd, level, name, &value, &size), 0);
    return value;
}

static void options_are_set_on_both_ends_of_a_tcp_connection(struct rig *rig)
{
    struct end        a, b;
    const struct end *ends[] = { &a, &b };

    if (rig->backend->is_unix)
        return;
    rig_pair(rig, &a, &b);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(option_of(ends[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(option_of(ends[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option_of(ends[i], IPPROTO_TCP, TCP_KEEPIDLE), 60);
        assert_int_equal(option_of(ends[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
    }
    rig_close(rig, &a, &b);
}

static void a_loop_that_gets_no_memory_says_so(struct rig *rig)
{
    unsigned n = 1;

    for (;; n++) {
        struct failure why = { 0 };
        struct loop   *loop;

        alloc_fail_at(n);
        loop = loop_new(LOOP_EPOLL, &why);
        if (!alloc_has_failed()) {
            assert_non_null(loop);
            loop_free(loop);
            break;
        }
        assert_null(loop);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 1);
}

/* Of epoll alone: what is registered, whose number a descriptor has. */
static const struct rig_test epoll_tests[] = {
    RIG_TEST(a_stream_that_is_alone_gets_more_than_its_share),
    RIG_TEST(streams_that_are_ready_together_get_a_share_each),
    RIG_TEST(a_descriptor_number_that_is_used_again_brings_no_old_event),
    RIG_TEST(a_query_and_its_answer_register_nothing),
    RIG_TEST(a_stream_that_cannot_be_registered_again_is_told_so),
    RIG_TEST(after_a_close_in_a_callback_the_second_completion_is_not_told),
    RIG_TEST(after_the_end_nothing_is_registered),
    RIG_TEST(a_loop_that_gets_no_memory_says_so),
    RIG_TEST(an_end_of_file_waits_for_what_the_kernel_has_taken),
};

static const struct rig_test kernel_tests[] = {
    RIG_TEST(a_loop_that_posts_to_itself_does_not_wake_itself),
    RIG_TEST(accepting_pauses_while_there_are_no_descriptors),
    RIG_TEST(options_are_set_on_both_ends_of_a_tcp_connection),
};

int main(void)
{
    int failed_tests =
        rig_run(kernel_tests, sizeof kernel_tests / sizeof kernel_tests[0], rig_is_real);

    return failed_tests +
           rig_run(epoll_tests, sizeof epoll_tests / sizeof epoll_tests[0], rig_is_epoll);
}

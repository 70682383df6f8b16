/* SPDX-License-Identifier: PostgreSQL */
/*
 * What only the io_uring backend can get wrong: buffers, a ring that is full, ends while
 * operations are under way, and a system that lets it not be used.
 */
#include "harness/alloc.h"
#include "harness/loop_rig.h"
#include "io/loop_uring_parts.h"
#include "io/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG ((size_t)8 << 20)

static struct uring_buffers *buffers_of(struct rig *rig)
{
    return &loop_uring_of(rig->loop)->buffers;
}

static void assert_all_buffers_are_back(struct rig *rig)
{
    assert_int_equal(buffers_of(rig)->left, URING_BUFFER_COUNT);
    assert_int_equal(buffers_of(rig)->large_spare, buffers_of(rig)->large_made);
}

#define PAIRS 300u

/* docs/operations.md states them. */
static void the_buffers_are_as_large_as_the_document_says(struct rig *rig)
{
    assert_int_equal(URING_BUFFER_COUNT * URING_BUFFER_BYTES, 4194304);
    assert_int_equal(URING_LARGE_BUFFERS * URING_LARGE_BYTES, 2097152);
}

/* More receives than there are buffers, and more submissions than the ring has places. */
static void more_connections_than_buffers_get_their_bytes(struct rig *rig)
{
    struct end *ends = calloc(2 * (size_t)PAIRS, sizeof *ends);
    size_t      got = 0;

    if (socket_raise_open_files(4 * PAIRS) < 2 * PAIRS + 50)
        skip();
    for (size_t i = 0; i < PAIRS; i++)
        rig_pair(rig, &ends[2 * i], &ends[2 * i + 1]);
    for (size_t i = 0; i < 2 * (size_t)PAIRS; i++) {
        end_ask(&ends[i], 0);
        end_send(&ends[i], BYTES("to the other end"));
    }
    while (got < 2 * (size_t)PAIRS) {
        rig_turn(rig);
        assert_false(rig->gave_up);
        got = 0;
        for (size_t i = 0; i < 2 * (size_t)PAIRS; i++)
            got += ends[i].received;
    }
    assert_all_buffers_are_back(rig);
    for (size_t i = 0; i < 2 * (size_t)PAIRS; i++) {
        assert_buf_is(&ends[i].got, BYTES("to the other end"));
        assert_int_equal(ends[i].sent, 1);
    }
    for (size_t i = 0; i < PAIRS; i++)
        rig_close(rig, &ends[2 * i], &ends[2 * i + 1]);
    free(ends);
}

static void bytes_in_bulk_come_in_large_buffers_that_are_not_kept(struct rig *rig)
{
    struct end a, b;
    uint8_t   *data = malloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 12));
    rig_pair(rig, &a, &b);
    end_send(&a, bytes_of(data, BIG));
    b.keeps_asking = true;
    end_ask(&b, 0);
    until(rig, b.got.len == BIG && a.sent == 1);
    assert_memory_equal(buf_bytes(&b.got).p, data, BIG);
    assert_true(b.largest > URING_BUFFER_BYTES);
    rig_pass(rig, 5000); /* b asks again, and nothing is there */
    assert_true(buffers_of(rig)->large_made > 0);
    assert_all_buffers_are_back(rig);
    rig_close(rig, &a, &b);
    free(data);
}

/* With nothing to be submitted together with them, bytes in bulk wait for no turn. */
static void what_is_sent_in_bulk_and_alone_leaves_at_once(struct rig *rig)
{
    static uint8_t data[16384], got[sizeof data];
    struct end     a, b;

    rig_pair(rig, &a, &b);
    for (size_t len = sizeof data - 1; len <= sizeof data; len++) {
        ssize_t n;

        rig_pass(rig, 1000);
        end_send(&a, bytes_of(data, len));
        n = recv(b.stream.fd, got, sizeof got, MSG_DONTWAIT);
        assert_int_equal(n, len == sizeof data ? (ssize_t)len : -1);
        assert_int_equal(a.sent, len == sizeof data ? 1 : 0); /* that is told in the turn */
        until(rig, a.sent == 1 + (len == sizeof data));
        if (n < 0)
            assert_int_equal(recv(b.stream.fd, got, sizeof got, MSG_DONTWAIT), len);
    }
    rig_close(rig, &a, &b);
}

/* Bytes that came for a stream that closes in the same turn are in a buffer all the same. */
static void an_end_loses_no_buffer(struct rig *rig)
{
    static uint8_t data[1 << 20];
    struct end     a, b;

    for (int round = 0; round < 40; round++) {
        rig_pair(rig, &a, &b);
        end_ask(&b, 0);
        end_ask(&a, 0);
        end_send(&a, bytes_of(data, sizeof data));
        if (round % 4 > 0)
            rig_turn(rig);
        if (round % 4 > 1) {
            end_send(&b, bytes_of(data, sizeof data));
            rig_turn(rig);
        }
        stream_close(&b.stream, round % 3 == 0);
        if (round % 2)
            rig_turn(rig);
        rig_close(rig, &a, &b);
        rig_pass(rig, 1000);
        assert_all_buffers_are_back(rig);
    }
}

/* Whoever was told that a stream is closed may free it: neither the ring nor the queue before
 * it has anything of it any more. */
static void assert_is_its_owners(struct rig *rig, struct end *end)
{
    static uint8_t pattern[sizeof(struct stream)];

    memset(pattern, 0xaa, sizeof pattern);
    memcpy(&end->stream, pattern, sizeof pattern);
    rig_pass(rig, 500);
    assert_memory_equal(&end->stream, pattern, sizeof pattern);
}

static void the_memory_of_a_closed_stream_is_its_owners(struct rig *rig)
{
    static uint8_t data[1 << 20];
    struct end     a, b;

    for (int round = 0; round < 40; round++) {
        rig_pair(rig, &a, &b);
        end_ask(&b, 0);
        if (round % 2)
            end_send(&b, bytes_of(data, sizeof data)); /* more than the socket takes */
        if (round % 4 > 1)
            rig_pass(rig, 500); /* both are under way */
        stream_close(&b.stream, round % 8 > 3);
        until(rig, b.closed == 1);
        assert_is_its_owners(rig, &b);
        rig_close(rig, &a, &b);
    }
    assert_all_buffers_are_back(rig);
}

/* ---- buffers that hold what waits in line ---- */

/* So many that there is no buffer left for anybody else. */
static struct end *open_patient(struct rig *rig)
{
    struct end *ends = calloc(2 * (size_t)PAIRS, sizeof *ends);

    for (size_t i = 0; i < PAIRS; i++) {
        rig_pair(rig, &ends[2 * i], &ends[2 * i + 1]);
        stream_set_patient(&ends[2 * i + 1].stream, true);
        end_send(&ends[2 * i], BYTES("longer than what is free: a hello"));
    }
    rig_pass(rig, 5000); /* all of it is there */
    for (size_t i = 0; i < PAIRS; i++)
        end_ask(&ends[2 * i + 1], 0);
    return ends;
}

static void who_finds_no_buffer_is_not_forgotten(struct rig *rig)
{
    struct end *ends;
    size_t      least = URING_BUFFER_COUNT;

    if (socket_raise_open_files(4 * PAIRS) < 2 * PAIRS + 50)
        skip();
    ends = open_patient(rig);
    for (size_t i = 0; i < PAIRS; i++) {
        while (ends[2 * i + 1].received == 0) {
            rig_turn(rig);
            assert_false(rig->gave_up);
            least = buffers_of(rig)->left < least ? buffers_of(rig)->left : least;
        }
    }
    assert_true(least <= 1); /* one was given back in the same turn */
    assert_all_buffers_are_back(rig);
    for (size_t i = 0; i < PAIRS; i++)
        rig_close(rig, &ends[2 * i], &ends[2 * i + 1]);
    free(ends);
}

static void who_closes_in_line_gives_the_buffer_back(struct rig *rig)
{
    struct end *ends;

    if (socket_raise_open_files(4 * PAIRS) < 2 * PAIRS + 50)
        skip();
    ends = open_patient(rig);
    until(rig, buffers_of(rig)->left < URING_BUFFER_COUNT / 2);
    for (size_t i = 0; i < PAIRS; i++)
        stream_close(&ends[2 * i + 1].stream, i % 2 == 0);
    for (size_t i = 0; i < PAIRS; i++)
        rig_close(rig, &ends[2 * i], &ends[2 * i + 1]);
    assert_all_buffers_are_back(rig);
    free(ends);
}

/* It wants something and closes in one breath. */
static void close_in_callback(struct end *end)
{
    end_ask(end, 0);
    stream_close(&end->stream, false);
}

static void a_stream_may_be_closed_by_what_it_is_told(struct rig *rig)
{
    struct end a, b;

    rig_pair(rig, &a, &b);
    b.on_received = close_in_callback;
    end_ask(&b, 0);
    end_send(&a, BYTES("x"));
    until(rig, b.closed == 1);
    assert_is_its_owners(rig, &b);
    assert_int_equal(b.received, 1);
    assert_all_buffers_are_back(rig);
    rig_close(rig, &a, &b);
}

/* ---- what the system may say ---- */

/* Whatever is asked of system call `number` is answered with `error`. */
static void forbid(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof filter / sizeof filter[0], .filter = filter };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static void forbid_memory(long number, int error)
{
    struct rlimit none = { 0, 0 };

    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || setuid(65534) != 0)
        _exit(77);
}

/* Enough for the smaller of the two sizes of a ring.  What is locked is counted by user. */
static void forbid_much_memory(void)
{
    struct rlimit little = { (rlim_t)100 * 1024, (rlim_t)100 * 1024 };

    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || setuid(100000 + (uid_t)getpid()) != 0)
        _exit(77);
}

static int try_smaller_ring(void)
{
    struct failure why = { 0 };
    struct loop   *loop = loop_new(LOOP_IO_URING, &why);

    if (loop == NULL || loop_refusal(loop) != NULL)
        return 1;
    if (loop_uring_of(loop)->ring.sq.ring_entries >= 1024)
        return 2; /* the limit was none */
    loop_free(loop);
    return 0;
}

/* In the child: 0 where epoll serves and the reason has this word in it. */
static int try_io_uring(const char *word)
{
    struct failure why = { 0 };
    struct loop   *loop = loop_new(LOOP_IO_URING, &why);

    if (loop == NULL)
        return 1;
    if (strcmp(loop_name(loop), "epoll") != 0 || loop_refusal(loop) == NULL)
        return 2;
    if (strstr(loop_refusal(loop), word) == NULL)
        return 3;
    loop_free(loop);
    return 0;
}

static void expect_good_end(pid_t child)
{
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* not allowed here: not root, or in a container */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_refusal(void (*limit)(long number, int error), long number, int error,
                           const char *word)
{
    pid_t child = fork();

    if (child == 0) {
        limit(number, error);
        _exit(try_io_uring(word));
    }
    expect_good_end(child);
}

static void where_a_filter_forbids_it_epoll_serves_and_says_why(struct rig *rig)
{
    expect_refusal(forbid, SYS_io_uring_setup, EPERM, "filter of system calls, forbids");
    expect_refusal(forbid, SYS_io_uring_setup, ENOSYS, "has none");
    expect_refusal(forbid, SYS_io_uring_setup, EINVAL, "older");
    expect_refusal(forbid, SYS_io_uring_register, EPERM, "ring of buffers");
    expect_refusal(forbid, SYS_io_uring_enter, EPERM, "does not work here");
    expect_refusal(forbid, SYS_socketpair, EPERM, "does not work here");
}

static void where_memory_may_not_be_locked_epoll_serves_and_says_why(struct rig *rig)
{
    expect_refusal(forbid_memory, 0, 0, "RLIMIT_MEMLOCK");
}

static void where_little_memory_may_be_locked_a_smaller_ring_serves(struct rig *rig)
{
    pid_t child = fork();

    if (child == 0) {
        forbid_much_memory();
        _exit(try_smaller_ring());
    }
    expect_good_end(child);
}

static void without_memory_epoll_serves_or_nothing_does(struct rig *rig)
{
    unsigned n = 1;

    for (;; n++) {
        struct failure why = { 0 };
        struct loop   *loop;

        alloc_fail_at(n);
        loop = loop_new(LOOP_IO_URING, &why);
        if (!alloc_has_failed()) {
            assert_non_null(loop);
            assert_null(loop_refusal(loop));
            loop_free(loop);
            break;
        }
        if (loop == NULL) {
            assert_int_equal(why.kind, FAIL_MEMORY);
            continue;
        }
        assert_string_equal(loop_name(loop), "epoll");
        assert_non_null(loop_refusal(loop));
        loop_free(loop);
    }
    assert_true(n > 2);
}

static const struct rig_test tests[] = {
    RIG_TEST(the_buffers_are_as_large_as_the_document_says),
    RIG_TEST(more_connections_than_buffers_get_their_bytes),
    RIG_TEST(bytes_in_bulk_come_in_large_buffers_that_are_not_kept),
    RIG_TEST(what_is_sent_in_bulk_and_alone_leaves_at_once),
    RIG_TEST(an_end_loses_no_buffer),
    RIG_TEST(the_memory_of_a_closed_stream_is_its_owners),
    RIG_TEST(who_finds_no_buffer_is_not_forgotten),
    RIG_TEST(who_closes_in_line_gives_the_buffer_back),
    RIG_TEST(a_stream_may_be_closed_by_what_it_is_told),
    RIG_TEST(where_a_filter_forbids_it_epoll_serves_and_says_why),
    RIG_TEST(where_memory_may_not_be_locked_epoll_serves_and_says_why),
    RIG_TEST(where_little_memory_may_be_locked_a_smaller_ring_serves),
    RIG_TEST(without_memory_epoll_serves_or_nothing_does),
};

int main(void)
{
    return rig_run(tests, sizeof tests / sizeof tests[0], rig_is_io_uring);
}

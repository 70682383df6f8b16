/* SPDX-License-Identifier: PostgreSQL */
#include "io/blocking.h"

#include "harness/check.h"
#include "io/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US UINT64_C(1000000)

struct fixture {
    int             listener;
    struct address  address;
    struct blocking ours;
    int             theirs;
};

static uint64_t in_s(uint64_t seconds)
{
    return clock_monotonic_us() + seconds * SECOND_US;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct failure        why = { 0 };

    assert_int_equal(address_parse(&f.address, "127.0.0.1:0", &why), FAIL_NONE);
    assert_int_equal(
        socket_listen(&f.listener, &f.address, &(struct socket_options){ 0 }, &why), FAIL_NONE);
    assert_int_equal(socket_local_address(f.listener, &f.address, &why), FAIL_NONE);
    assert_int_equal(blocking_connect(&f.ours, &f.address, in_s(10), &why), FAIL_NONE);
    while ((f.theirs = accept(f.listener, NULL, NULL)) < 0)
        ;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    blocking_close(&f->ours);
    blocking_close(&f->ours);
    if (f->theirs >= 0)
        close(f->theirs);
    close(f->listener);
    return 0;
}

static void bytes_come_up_to_what_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct buf      in = BUF_LIMIT(16);
    struct failure  why = { 0 };
    char            got[8];

    assert_int_equal(blocking_send(&f->ours, BYTES("ping"), in_s(10), &why), FAIL_NONE);
    assert_int_equal(recv(f->theirs, got, sizeof got, 0), 4);
    assert_int_equal(send(f->theirs, "Sjunk", 5, 0), 5);
    assert_int_equal(blocking_receive(&f->ours, &in, 1, in_s(10), &why), FAIL_NONE);
    assert_buf_is(&in, BYTES("S"));
    assert_true(blocking_is_readable(&f->ours, 0));
    assert_int_equal(blocking_receive(&f->ours, &in, 16, in_s(10), &why), FAIL_NONE);
    assert_buf_is(&in, BYTES("Sjunk"));
    buf_fini(&in);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct buf      in = BUF_LIMIT(16);
    struct failure  why = { 0 };
    uint64_t        began_us = clock_monotonic_us();

    assert_false(blocking_is_readable(&f->ours, began_us));
    assert_int_equal(blocking_receive(&f->ours, &in, 16, began_us + 30000, &why), FAIL_TIMEOUT);
    assert_true(clock_monotonic_us() >= began_us + 30000);
    buf_fini(&in);
}

static void past_the_deadline_nothing_is_received_even_if_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct buf      in = BUF_LIMIT(16);
    struct failure  why = { 0 };

    assert_int_equal(send(f->theirs, "more", 4, 0), 4);
    assert_true(blocking_is_readable(&f->ours, in_s(10)));
    assert_int_equal(blocking_receive(&f->ours, &in, 16, clock_monotonic_us(), &why),
                     FAIL_TIMEOUT);
    assert_int_equal(in.len, 0);
    buf_fini(&in);
}

static void an_end_and_a_reset_differ(void **state)
{
    struct fixture *f = *state;
    struct buf      in = BUF_LIMIT(16);
    struct failure  why = { 0 };
    struct linger   now = { 1, 0 };

    shutdown(f->theirs, SHUT_WR);
    assert_int_equal(blocking_receive(&f->ours, &in, 16, in_s(10), &why), FAIL_CLOSED);
    assert_int_equal(why.errnum, 0);
    why = (struct failure){ 0 };
    setsockopt(f->theirs, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(f->theirs);
    f->theirs = -1;
    while (blocking_send(&f->ours, BYTES("x"), in_s(10), &why) == FAIL_NONE)
        ;
    assert_int_equal(why.kind, FAIL_CLOSED);
    assert_true(why.errnum == ECONNRESET || why.errnum == EPIPE);
    buf_fini(&in);
}

static void a_full_buffer_is_a_limit(void **state)
{
    struct fixture *f = *state;
    struct buf      in = BUF_LIMIT(2);
    struct failure  why = { 0 };

    assert_int_equal(send(f->theirs, "abc", 3, 0), 3);
    assert_int_equal(blocking_receive(&f->ours, &in, 16, in_s(10), &why), FAIL_NONE);
    assert_int_equal(blocking_receive(&f->ours, &in, 16, in_s(10), &why), FAIL_LIMIT);
    buf_fini(&in);
}

static void a_refused_connection_is_its_errno(void **state)
{
    struct fixture *f = *state;
    struct blocking other;
    struct failure  why = { 0 };
    struct address  nobody;

    assert_true(address_from_numeric(&nobody, "127.0.0.1", 1));
    assert_int_equal(blocking_connect(&other, &nobody, in_s(10), &why), FAIL_IO);
    assert_int_equal(why.errnum, ECONNREFUSED);
    assert_int_equal(other.fd, -1);
    assert_true(f->ours.fd >= 0);
}

static void numbers_need_no_name_server_and_silent_ones_end(void **state)
{
    struct blocking_addresses found;
    struct failure            why = { 0 };
    struct sockaddr_storage   name;
    socklen_t                 length = sizeof name;
    struct address            silent;
    int                       fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char                      text[ADDRESS_TEXT];

    assert_int_equal(blocking_resolve(&found, "127.0.0.1", 5432, NULL, in_s(10), &why),
                     FAIL_NONE);
    assert_int_equal(found.count, 1);
    assert_string_equal(address_format(&found.items[0], text), "127.0.0.1:5432");

    assert_true(address_from_numeric(&silent, "127.0.0.1", 0));
    assert_int_equal(bind(fd, (const struct sockaddr *)silent.storage, silent.length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    address_from_system(&silent, &name, length);
    assert_int_equal(blocking_resolve(&found, "db.example", 5432, address_format(&silent, text),
                                      clock_monotonic_us() + 30000, &why),
                     FAIL_TIMEOUT);
    close(fd);
    why = (struct failure){ 0 };
    assert_int_equal(blocking_resolve(&found, "x", 1, "no server", in_s(10), &why),
                     FAIL_CONFIG);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH(bytes_come_up_to_what_was_asked_for),
        WITH(silence_ends_at_the_deadline),
        WITH(past_the_deadline_nothing_is_received_even_if_it_is_there),
        WITH(an_end_and_a_reset_differ),
        WITH(a_full_buffer_is_a_limit),
        WITH(a_refused_connection_is_its_errno),
        cmocka_unit_test(numbers_need_no_name_server_and_silent_ones_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "io/socket.h"

#include "harness/check.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct socket_options plain = { .unix_mode = 0660 };
static const struct socket_options several = { .reuse_port = true };

static struct address parse(const char *text)
{
    struct address address;
    struct failure why = { 0 };

    assert_int_equal(address_parse(&address, text, &why), FAIL_NONE);
    return address;
}

/* A listening socket on a port that the system chose. */
static int listen_somewhere(struct address *got, const struct socket_options *options)
{
    struct address address = parse("127.0.0.1:0");
    struct failure why = { 0 };
    int            fd = -1;

    assert_int_equal(socket_listen(&fd, &address, options, &why), FAIL_NONE);
    assert_int_equal(socket_local_address(fd, got, &why), FAIL_NONE);
    return fd;
}

static void an_address_in_use_is_refused_with_a_hint(void **state)
{
    struct address address;
    struct failure why = { 0 };
    char           text[ADDRESS_TEXT];
    int            first = listen_somewhere(&address, &plain);
    int            second = -1;

    assert_int_equal(socket_listen(&second, &address, &plain, &why), FAIL_IO);
    assert_int_equal(second, -1);
    assert_int_equal(why.errnum, EADDRINUSE);
    assert_non_null(strstr(why.text, address_format(&address, text)));
    assert_true(why.hint[0] != '\0');
    socket_close(first);
}

static void several_sockets_of_ours_share_an_address(void **state)
{
    struct address address;
    struct failure why = { 0 };
    int            first = listen_somewhere(&address, &several);
    int            second = -1;

    assert_int_equal(socket_listen(&second, &address, &several, &why), FAIL_NONE);
    socket_close(first);
    socket_close(second);
}

static void another_listener_is_noticed_though_the_port_is_shared(void **state)
{
    struct address address;
    int            fd = listen_somewhere(&address, &several);

    assert_true(socket_address_in_use(&address));
    socket_close(fd);
    assert_false(socket_address_in_use(&address));
}

static void both_families_listen_on_one_port(void **state)
{
    struct address any4 = parse("0.0.0.0:0");
    struct address any6 = parse("[::]:0");
    struct failure why = { 0 };
    int            fd4, fd6;
    int            probe = socket(AF_INET6, SOCK_STREAM, 0);

    if (probe < 0)
        skip();
    close(probe);
    assert_int_equal(socket_listen(&fd4, &any4, &plain, &why), FAIL_NONE);
    assert_int_equal(socket_local_address(fd4, &any4, &why), FAIL_NONE);
    /* the port is behind the family, in both */
    memcpy(any6.storage + 2, any4.storage + 2, 2);
    assert_int_equal(socket_listen(&fd6, &any6, &plain, &why), FAIL_NONE);
    socket_close(fd4);
    socket_close(fd6);
}

static void an_address_that_is_not_ours_is_refused(void **state)
{
    struct address address = parse("192.0.2.1:5432");
    struct failure why = { 0 };
    int            fd;

    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_IO);
    assert_int_equal(why.errnum, EADDRNOTAVAIL);
    assert_true(why.hint[0] != '\0');
}

/* ---- Unix sockets ---- */

static struct address unix_address(char path[64])
{
    char text[80];

    snprintf(path, 64, "/tmp/pgtls-socket-test.%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    unlink(path);
    return parse(text);
}

static void a_unix_socket_gets_its_mode_and_goes_with_its_owner(void **state)
{
    char           path[64];
    struct address address = unix_address(path);
    struct failure why = { 0 };
    struct stat    info;
    int            fd;

    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_NONE);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    assert_true(socket_address_in_use(&address));
    socket_close_and_unlink(fd, &address);
    assert_int_equal(stat(path, &info), -1);
    assert_false(socket_address_in_use(&address));
}

static void a_stale_unix_socket_is_replaced(void **state)
{
    char           path[64];
    struct address address = unix_address(path);
    struct failure why = { 0 };
    int            fd;

    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_NONE);
    socket_close(fd); /* the file stays */
    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_NONE);
    socket_close_and_unlink(fd, &address);
}

static void a_unix_socket_in_use_is_left_alone(void **state)
{
    char           path[64];
    struct address address = unix_address(path);
    struct failure why = { 0 };
    struct stat    info;
    int            first, second;

    assert_int_equal(socket_listen(&first, &address, &plain, &why), FAIL_NONE);
    assert_int_equal(socket_listen(&second, &address, &plain, &why), FAIL_IO);
    assert_int_equal(why.errnum, EADDRINUSE);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(stat(path, &info), 0);
    socket_close_and_unlink(first, &address);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    char           path[64];
    struct address address = unix_address(path);
    struct failure why = { 0 };
    struct stat    info;
    int            fd;

    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_CONFIG);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(stat(path, &info), 0);
    unlink(path);
}

static void a_missing_directory_gets_a_hint(void **state)
{
    struct address address = parse("unix:/nonexistent-directory/socket");
    struct failure why = { 0 };
    int            fd;

    assert_int_equal(socket_listen(&fd, &address, &plain, &why), FAIL_IO);
    assert_int_equal(why.errnum, ENOENT);
    assert_true(why.hint[0] != '\0');
}

static void the_limit_of_open_files_is_raised_and_never_lowered(void **state)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 200;
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(socket_raise_open_files(300), 300);
    assert_int_equal(socket_raise_open_files(100), 300);
    assert_int_equal(socket_raise_open_files(UINT64_MAX), limit.rlim_max);
}

/* Of clients that come before anything accepts, too. */
static void who_waits_to_be_accepted_has_the_options_already(void **state)
{
    const struct stream_options connections = { .no_delay = true, .keepalive_s = 60 };
    struct address              address;
    int                         fd =
        listen_somewhere(&address, &(struct socket_options){ .connections = &connections });
    int       client = socket(AF_INET, SOCK_STREAM, 0), accepted, value = 0;
    socklen_t size = sizeof value;

    assert_int_equal(connect(client, (struct sockaddr *)address.storage, address.length), 0);
    assert_true((accepted = accept(fd, NULL, NULL)) >= 0);
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    assert_int_not_equal(value, 0);
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
    assert_int_equal(value, 60);
    close(accepted);
    close(client);
    socket_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_to_be_accepted_has_the_options_already),
        cmocka_unit_test(an_address_in_use_is_refused_with_a_hint),
        cmocka_unit_test(several_sockets_of_ours_share_an_address),
        cmocka_unit_test(another_listener_is_noticed_though_the_port_is_shared),
        cmocka_unit_test(both_families_listen_on_one_port),
        cmocka_unit_test(an_address_that_is_not_ours_is_refused),
        cmocka_unit_test(a_unix_socket_gets_its_mode_and_goes_with_its_owner),
        cmocka_unit_test(a_stale_unix_socket_is_replaced),
        cmocka_unit_test(a_unix_socket_in_use_is_left_alone),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_missing_directory_gets_a_hint),
        cmocka_unit_test(the_limit_of_open_files_is_raised_and_never_lowered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

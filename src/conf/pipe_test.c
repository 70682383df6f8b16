/* SPDX-License-Identifier: PostgreSQL */
#include "conf/pipe.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 60000
#define HASTE    20

static char *dir, fifo[256];

static int make_fifo(void **state)
{
    dir = certs_dir_new();
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    return mkfifo(fifo, 0600);
}

static int remove_fifo(void **state)
{
    certs_dir_free(dir);
    return 0;
}

/* `text` becomes standard input, in a pipe whose writer is gone. */
static int give_input(const char *text)
{
    int saved = dup(STDIN_FILENO), ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    return saved;
}

static void take_input(int saved)
{
    if (saved >= 0)
        dup2(saved, STDIN_FILENO);
    close(saved >= 0 ? saved : STDIN_FILENO);
}

static void input_and_fifos_are_told_from_files(void **state)
{
    assert_true(conf_pipe_is("-") && conf_pipe_is_input("-"));
    assert_true(conf_pipe_is("/dev/stdin") && conf_pipe_is_input("/dev/stdin"));
    assert_true(conf_pipe_is(fifo) && !conf_pipe_is_input(fifo));
    assert_false(conf_pipe_is(dir));
    assert_false(conf_pipe_is("/dev/null"));
    assert_false(conf_pipe_is("/nonexistent"));
}

static void input_is_read_to_its_end(void **state)
{
    static const char *const names[] = { "-", "/dev/stdin" };

    for (size_t i = 0; i < 2; i++) {
        struct buf out = BUF_LIMIT(100);
        int        saved = give_input("log_level = \"info\"\n");

        assert_int_equal(conf_pipe_read(names[i], PATIENCE, &out, NULL), FAIL_NONE);
        assert_true(bytes_equal(buf_bytes(&out), BYTES("log_level = \"info\"\n")));
        take_input(saved);
        buf_fini(&out);
    }
}

static void a_pipe_may_be_empty(void **state)
{
    struct buf out = BUF_LIMIT(100);
    int        saved = give_input("");

    assert_int_equal(conf_pipe_read("-", PATIENCE, &out, NULL), FAIL_NONE);
    assert_int_equal(out.len, 0);
    take_input(saved);
    buf_fini(&out);
}

/* The shell's <(...): the name is opened when the writer has come, and maybe has gone. */
static void a_descriptor_by_its_name_is_read_though_its_writer_has_gone(void **state)
{
    struct buf out = BUF_LIMIT(100);
    char       name[40];
    int        ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x = 1\n", 6), 6);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    assert_true(conf_pipe_is(name));
    assert_int_equal(conf_pipe_read(name, PATIENCE, &out, NULL), FAIL_NONE);
    assert_true(bytes_equal(buf_bytes(&out), BYTES("x = 1\n")));
    close(ends[0]);
    buf_fini(&out);
}

static void a_fifo_is_read_in_parts_until_its_writer_goes(void **state)
{
    struct buf out = BUF_LIMIT(100);
    char       command[600];
    FILE      *writer;

    snprintf(command, sizeof command, "(printf 'a = '; sleep 0.05; printf '1') >'%s'", fifo);
    writer = popen(command, "r");
    assert_non_null(writer);
    assert_int_equal(conf_pipe_read(fifo, PATIENCE, &out, NULL), FAIL_NONE);
    assert_int_equal(pclose(writer), 0);
    assert_true(bytes_equal(buf_bytes(&out), BYTES("a = 1")));
    buf_fini(&out);
}

static void nobody_is_waited_for_without_end(void **state)
{
    struct buf     out = BUF_LIMIT(100);
    struct failure why = { 0 };
    int            ends[2], saved = dup(STDIN_FILENO);

    assert_int_equal(conf_pipe_read(fifo, HASTE, &out, &why), FAIL_TIMEOUT);
    assert_string_equal(why.text, "a pipe that nobody wrote to for 20 ms");
    assert_int_equal(pipe(ends), 0);
    dup2(ends[0], STDIN_FILENO);
    assert_int_equal(write(ends[1], "half", 4), 4);
    assert_int_equal(conf_pipe_read("-", HASTE, &out, NULL), FAIL_TIMEOUT);
    take_input(saved);
    close(ends[0]);
    close(ends[1]);
    buf_fini(&out);
}

static void more_than_the_limit_is_refused(void **state)
{
    struct buf     out = BUF_LIMIT(5);
    struct failure why = { 0 };
    int            saved = give_input("123456");

    assert_int_equal(conf_pipe_read("-", PATIENCE, &out, &why), FAIL_LIMIT);
    assert_string_equal(why.text, "larger than 5 bytes");
    take_input(saved);
    buf_fini(&out);
}

static void terminals_and_devices_are_refused(void **state)
{
    int            saved = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
    struct buf     out = BUF_LIMIT(5);
    struct failure why = { 0 };

    dup2(null, STDIN_FILENO);
    assert_int_equal(conf_pipe_read("-", PATIENCE, &out, &why), FAIL_CONFIG);
    assert_non_null(strstr(why.text, "a terminal, a device"));
    take_input(saved);
    close(null);
    assert_int_equal(conf_pipe_read(dir, PATIENCE, &out, NULL), FAIL_CONFIG);
    assert_int_equal(conf_pipe_read("/nonexistent", PATIENCE, &out, NULL), FAIL_IO);
}

static void without_memory_it_fails(void **state)
{
    struct buf out = BUF_LIMIT(100);
    int        saved = give_input("123456");

    alloc_fail_at(1);
    assert_int_equal(conf_pipe_read("-", PATIENCE, &out, NULL), FAIL_MEMORY);
    assert_true(alloc_has_failed());
    take_input(saved);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_and_fifos_are_told_from_files),
        cmocka_unit_test(input_is_read_to_its_end),
        cmocka_unit_test(a_pipe_may_be_empty),
        cmocka_unit_test(a_descriptor_by_its_name_is_read_though_its_writer_has_gone),
        cmocka_unit_test(a_fifo_is_read_in_parts_until_its_writer_goes),
        cmocka_unit_test(nobody_is_waited_for_without_end),
        cmocka_unit_test(more_than_the_limit_is_refused),
        cmocka_unit_test(terminals_and_devices_are_refused),
        cmocka_unit_test(without_memory_it_fails),
    };

    return cmocka_run_group_tests(tests, make_fifo, remove_fifo);
}

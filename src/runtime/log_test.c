/* SPDX-License-Identifier: PostgreSQL */
#include "base/buf.h"
#include "harness/check.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct capture {
    int         fds[2];
    struct log *log;
    char        text[16384];
};

static void start(struct capture *capture, enum log_format format, enum log_level level)
{
    struct log_options options = { .format = format };
    struct failure     why = { 0 };
    char               path[32];

    for (int event = 0; event < EVENT_COUNT; event++)
        options.levels.of[event] = level;
    assert_int_equal(pipe(capture->fds), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", capture->fds[1]);
    options.file = path;
    capture->log = log_new(&options, &why);
    assert_non_null(capture->log);
}

/* Ends the log, which writes all that waits, and gives what it wrote. */
static const char *finish(struct capture *capture)
{
    ssize_t n;

    log_free(capture->log);
    close(capture->fds[1]);
    n = read(capture->fds[0], capture->text, sizeof capture->text - 1);
    capture->text[n > 0 ? n : 0] = '\0';
    close(capture->fds[0]);
    return capture->text;
}

/* Behind the time stamp, whose form is checked here. */
static const char *behind_time(const char *text)
{
    const char *space = strchr(text, ' ');

    assert_non_null(space);
    assert_int_equal(space - text, strlen("2026-11-23T09:00:00.000Z"));
    assert_int_equal(space[-1], 'Z');
    return space + 1;
}

static void a_line_of_text_has_time_level_event_and_pairs(void **state)
{
    struct capture  capture;
    struct log_line line;

    start(&capture, LOG_TEXT, LOG_INFO);
    assert_true(log_begin(&line, capture.log, EVENT_CONNECTION_END));
    log_text(&line, "route", "orders");
    log_text(&line, "empty", "");
    log_text(&line, "absent", NULL);
    log_text(&line, "reason", "say \"no\" = \\x0a");
    log_number(&line, "conn", 17);
    log_flag(&line, "tls_resumed", false);
    log_end(&line);
    assert_string_equal(behind_time(finish(&capture)),
                        "info connection.end route=orders reason=\"say \\\"no\\\" = \\\\x0a\" "
                        "conn=17 tls_resumed=false\n");
}

static void a_line_break_in_a_value_cannot_forge_a_line(void **state)
{
    struct capture  capture;
    struct log_line line;
    const char     *text;

    start(&capture, LOG_TEXT, LOG_INFO);
    assert_true(log_begin(&line, capture.log, EVENT_CONNECTION_END));
    log_text(&line, "user", "a\nlevel=error \x1b[2J");
    log_end(&line);
    text = finish(&capture);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_null(strchr(text, 0x1b));
}

static void a_line_of_json_is_one_object(void **state)
{
    struct capture  capture;
    struct log_line line;
    json_t         *object;

    start(&capture, LOG_JSON, LOG_INFO);
    assert_true(log_begin(&line, capture.log, EVENT_CONNECTION_END));
    log_text(&line, "user", "a\n\"b\"\\");
    log_text(&line, "latin1", "caf\xe9");
    log_number(&line, "conn", 17);
    log_integer(&line, "days", -2);
    log_flag(&line, "tls_resumed", true);
    log_end(&line);
    object = json_loads(finish(&capture), 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "connection.end");
    assert_string_equal(json_string_value(json_object_get(object, "user")), "a\n\"b\"\\");
    assert_string_equal(json_string_value(json_object_get(object, "latin1")), "caf\\xe9");
    assert_int_equal(json_integer_value(json_object_get(object, "conn")), 17);
    assert_int_equal(json_integer_value(json_object_get(object, "days")), -2);
    assert_true(json_is_true(json_object_get(object, "tls_resumed")));
    json_decref(object);
}

static void a_line_that_is_too_long_is_cut_and_says_so(void **state)
{
    static const enum log_format formats[] = { LOG_TEXT, LOG_JSON };

    for (size_t i = 0; i < 2; i++) {
        struct capture  capture;
        struct log_line line;
        char            big[900];
        const char     *text;

        memset(big, 'x', sizeof big);
        big[sizeof big - 1] = '\0';
        start(&capture, formats[i], LOG_INFO);
        assert_true(log_begin(&line, capture.log, EVENT_CONNECTION_END));
        for (int n = 0; n < 9; n++)
            log_text(&line, "big", big);
        log_end(&line);
        text = finish(&capture);
        assert_true(strlen(text) <= sizeof line.text);
        assert_non_null(
            strstr(text, formats[i] == LOG_JSON ? "\"cut\":true}\n" : " cut=true\n"));
    }
}

static void events_below_the_level_are_not_built(void **state)
{
    struct capture  capture;
    struct log_line line;

    start(&capture, LOG_TEXT, LOG_WARN);
    assert_false(log_begin(&line, capture.log, EVENT_CONNECTION_END));
    assert_false(log_begin(&line, capture.log, EVENT_CLIENT_ACCEPT));
    assert_true(log_begin(&line, capture.log, EVENT_AUTH_FAILED));
    assert_string_equal(finish(&capture), "");
}

/* A pipe that nobody reads: the writer is stuck, and whoever logs must not be. */
static void a_log_that_nobody_reads_drops_lines_and_counts_them(void **state)
{
    struct log_options options = { .queue_lines = 8 };
    char               path[32];
    struct failure     why = { 0 };
    struct log_line    line;
    struct log        *log;
    int                fds[2];
    char               read_all[65536];
    uint64_t           dropped;

    assert_int_equal(pipe(fds), 0);
    fcntl(fds[1], F_SETPIPE_SZ, 4096);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[1]);
    options.file = path;
    log = log_new(&options, &why);
    assert_non_null(log);
    for (int i = 0; i < 1000; i++) {
        assert_true(log_begin(&line, log, EVENT_CONNECTION_END));
        log_text(&line, "text", "some text that fills the pipe before long, line after line");
        log_end(&line);
    }
    dropped = log_dropped(log);
    assert_true(dropped > 800);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 100; i++) {
        while (read(fds[0], read_all, sizeof read_all) > 0)
            ;
        usleep(1000);
    }
    assert_true(log_begin(&line, log, EVENT_CONNECTION_END));
    log_end(&line);
    log_free(log);
    close(fds[1]);
    close(fds[0]);
}

static void put_line(struct log *log, const char *text)
{
    struct log_line line;

    assert_true(log_begin(&line, log, EVENT_CONNECTION_END));
    log_text(&line, "text", text);
    log_end(&line);
}

static void wait_dropped(const struct log *log, uint64_t count)
{
    for (int i = 0; i < 5000 && log_dropped(log) < count; i++)
        usleep(1000);
    assert_int_equal(log_dropped(log), count);
}

/* As on a full disk: a line is cut, others are not written, and then there is room again. */
static void lines_that_cannot_be_written_are_counted_and_told(void **state)
{
    struct log_options  options = { 0 };
    const struct rlimit limit = { 100, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
    char                text[2000] = "";
    struct failure      why = { 0 };
    struct log         *log;
    FILE               *file;
    char                name[32];

    snprintf(name, sizeof name, "/tmp/pgtls-log-%d", (int)getpid());
    options.file = name;
    signal(SIGXFSZ, SIG_IGN);
    unlink(options.file);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    log = log_new(&options, &why);
    assert_non_null(log);
    put_line(log, "first");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put_line(log, "second, which the limit cuts into pieces, long as it is");
    wait_dropped(log, 1);
    put_line(log, "third");
    wait_dropped(log, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    put_line(log, "fourth");
    log_free(log);
    file = fopen(options.file, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 100);
    fclose(file);
    unlink(options.file);
    assert_non_null(strstr(text, "text=first\n"));
    assert_null(strstr(text, "third"));
    assert_non_null(strstr(text, "\n20"));
    assert_non_null(strstr(text, "text=fourth\n"));
    assert_non_null(strstr(text, "log.dropped lines=2\n"));
}

static void levels_go_by_part(void **state)
{
    struct log_levels levels;
    struct failure    why = { 0 };

    assert_int_equal(log_levels_parse(&levels, "warn,tls=debug,cancel=info", &why), FAIL_NONE);
    assert_int_equal(levels.of[EVENT_TLS_HANDSHAKE_OK], LOG_DEBUG);
    assert_int_equal(levels.of[EVENT_CANCEL], LOG_INFO);
    assert_int_equal(levels.of[EVENT_CONNECTION_END], LOG_WARN);
}

static void what_is_not_a_level_or_a_part_is_told(void **state)
{
    static const char *const bad[] = {
        "",           "loud",           "info,",       "info,tls",
        "tls=debug",  "info,tls=loud",  "info,=debug", "info,tl=debug",
        "info debug", "info,,tls=debug"
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct log_levels levels;
        struct failure    why = { 0 };

        assert_int_equal(log_levels_parse(&levels, bad[i], &why), FAIL_CONFIG);
        assert_true(why.hint[0] != '\0');
    }
}

static void a_rotation_loses_nothing_and_goes_on_in_the_new_file(void **state)
{
    char               folder[] = "/tmp/pgtls-log-XXXXXX", path[64], old[64], command[300];
    struct log_options options = { .file = path };
    struct failure     why = { 0 };
    struct log_line    line;
    struct log        *log;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.log", folder);
    snprintf(old, sizeof old, "%s/a.log.1", folder);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    log = log_new(&options, &why);
    assert_non_null(log);
    for (uint64_t i = 0; i < 200; i++) {
        if (i == 100)
            assert_int_equal(rename(path, old), 0);
        if (i == 101)
            assert_int_equal(log_reopen(log, &why), FAIL_NONE);
        assert_true(log_begin(&line, log, EVENT_CONNECTION_END));
        log_number(&line, "n", i);
        log_end(&line);
    }
    log_free(log);
    snprintf(command, sizeof command, "test $(cat %s %s | grep -c n=) = 200 && test -s %s", old,
             path, path);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* The text of a file, which is removed. */
static void take_file(const char *path, char *out, size_t size)
{
    FILE  *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(out, 1, size - 1, file);
    out[n] = '\0';
    fclose(file);
    unlink(path);
}

static void say(struct log *log, uint64_t n)
{
    struct log_line line;

    if (log_begin(&line, log, EVENT_CONNECTION_END)) {
        log_number(&line, "n", n);
        log_end(&line);
    }
}

static void all_or_nothing_changes_while_it_runs(void **state)
{
    char               folder[] = "/tmp/pgtls-log-XXXXXX", first[64], second[64], text[1000];
    struct log_options options = { .file = first };
    struct failure     why = { 0 };
    struct log        *log;

    assert_non_null(mkdtemp(folder));
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    log = log_new(&options, &why);
    assert_non_null(log);
    say(log, 1);
    options = (struct log_options){ .file = "/tmp/no-such-folder/log", .format = LOG_JSON };
    assert_int_equal(log_levels_parse(&options.levels, "error", &why), FAIL_NONE);
    assert_int_equal(log_configure(log, &options, &why), FAIL_IO);
    assert_string_equal(why.text,
                        "cannot open /tmp/no-such-folder/log: No such file or directory");
    say(log, 2);
    options.file = second;
    assert_int_equal(log_configure(log, &options, &why), FAIL_NONE);
    say(log, 3);
    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    assert_int_equal(log_configure(log, &options, &why), FAIL_NONE);
    say(log, 4);
    log_free(log);
    take_file(first, text, sizeof text);
    assert_non_null(strstr(text, "n=1"));
    take_file(second, text, sizeof text);
    assert_null(strstr(text, "\"n\":3"));
    assert_non_null(strstr(text, "\"n\":4"));
    rmdir(folder);
}

static void a_pipe_without_a_reader_is_told_and_not_waited_for(void **state)
{
    char               path[] = "/tmp/pgtls-log-XXXXXX";
    struct log_options options = { .file = path };
    struct failure     why = { 0 };

    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(log_new(&options, &why));
    assert_int_equal(why.kind, FAIL_IO);
    unlink(path);
}

static size_t count_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void rotate(struct log *log, unsigned times)
{
    struct failure why = { 0 };

    while (times-- > 0)
        assert_int_equal(log_reopen(log, &why), FAIL_NONE);
}

/* The writer waits in a write() that never ends: nobody else may, and what a rotation opens
 * meanwhile is not kept for each of them. */
static void a_pipe_that_nobody_reads_does_not_hold_the_end(void **state)
{
    char               path[] = "/tmp/pgtls-log-XXXXXX";
    struct log_options options = { .file = path, .format = LOG_JSON };
    struct failure     why = { 0 };
    struct log        *log;
    size_t             before;
    int                reader; /* stays: without one the writer would get a signal */

    assert_int_equal(log_levels_parse(&options.levels, "info", &why), FAIL_NONE);
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true((reader = open(path, O_RDONLY | O_NONBLOCK)) >= 0);
    assert_non_null(log = log_new(&options, &why));
    for (uint64_t n = 0; n < 3000; n++) /* more than a pipe holds, less than the queue */
        say(log, n);
    before = count_descriptors();
    rotate(log, 100); /* the writer may take some along, once */
    assert_true(count_descriptors() <= before + 2 * 8);
    log_free(log);
    unlink(path);
}

static void every_event_has_a_name_and_no_name_is_there_twice(void **state)
{
    for (int a = 0; a < EVENT_COUNT; a++) {
        assert_non_null(log_event_row((enum log_event)a)->name);
        assert_non_null(log_event_row((enum log_event)a)->help);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(log_event_row((enum log_event)a)->name,
                                    log_event_row((enum log_event)b)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_text_has_time_level_event_and_pairs),
        cmocka_unit_test(a_line_break_in_a_value_cannot_forge_a_line),
        cmocka_unit_test(a_line_of_json_is_one_object),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_says_so),
        cmocka_unit_test(events_below_the_level_are_not_built),
        cmocka_unit_test(a_log_that_nobody_reads_drops_lines_and_counts_them),
        cmocka_unit_test(lines_that_cannot_be_written_are_counted_and_told),
        cmocka_unit_test(levels_go_by_part),
        cmocka_unit_test(what_is_not_a_level_or_a_part_is_told),
        cmocka_unit_test(a_rotation_loses_nothing_and_goes_on_in_the_new_file),
        cmocka_unit_test(all_or_nothing_changes_while_it_runs),
        cmocka_unit_test(a_pipe_without_a_reader_is_told_and_not_waited_for),
        cmocka_unit_test(a_pipe_that_nobody_reads_does_not_hold_the_end),
        cmocka_unit_test(every_event_has_a_name_and_no_name_is_there_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

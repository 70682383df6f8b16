/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/command.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/identity.h"

#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum fail run(const char *text, const char *file, struct secret *out,
                     struct failure *why)
{
    *why = (struct failure){ 0 };
    return command_run(&(struct command_options){ .setting = "the_command",
                                                  .text = text,
                                                  .file = file,
                                                  .most_bytes = 64,
                                                  .timeout_ms = 5000 },
                       out, why);
}

static void assert_prints(const char *text, const char *file, const char *expected)
{
    struct failure why;
    struct secret  out;

    if (run(text, file, &out, &why) != FAIL_NONE)
        print_error("%s: %s\n", text, why.text);
    else if (!bytes_equal(secret_bytes(&out), bytes_of_string(expected)))
        print_error("%s: \"%.*s\"\n", text, (int)out.len, (char *)out.memory);
    assert_true(bytes_equal(secret_bytes(&out), bytes_of_string(expected)));
    secret_fini(&out);
}

static void assert_fails(const char *text, const char *expected)
{
    struct failure why;
    struct secret  out;

    assert_int_not_equal(run(text, "f", &out, &why), FAIL_NONE);
    if (strstr(why.text, expected) == NULL)
        print_error("\"%s\"\n", why.text);
    assert_non_null(strstr(why.text, expected));
    assert_non_null(strstr(why.text, "the_command"));
    assert_null(out.memory);
}

static void the_first_line_is_taken_without_its_end(void **state)
{
    assert_prints("echo secret", "f", "secret");
    assert_prints("printf 'secret\\r\\nmore\\n'", "f", "secret");
    assert_prints("printf ' a b '", "f", " a b ");
    assert_prints("printf %064d 1", "f",
                  "0000000000000000000000000000000000000000000000000000000000000001");
    assert_prints("for c in a b c; do printf $c; sleep 0.05; done", "f", "abc");
}

static void the_file_is_quoted_for_the_shell(void **state)
{
    assert_prints("printf '%%s' %p", "/etc/x.key", "/etc/x.key");
    assert_prints("printf '%%s' \"%p\"", "/etc/x.key", "/etc/x.key");
    assert_prints("printf '%%s' '%p'", "/etc/x.key", "/etc/x.key");
    assert_prints("printf '%%s' %p", "/a b/$(id);'x'.key", "/a b/$(id);'x'.key");
    assert_prints("printf 'x%%s' %p", "", "x");
    assert_prints("echo %x%%p%", "f", "%x%p%");
}

static void what_goes_wrong_is_told(void **state)
{
    assert_fails("exit 3", "ended with status 3");
    assert_fails("echo secret; exit 1", "ended with status 1");
    assert_fails("no-such-program 2>/dev/null", "ended with status 127");
    assert_fails("kill -9 $$", "ended by signal 9");
    assert_fails("true", "printed nothing");
    assert_fails("echo", "printed nothing");
    assert_fails("printf 'a\\000b'", "printed a NUL");
    assert_fails("printf %065d 1", "more than 64 bytes");
    assert_fails("yes", "more than 64 bytes");
}

static void it_has_no_terminal_no_input_no_descriptors_and_no_blocked_signals(void **state)
{
    sigset_t usr1, before;
    int      fd = dup(0);

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    signal(SIGPIPE, SIG_IGN);
    assert_prints("cat; echo end", "f", "end");
    assert_prints("(: </dev/tty) 2>/dev/null || echo none", "f", "none");
    assert_prints("ls /proc/self/fd | tr '\\n' ' '", "f", "0 1 2 3 ");
    assert_prints("grep SigBlk /proc/self/status | tr -d '\\t'", "f",
                  "SigBlk:0000000000000000");
    assert_prints("sh -c 'kill -PIPE $$; echo survived'; echo $?", "f", "141");
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fd);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The process whose number is in that file; 0: it was not written yet. */
static int read_pid(const char *path)
{
    FILE *file = fopen(path, "r");
    int   pid = 0;

    if (file != NULL) {
        if (fscanf(file, "%d", &pid) != 1)
            pid = 0;
        fclose(file);
    }
    return pid;
}

/* Nobody may be there to take the status of a process that has lost its parent. */
static bool has_ended(int pid)
{
    char  path[64], state = 'Z';
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return true;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z' || state == 'X';
}

static void one_that_takes_too_long_is_killed_with_its_children(void **state)
{
    char                  *dir = certs_dir_new(), path[512];
    struct command_options options = { .setting = "the_command",
                                       .file = dir,
                                       .most_bytes = 64,
                                       .timeout_ms = 200,
                                       .text = "sleep 60 & echo $! >%p/child; sleep 60" };
    struct failure         why = { 0 };
    struct secret          out;
    double                 begin;
    int                    child;

    snprintf(path, sizeof path, "%s/child", dir);
    do {
        begin = seconds();
        assert_int_equal(command_run(&options, &out, &why), FAIL_TIMEOUT);
        assert_true(seconds() - begin < 30);
        child = read_pid(path);
        options.timeout_ms *= 2; /* a busy machine had not started it */
    } while (child == 0 && options.timeout_ms < 10000);
    assert_non_null(strstr(why.text, "did not end within "));
    assert_int_not_equal(child, 0);
    for (int i = 0; i < 10000 && !has_ended(child); i++)
        usleep(1000);
    assert_true(has_ended(child));
    certs_dir_free(dir);
}

static void what_runs_on_in_the_background_is_not_waited_for(void **state)
{
    double begin = seconds();

    assert_prints("sleep 20 2>/dev/null & echo secret", "f", "secret");
    assert_true(seconds() - begin < 15);
}

static void a_key_is_opened_by_what_the_command_prints(void **state)
{
    struct cert leaf = cert_make(&(struct cert_spec){ .common_name = "db" }, NULL);
    char       *dir = certs_dir_new();
    char       *cert = certs_write_chain(dir, "a.crt", (const struct cert *[]){ &leaf, NULL });
    char       *key = certs_write_text(dir, "a key", "", 0);
    FILE       *file = fopen(key, "w");
    struct command_passphrase passphrase;
    struct identity_files     files = { .cert = cert,
                                        .key = key,
                                        .passphrase = &passphrase.source };
    struct failure            why = { 0 };
    struct identity          *id;

    PEM_write_PKCS8PrivateKey(file, leaf.key, EVP_aes_256_cbc(), "open a key", 10, NULL, NULL);
    fclose(file);
    command_passphrase_init(&passphrase, "echo open $(basename %p)");
    id = identity_load(&files, &why);
    assert_non_null(id);
    identity_release(id);
    command_passphrase_init(&passphrase, "echo wrong");
    assert_null(identity_load(&files, &why));
    assert_non_null(strstr(why.text, "wrong passphrase"));
    why = (struct failure){ 0 };
    command_passphrase_init(&passphrase, "exit 7");
    assert_null(identity_load(&files, &why));
    assert_non_null(strstr(why.text, "key_passphrase_command ended with status 7"));
    assert_non_null(strstr(why.text, key));
    free(cert);
    free(key);
    certs_dir_free(dir);
    cert_free(&leaf);
}

static void it_fails_cleanly_when_memory_runs_out(void **state)
{
    for (unsigned n = 1; n <= 2; n++) {
        struct failure why;
        struct secret  out;

        alloc_fail_at(n);
        assert_int_not_equal(run("echo x", "f", &out, &why), FAIL_NONE);
        assert_true(alloc_has_failed());
        assert_null(out.memory);
    }
}

static void it_is_given_up_when_a_signal_asks_to_stop(void **state)
{
    const struct timespec at_once = { 0 };
    sigset_t              set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    kill(getpid(), SIGTERM); /* as if it came before */
    assert_fails("echo secret", "given up: a signal asks to stop");
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGTERM);
    assert_fails("kill -TERM $PPID; exec sleep 60", "given up: a signal asks to stop");
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGTERM);
    assert_prints("echo secret", "f", "secret");
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_is_taken_without_its_end),
        cmocka_unit_test(the_file_is_quoted_for_the_shell),
        cmocka_unit_test(what_goes_wrong_is_told),
        cmocka_unit_test(it_has_no_terminal_no_input_no_descriptors_and_no_blocked_signals),
        cmocka_unit_test(one_that_takes_too_long_is_killed_with_its_children),
        cmocka_unit_test(what_runs_on_in_the_background_is_not_waited_for),
        cmocka_unit_test(a_key_is_opened_by_what_the_command_prints),
        cmocka_unit_test(it_fails_cleanly_when_memory_runs_out),
        cmocka_unit_test(it_is_given_up_when_a_signal_asks_to_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

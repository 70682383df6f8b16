/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/command.h"

#include "base/buf.h"
#include "runtime/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST_COMMAND    ((size_t)64 * 1024)
#define LONGEST_PASSPHRASE 1024u /* as OpenSSL's PEM_BUFSIZE */
#define LOOK_EVERY_MS      20

/* ---- the words for the shell ---- */

static bool is_plain(const char *file)
{
    return *file != '\0' &&
           strspn(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "/._-+@%,:=") == strlen(file);
}

/* A plain name stays as it is: people write '%p' and "%p" too. */
static void put_quoted(struct buf *to, const char *file)
{
    if (is_plain(file)) {
        buf_put(to, bytes_of_string(file));
        return;
    }
    buf_put_u8(to, '\'');
    for (; *file != '\0'; file++) {
        if (*file == '\'')
            buf_put(to, BYTES("'\\''"));
        else
            buf_put_u8(to, (uint8_t)*file);
    }
    buf_put_u8(to, '\'');
}

static void put_command(struct buf *to, const struct command_options *options)
{
    for (const char *c = options->text; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'p') {
            put_quoted(to, options->file);
            c++;
        } else if (c[0] == '%' && c[1] == '%') {
            buf_put_u8(to, '%');
            c++;
        } else
            buf_put_u8(to, (uint8_t)*c);
    }
    buf_put_u8(to, '\0');
}

/* ---- the process ---- */

struct process {
    const struct command_options *options;
    struct failure               *why;
    pid_t                         pid; /* 0: gone */
    int                           status;
    int                           output; /* -1: at its end */
    int                           deadline;
};

static int spawn(struct process *p, int to, char *text)
{
    char                       sh[] = "sh", c[] = "-c";
    char                      *argv[] = { sh, c, text, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          attributes;
    sigset_t                   none, all;
    int                        rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (rc == 0)
        rc = posix_spawn(&p->pid, "/bin/sh", &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

static enum fail prove_wanted(struct process *p)
{
    return signals_stop_waits()
               ? fail(p->why, FAIL_REFUSED, "%s was given up: a signal asks to stop",
                      p->options->setting)
               : FAIL_NONE;
}

static enum fail start(struct process *p, char *text)
{
    struct itimerspec limit = {
        .it_value = { .tv_sec = p->options->timeout_ms / 1000,
                      .tv_nsec = (long)(p->options->timeout_ms % 1000) * 1000000 },
    };
    int pipes[2], rc;

    p->deadline = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (p->deadline < 0 || timerfd_settime(p->deadline, 0, &limit, NULL) != 0)
        return fail_errno(p->why, errno, "%s: no timer", p->options->setting);
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return fail_errno(p->why, errno, "%s: no pipe", p->options->setting);
    rc = spawn(p, pipes[1], text);
    close(pipes[1]);
    p->output = pipes[0];
    if (rc == 0)
        return FAIL_NONE;
    p->pid = 0;
    return fail_errno(p->why, rc, "%s could not be started", p->options->setting);
}

static void look_for_its_end(struct process *p)
{
    pid_t found = waitpid(p->pid, &p->status, WNOHANG);

    if (found == 0 || (found < 0 && errno == EINTR))
        return;
    if (found < 0)
        fail_errno(p->why, errno, "%s: its end was missed", p->options->setting);
    p->pid = 0;
}

static void read_some(struct process *p, struct secret *out)
{
    ssize_t n;

    if (secret_room(out) == 0) {
        fail(p->why, FAIL_LIMIT, "%s printed more than %zu bytes", p->options->setting,
             p->options->most_bytes);
        return;
    }
    n = read(p->output, secret_end(out), secret_room(out));
    if (n > 0)
        secret_wrote(out, (size_t)n);
    else if (n == 0 || errno != EINTR) {
        close(p->output);
        p->output = -1;
    }
}

/* What a process in its background keeps open is not waited for. */
static void read_rest(struct process *p, struct secret *out)
{
    struct pollfd output = { .fd = p->output, .events = POLLIN };

    while (p->output >= 0 && !failed(p->why) && poll(&output, 1, 0) > 0)
        read_some(p, out);
}

static void watch(struct process *p, struct secret *out)
{
    while (p->pid != 0 && !failed(p->why)) {
        struct pollfd fds[] = { { .fd = p->deadline, .events = POLLIN },
                                { .fd = p->output, .events = POLLIN } };

        poll(fds, 2, LOOK_EVERY_MS);
        if (fds[1].revents != 0)
            read_some(p, out);
        look_for_its_end(p);
        if (p->pid != 0 && prove_wanted(p) == FAIL_NONE && fds[0].revents != 0)
            fail(p->why, FAIL_TIMEOUT, "%s did not end within %u ms", p->options->setting,
                 p->options->timeout_ms);
    }
    read_rest(p, out);
}

static void finish(struct process *p)
{
    if (p->pid > 0) {
        kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
            ;
    }
    if (p->output >= 0)
        close(p->output);
    if (p->deadline >= 0)
        close(p->deadline);
}

static enum fail check(const struct process *p, struct secret *out)
{
    const char *setting = p->options->setting;
    size_t      line = 0;

    if (failed(p->why))
        return p->why->kind;
    if (WIFSIGNALED(p->status))
        return fail(p->why, FAIL_CONFIG, "%s was ended by signal %d", setting,
                    WTERMSIG(p->status));
    if (WEXITSTATUS(p->status) != 0)
        return fail(p->why, FAIL_CONFIG, "%s ended with status %d", setting,
                    WEXITSTATUS(p->status));
    while (line < out->len && out->memory[line] != '\n' && out->memory[line] != '\r')
        line++;
    secret_cut(out, line);
    if (out->len > p->options->most_bytes)
        return fail(p->why, FAIL_LIMIT, "%s printed more than %zu bytes", setting,
                    p->options->most_bytes);
    if (out->len == 0)
        return fail(p->why, FAIL_CONFIG, "%s printed nothing", setting);
    if (memchr(out->memory, '\0', out->len) != NULL)
        return fail(p->why, FAIL_CONFIG, "%s printed a NUL", setting);
    return FAIL_NONE;
}

enum fail command_run(const struct command_options *options, struct secret *out,
                      struct failure *why)
{
    struct failure unseen = { 0 };
    struct process p = {
        .options = options, .why = why != NULL ? why : &unseen, .output = -1, .deadline = -1
    };
    struct buf text = BUF_LIMIT(LONGEST_COMMAND);
    enum fail  rc;

    *out = (struct secret){ 0 };
    put_command(&text, options);
    if (!buf_ok(&text))
        rc = fail(p.why, FAIL_CONFIG, "%s is too long", options->setting);
    else if ((rc = prove_wanted(&p)) == FAIL_NONE &&
             (rc = secret_init(out, options->most_bytes + 2, p.why)) == FAIL_NONE &&
             (rc = start(&p, (char *)text.memory + text.head)) == FAIL_NONE) {
        watch(&p, out);
        rc = check(&p, out);
    }
    finish(&p);
    if (rc != FAIL_NONE)
        secret_fini(out);
    buf_fini(&text);
    return rc;
}

static enum fail get_passphrase(const struct passphrase_source *source, const char *key,
                                struct secret *out, struct failure *why)
{
    const struct command_passphrase *passphrase = (const struct command_passphrase *)source;
    const struct command_options     options = {
            .setting = "key_passphrase_command",
            .text = passphrase->text,
            .file = key,
            .most_bytes = LONGEST_PASSPHRASE - 1,
            .timeout_ms = passphrase->timeout_ms,
    };

    return command_run(&options, out, why);
}

void command_passphrase_init(struct command_passphrase *passphrase, const char *text)
{
    *passphrase = (struct command_passphrase){
        .source = { .get = get_passphrase },
        .text = text,
        .timeout_ms = COMMAND_PASSPHRASE_TIMEOUT_MS,
    };
}

/* SPDX-License-Identifier: PostgreSQL */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#define LONGEST   1026 /* with its end */
#define CONTROL_C 3

static void say(int terminal, const char *text)
{
    /* where a prompt cannot be written an answer cannot be read either */
    ssize_t ignored = write(terminal, text, strlen(text));

    (void)ignored;
}

/* Signals that would end the program wait until the echo is back on. */
static ssize_t read_silently(int terminal, const char *prompt, char *to, size_t size)
{
    struct termios before, silent;
    sigset_t       enders, old;
    ssize_t        n;

    if (tcgetattr(terminal, &before) != 0)
        return -1;
    sigemptyset(&enders);
    sigaddset(&enders, SIGINT);
    sigaddset(&enders, SIGTERM);
    sigaddset(&enders, SIGHUP);
    sigprocmask(SIG_BLOCK, &enders, &old);
    silent = before;
    silent.c_lflag = (silent.c_lflag & ~(tcflag_t)(ECHO | ISIG)) | ICANON;
    tcsetattr(terminal, TCSAFLUSH, &silent);
    say(terminal, prompt);
    n = read(terminal, to, size);
    tcsetattr(terminal, TCSAFLUSH, &before);
    say(terminal, "\n");
    sigprocmask(SIG_SETMASK, &old, NULL);
    return n;
}

static enum fail keep(struct secret *out, struct bytes line, struct failure *why)
{
    struct secret answer = { 0 };

    while (line.len > 0 && (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
        line.len--;
    if (line.len == 0 || memchr(line.p, CONTROL_C, line.len) != NULL)
        return fail(why, FAIL_REFUSED, "nothing was given");
    if (secret_init(&answer, line.len, why) != FAIL_NONE)
        return FAIL_MEMORY;
    if (!secret_put(&answer, line))
        return fail(why, FAIL_LIMIT, "what was given is too long");
    *out = answer;
    return FAIL_NONE;
}

enum fail terminal_ask(const char *prompt, struct secret *out, struct failure *why)
{
    int       terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    char      line[LONGEST];
    ssize_t   n;
    enum fail rc;

    if (terminal < 0)
        return fail_errno(why, errno, "there is no terminal to ask at");
    n = read_silently(terminal, prompt, line, sizeof line);
    rc = keep(out, bytes_of(line, n > 0 ? (size_t)n : 0), why);
    secret_wipe(line, sizeof line);
    close(terminal);
    return rc;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "cli/passphrase.h"

#include "x509/pem_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#define LONGEST 1023u /* OpenSSL's PEM_BUFSIZE, without its end */

static enum fail keep_line(struct secret *out, struct bytes text, const char *from,
                           struct failure *why)
{
    size_t len = 0;

    while (len < text.len && text.p[len] != '\n' && text.p[len] != '\r')
        len++;
    if (len == 0 || len > LONGEST || memchr(text.p, '\0', len) != NULL)
        return fail(why, FAIL_CONFIG, "%s has no passphrase in its first line", from);
    if (secret_init(out, len, why) != FAIL_NONE)
        return FAIL_MEMORY;
    return secret_put(out, bytes_of(text.p, len)) ? FAIL_NONE : FAIL_MEMORY;
}

static enum fail get_from_file(const char *file, struct secret *out, struct failure *why)
{
    struct buf text;
    enum fail  rc = pem_file_read(file, PEM_FILE_KEY, &text, why);

    if (rc == FAIL_NONE)
        rc = keep_line(out, buf_bytes(&text), file, why);
    pem_file_wipe(&text);
    return rc;
}

static enum fail get_from_command(const char *command, const char *key, struct secret *out,
                                  struct failure *why)
{
    const struct command_options options = { .setting = "the passphrase command",
                                             .text = command,
                                             .file = key,
                                             .most_bytes = LONGEST,
                                             .timeout_ms = COMMAND_PASSPHRASE_TIMEOUT_MS };

    return command_run(&options, out, why);
}

/* ---- the terminal ---- */

static void say(int terminal, const char *text)
{
    /* where a prompt cannot be written an answer cannot be read either */
    ssize_t ignored = write(terminal, text, strlen(text));

    (void)ignored;
}

/* A line without echo.  Signals that end the program do so with the echo back on. */
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

static enum fail ask(int terminal, const char *prompt, struct secret *out, struct failure *why)
{
    char      line[LONGEST + 2];
    ssize_t   n = read_silently(terminal, prompt, line, sizeof line);
    enum fail rc;

    /* ^C comes as a byte here */
    if (n <= 0 || memchr(line, 3, (size_t)n) != NULL)
        rc = fail(why, FAIL_REFUSED, "no passphrase was given");
    else
        rc = keep_line(out, bytes_of(line, (size_t)n), "the terminal", why);
    secret_wipe(line, sizeof line);
    return rc;
}

static enum fail ask_again(int terminal, const struct secret *first, struct failure *why)
{
    struct secret second = { 0 };
    enum fail     rc = ask(terminal, "The same again: ", &second, why);

    if (rc == FAIL_NONE && !bytes_equal(secret_bytes(first), secret_bytes(&second)))
        rc = fail(why, FAIL_REFUSED, "the two passphrases differ");
    secret_fini(&second);
    return rc;
}

static enum fail get_from_terminal(const char *key, bool is_new, struct secret *out,
                                   struct failure *why)
{
    int       terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    char      prompt[300];
    enum fail rc;

    if (terminal < 0) {
        fail_hint(why, "name a file or a command that has it; see --help");
        return fail(why, FAIL_CONFIG, "a passphrase is needed, and there is no terminal");
    }
    snprintf(prompt, sizeof prompt, "Passphrase %s %.250s: ", is_new ? "for the new key" : "of",
             key);
    rc = ask(terminal, prompt, out, why);
    if (rc == FAIL_NONE && is_new)
        rc = ask_again(terminal, out, why);
    close(terminal);
    return rc;
}

static enum fail get(const struct passphrase_source *source, const char *key,
                     struct secret *out, struct failure *why)
{
    const struct cli_passphrase *p = (const struct cli_passphrase *)source;
    enum fail                    rc;

    *out = (struct secret){ 0 };
    if (p->file != NULL)
        rc = get_from_file(p->file, out, why);
    else if (p->command != NULL)
        rc = get_from_command(p->command, key, out, why);
    else
        rc = get_from_terminal(key, p->is_new, out, why);
    if (rc != FAIL_NONE)
        secret_fini(out);
    return rc;
}

void cli_passphrase_init(struct cli_passphrase *passphrase, const char *file,
                         const char *command, bool is_new)
{
    *passphrase = (struct cli_passphrase){
        .source = { .get = get }, .file = file, .command = command, .is_new = is_new
    };
}

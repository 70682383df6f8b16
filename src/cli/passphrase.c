/* SPDX-License-Identifier: PostgreSQL */
#include "cli/passphrase.h"

#include "cli/terminal.h"
#include "x509/pem_file.h"

#include <stdio.h>

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

static enum fail ask(const char *prompt, struct secret *out, struct failure *why)
{
    struct secret line = { 0 };
    enum fail     rc = terminal_ask(prompt, &line, why);

    if (rc == FAIL_NONE)
        rc = keep_line(out, secret_bytes(&line), "the terminal", why);
    secret_fini(&line);
    return rc;
}

static enum fail ask_again(const struct secret *first, struct failure *why)
{
    struct secret second = { 0 };
    enum fail     rc = ask("The same again: ", &second, why);

    if (rc == FAIL_NONE && !bytes_equal(secret_bytes(first), secret_bytes(&second)))
        rc = fail(why, FAIL_REFUSED, "the two passphrases differ");
    secret_fini(&second);
    return rc;
}

static enum fail get_from_terminal(const char *key, bool is_new, struct secret *out,
                                   struct failure *why)
{
    char      prompt[300];
    enum fail rc;

    snprintf(prompt, sizeof prompt, "Passphrase %s %.250s: ", is_new ? "for the new key" : "of",
             key);
    rc = ask(prompt, out, why);
    if (rc == FAIL_IO) {
        *why = (struct failure){ 0 };
        fail_hint(why, "name a file or a command that has it; see --help");
        return fail(why, FAIL_CONFIG, "a passphrase is needed, and there is no terminal");
    }
    return rc == FAIL_NONE && is_new ? ask_again(out, why) : rc;
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

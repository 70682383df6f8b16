/* SPDX-License-Identifier: PostgreSQL */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    { "proxy", "serve the routes of a configuration file",
      "usage: pgtls proxy -c FILE [--check] [--set PATH=VALUE]...\n"
      "       pgtls -c FILE [--check] [--set PATH=VALUE]...\n"
      "\n"
      "Serves every route of FILE in the foreground; the log goes to standard error or "
      "log_file.\n"
      "SIGHUP loads the configuration again: all of it, or nothing where it has an error.\n"
      "SIGTERM and SIGINT end it: sessions are ended between messages; a second one ends it at "
      "once.\n"
      "\n"
      "  -c FILE           the configuration file; see `pgtls help settings` and `pgtls help\n"
      "                    sample`.  - is standard input: that and other pipes are read once,\n"
      "                    at the start, and a reload keeps what runs; relative paths in them\n"
      "                    start at the working directory\n"
      "  --check           load everything, print what would be served with a table of all\n"
      "                    certificates and lists, warn of what is odd about them, and stop\n"
      "  --set PATH=VALUE  a setting that wins over the file, at every reload too; PATH is\n"
      "                    log_level, defaults.limits.max_connections,\n"
      "                    proxy.orders.listener.sslmode or proxy.\"a.b\".backend.address;\n"
      "                    a relative path is relative to FILE\n"
      "\n"
      "PGTLS_LOG in the environment wins over log_level.\n"
      "\n"
      "Exit status: 0 stopped cleanly, or nothing wrong but warnings with --check; 1 could not "
      "start;\n"
      "2 wrong usage.\n",
      cmd_proxy, NULL },
    { "cert", "make, renew, revoke, verify and show certificates", NULL, cmd_cert,
      cert_write_help },
    { "check", "try a connection step by step and say what is wrong with it",
      "usage: pgtls check URI [--json] [-W] [--send-password-unverified]\n"
      "                       [--name-server ADDRESS:PORT]\n"
      "\n"
      "Resolves, connects, negotiates TLS, looks at the certificate, verifies it as\n"
      "each sslmode would, and logs in.  Tells each step as it runs, and for each\n"
      "thing that is wrong what the client, the server or a proxy between can do.\n"
      "\n"
      "URI is postgresql://USER@HOST:PORT/DATABASE?sslmode=...&sslrootcert=..., or the\n"
      "same as \"host=... user=...\".  PG* variables, ~/.pgpass and service files count\n"
      "as with psql, but sslmode is verify-full where nothing is said.  For Redis:\n"
      "rediss://USER@HOST:PORT?cacert=... with cert, key, crl and sni, or redis://.\n"
      "\n"
      "  --json                      one JSON document, at the end\n"
      "  -W, --password              ask for the password on the terminal\n"
      "  --send-password-unverified  log in although the server was not verified: it,\n"
      "                              or whoever is between, may learn the password\n"
      "  --name-server ADDRESS:PORT  ask this one, not those of /etc/resolv.conf\n"
      "\n"
      "A password in URI is wiped from the list of arguments.  It is used only over a\n"
      "connection whose server was verified.  Each attempt is bounded by\n"
      "connect_timeout, 5 seconds if unset.\n"
      "\n"
      "Exit status: 0 every step is good, warnings or not; 1 a step failed; 2 wrong\n"
      "usage.\n",
      cmd_check, NULL },
    { "help", "this text, or help for a word",
      "usage: pgtls help [WORD]\n"
      "       pgtls help COMMAND WORD\n"
      "\n"
      "  pgtls help settings      every setting of the configuration file\n"
      "  pgtls help sample        a configuration file to start from\n"
      "  pgtls help events        every event of the log, and every reason for an end\n"
      "  pgtls help pgtls.1       the manual page, for man\n"
      "  pgtls help findings      every finding of pgtls check, with what to do\n"
      "  pgtls help pgtls-cert.1  that of pgtls cert\n"
      "  pgtls help pgtls-check.1 that of pgtls check\n"
      "  pgtls help pgtls.toml.5  that of the configuration file\n"
      "  pgtls help COMMAND       the same as pgtls COMMAND --help\n",
      cmd_help, NULL },
    { "version", "version, TLS library and features",
      "usage: pgtls version\n"
      "       pgtls --version, pgtls -V\n"
      "\n"
      "Prints the version, the TLS library that runs, and what this build can do.\n",
      cmd_version, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct command *command_table(void)
{
    return commands;
}

const struct command *command_find(const char *word)
{
    for (const struct command *c = commands; c->word != NULL; c++)
        if (strcmp(c->word, word) == 0)
            return c;
    return NULL;
}

void command_write_usage(const struct command *command, const char *word, struct buf *out)
{
    if (command->write_help == NULL)
        buf_put(out, bytes_of_string(command->usage));
    else if (!command->write_help(out, word)) {
        buf_clear(out);
        (void)command->write_help(out, NULL);
    }
}

void command_write_overview(struct buf *out)
{
    buf_put(out, BYTES("pgtls secures the wire between applications and PostgreSQL.\n\n"
                       "usage: pgtls COMMAND [OPTION]...\n\n"));
    for (const struct command *c = commands; c->word != NULL; c++)
        buf_put_format(out, "  %-9s %s\n", c->word, c->summary);
    buf_put(out,
            BYTES("\n`pgtls COMMAND --help` tells more of a command; `pgtls help settings`, "
                  "`pgtls help sample`\nand `pgtls help events` tell of the configuration "
                  "file and the log.\n"));
}

int print_and_free(struct buf *out)
{
    struct bytes text = buf_bytes(out);
    bool         is_good =
        buf_ok(out) && fwrite(text.p, 1, text.len, stdout) == text.len && fflush(stdout) == 0;

    buf_fini(out);
    return is_good ? EXIT_GOOD : complain_of_output();
}

int complain_of_output(void)
{
    complain("standard output: cannot be written");
    return EXIT_FAILED;
}

static void write_complaint(const char *format, va_list args)
{
    fputs("pgtls: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_complaint(format, args);
    va_end(args);
}

int complain_of_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_complaint(format, args);
    va_end(args);
    return EXIT_USAGE;
}

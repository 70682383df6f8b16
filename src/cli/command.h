/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/command.h - the words of the program, and how commands print
 *
 * Exit status: 0 good, 1 failed, 2 wrong usage.
 */
#ifndef PGTLS_CLI_COMMAND_H
#define PGTLS_CLI_COMMAND_H

#include "base/buf.h"

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE };

struct command {
    const char *word;                  /* NULL ends the table */
    const char *summary;               /* one line of `pgtls help` */
    const char *usage;                 /* what `pgtls WORD --help` prints */
    int (*run)(int argc, char **argv); /* argv[0] is the word; returns the exit status */
    /* Commands with words of their own, in place of usage: the help of one of them, or of all
     * where `word` is NULL; false: there is no such word. */
    bool (*write_help)(struct buf *out, const char *word);
};

const struct command *command_table(void);
const struct command *command_find(const char *word); /* NULL: there is none */

int cmd_proxy(int argc, char **argv);
int cmd_cert(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

bool cert_write_help(struct buf *out, const char *word);

/* What `pgtls COMMAND --help` or `pgtls COMMAND WORD --help` prints; the command's own where it
 * has no such word. */
void command_write_usage(const struct command *command, const char *word, struct buf *out);

/* What `pgtls help` prints. */
void command_write_overview(struct buf *out);

/* Writes to standard output, frees the text, and returns the exit status. */
int print_and_free(struct buf *out);

/* "pgtls: ..." to standard error.  complain_of_usage() returns EXIT_USAGE,
 * complain_of_output(), where standard output took not all of it, EXIT_FAILED. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int  complain_of_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int  complain_of_output(void);

#endif

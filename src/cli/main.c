/* SPDX-License-Identifier: PostgreSQL */
/* The program: finds the command and runs it. */
#include "base/text.h"
#include "cli/command.h"
#include "runtime/privileges.h"
#include "runtime/standard_files.h"
#include "tls/wiping.h"

#include <stdio.h>

#define MOST_COMMANDS 16
#define USAGE_BYTES   ((size_t)16 * 1024)

static int wrong_word(const char *word)
{
    const char *names[MOST_COMMANDS + 1] = { NULL };
    size_t      count = 0;
    const char *near;
    char        shown[64];

    for (const struct command *c = command_table(); c->word != NULL && count < MOST_COMMANDS;
         c++)
        names[count++] = c->word;
    near = text_nearest(word, names);
    text_escape(shown, sizeof shown, bytes_of_string(word));
    if (near != NULL)
        return complain_of_usage("%s: unknown command; did you mean \"%s\"?", shown, near);
    return complain_of_usage("%s: unknown command; `pgtls help` lists them", shown);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct buf usage = BUF_LIMIT(USAGE_BYTES);

    if (!asks_for_help(argc, argv))
        return command->run(argc, argv);
    command_write_usage(command, argv[1][0] != '-' ? argv[1] : NULL, &usage);
    return print_and_free(&usage);
}

/* An option in place of a command: `pgtls -c FILE` is `pgtls proxy -c FILE`. */
static int run_option(int argc, char **argv)
{
    char *words[] = { (char *)"help", NULL };

    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(1, words);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cmd_version(1, words);
    return run(command_find("proxy"), argc, argv);
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (!standard_files_take())
        return EXIT_FAILED;    /* there is nobody to tell */
    privileges_forbid_dumps(); /* every command has keys or passwords in its memory */
    tls_wiping_start();        /* OpenSSL has not been used yet */
    if (argc < 2)
        return complain_of_usage("a command is missing; `pgtls help` lists them");
    if (argv[1][0] == '-')
        return run_option(argc, argv);
    command = command_find(argv[1]);
    if (command == NULL)
        return wrong_word(argv[1]);
    return run(command, argc - 1, argv + 1);
}

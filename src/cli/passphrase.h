/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/passphrase.h - where a command of the command line takes a passphrase from
 */
#ifndef PGTLS_CLI_PASSPHRASE_H
#define PGTLS_CLI_PASSPHRASE_H

#include "runtime/command.h"

struct cli_passphrase {
    struct passphrase_source source;  /* must be the first */
    const char              *file;    /* its first line; or */
    const char              *command; /* what it prints; or */
    bool                     is_new;  /* the terminal, asked twice where it is new */
};

/* At most one of file and command; neither: the terminal is asked, which is a failure where
 * there is none. */
void cli_passphrase_init(struct cli_passphrase *passphrase, const char *file,
                         const char *command, bool is_new);

#endif

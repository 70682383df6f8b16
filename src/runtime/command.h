/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/command.h - runs a command of the configuration and takes what it prints
 *
 * `/bin/sh -c COMMAND` in a session of its own: no terminal, input from /dev/null, errors to
 * where ours go, no signals blocked or ignored, no descriptors of ours.  It blocks the thread
 * that calls it: for the control thread only, and given up when that is asked to stop.
 */
#ifndef PGTLS_RUNTIME_COMMAND_H
#define PGTLS_RUNTIME_COMMAND_H

#include "base/fail.h"
#include "base/secret.h"
#include "x509/private_key.h"

struct command_options {
    const char *setting; /* that holds it, for failures; the command itself may be a secret */
    const char *text;    /* %p stands for the file, quoted for the shell; %% for one % */
    const char *file;
    size_t      most_bytes; /* of output */
    unsigned    timeout_ms; /* then it is killed, with its process group */
};

/*
 * The first line of what it prints, without its end; `out` is initialised after success
 * only.  Failures: it cannot be started, ends with another status than 0, prints nothing,
 * too much or a NUL, or takes too long.
 */
enum fail command_run(const struct command_options *options, struct secret *out,
                      struct failure *why) WARN_UNUSED;

/* A source of passphrases (x509/private_key.h): key_passphrase_command, run for each key. */
struct command_passphrase {
    struct passphrase_source source; /* must be the first */
    const char              *text;   /* borrowed */
    unsigned                 timeout_ms;
};

#define COMMAND_PASSPHRASE_TIMEOUT_MS 10000u

void command_passphrase_init(struct command_passphrase *passphrase, const char *text);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/cert_words.h - the words behind `pgtls cert`, and their options
 *
 * One table: the parser, `--help` and the manual page are made from it.
 */
#ifndef PGTLS_CLI_CERT_WORDS_H
#define PGTLS_CLI_CERT_WORDS_H

#include "base/buf.h"

#define CERT_MOST_NAMES 100

/* What was written on the command line; texts are borrowed from it. */
struct cert_arguments {
    const char *operand; /* FILE.csr, FILE.crt, FILE|HOST:PORT */
    const char *out, *ca, *subject, *user, *key_kind, *reason, *serial, *append, *hook,
        *new_root;
    const char *cert_file, *key_file, *ca_file, *crl_file;
    const char *purpose, *via;
    const char *ca_passphrase_file, *ca_passphrase_command;
    const char *passphrase_file, *passphrase_command;
    const char *names[CERT_MOST_NAMES];
    size_t      name_count;
    uint64_t    days, path_length, renew_days, timeout_s;
    bool        asks_passphrase, csr_names, force, json;
};

enum cert_option_kind {
    CERT_SWITCH,
    CERT_TEXT,
    CERT_TEXTS, /* may be given several times */
    CERT_NUMBER,
    CERT_DAYS, /* "30d" */
    CERT_CHOICE,
};

struct cert_option {
    const char           *name;  /* "--out" */
    const char           *value; /* "DIR"; NULL for a switch */
    enum cert_option_kind kind;
    size_t                field; /* offsetof in struct cert_arguments */
    uint64_t              min, max;
    const char *const *(*choices)(void); /* NULL at their end; the help lists them */
    const char *help;
};

struct cert_use {
    const struct cert_option *option;
    bool                      is_required;
    const char               *preset; /* as the user would write it; NULL: none */
};

#define CERT_MOST_USES 18

struct cert_word {
    const char     *word; /* NULL ends the table */
    const char     *summary;
    const char     *operand; /* "FILE.csr"; NULL: takes none */
    const char     *about;
    const char     *example;
    struct cert_use uses[CERT_MOST_USES]; /* ends with one without option */
    int (*run)(const struct cert_arguments *arguments);
};

const struct cert_word *cert_words(void);
const struct cert_word *cert_word_find(const char *word); /* NULL: there is none */

/* Fills `out` from argv[1] on, which argv[0] is the word of.  EXIT_GOOD, or EXIT_USAGE after a
 * complaint. */
int cert_arguments_read(struct cert_arguments *out, const struct cert_word *word, int argc,
                        char **argv);

/* "usage: pgtls cert WORD ..." with the options; and that of all words. */
void cert_write_usage(struct buf *out, const struct cert_word *word);
void cert_write_overview(struct buf *out);

/* What the words do. */
int cert_run_self_signed(const struct cert_arguments *arguments);
int cert_run_ca(const struct cert_arguments *arguments);
int cert_run_intermediate(const struct cert_arguments *arguments);
int cert_run_server(const struct cert_arguments *arguments);
int cert_run_client(const struct cert_arguments *arguments);
int cert_run_csr(const struct cert_arguments *arguments);
int cert_run_sign(const struct cert_arguments *arguments);
int cert_run_revoke(const struct cert_arguments *arguments);
int cert_run_crl(const struct cert_arguments *arguments);
int cert_run_verify(const struct cert_arguments *arguments);
int cert_run_show(const struct cert_arguments *arguments);

#endif

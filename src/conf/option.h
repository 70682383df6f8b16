/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/option.h - settings as tables
 *
 * One row a setting: name, type, where it lands, preset, limits, help.  From it
 * come the parser, `pgtls help settings`, the reference and the sample.
 */
#ifndef PGTLS_CONF_OPTION_H
#define PGTLS_CONF_OPTION_H

#include "base/buf.h"
#include "base/fail.h"
#include "conf/toml.h"

struct conf_strings {
    char **items; /* owned */
    size_t count;
};

/* Errors and warnings of one file, in the order of their lines. */
struct conf_problem {
    bool is_warning;
    int  line;
    char text[512]; /* "FILE:LINE: route "NAME": SETTING: WHAT; HINT" */
};

struct conf_problems {
    const char          *file;
    struct conf_problem *items; /* owned; freed by conf_problems_fini */
    size_t               count;
    size_t               error_count;
};

void conf_problems_fini(struct conf_problems *problems);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/problems.h - everything that is wrong with one file, in the order of its lines
 *
 * A reader of settings does not stop at the first error: it notes each one and
 * goes on, so that one run of the program shows them all.
 */
#ifndef PGTLS_CONF_PROBLEMS_H
#define PGTLS_CONF_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

struct conf_problem {
    bool is_warning;
    int  line;      /* 0: not a matter of one line */
    char file[200]; /* sorted by line within it */
    char text[512]; /* "FILE:LINE: route "NAME": SETTING: WHAT; HINT", warnings with
                       "warning: " behind the line */
};

/* Starts as { .file = name }.  The name is borrowed; texts are copied. */
struct conf_problems {
    const char          *file;
    struct conf_problem *items; /* owned; freed by conf_problems_fini */
    size_t               count;
    size_t               capacity;
    size_t               error_count; /* those that found no memory count too */
};

void conf_problems_fini(struct conf_problems *problems);

/* From here on problems are of another file, borrowed; returns the one of until now. */
const char *conf_problems_in(struct conf_problems *problems, const char *file);

/* Notes one.  `format` is what follows "FILE:LINE: ". */
void conf_problem_add(struct conf_problems *problems, bool is_warning, int line,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

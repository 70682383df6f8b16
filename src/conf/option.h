/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/option.h - settings as tables
 *
 * One row a setting: name, type, where it lands, preset, limits, help.  From it
 * come the parser, `pgtls help settings`, the reference and the sample
 * (conf/manual.h).  A table is one section of the file and fills one struct.
 */
#ifndef PGTLS_CONF_OPTION_H
#define PGTLS_CONF_OPTION_H

#include "base/buf.h"
#include "base/fail.h"
#include "conf/problems.h"
#include "conf/toml.h"

struct conf_strings {
    char **items; /* owned */
    size_t count;
};

/* What the field of a setting is. */
enum option_type {
    OPTION_STRING,       /* char *; min (0 or 1) and max are its length */
    OPTION_PATH,         /* char *, made absolute unless it is one of the choices */
    OPTION_ADDRESS,      /* char *, a path behind "unix:" made absolute */
    OPTION_STRING_LIST,  /* struct conf_strings; a single one needs no brackets */
    OPTION_PATH_LIST,    /* the same of paths */
    OPTION_ADDRESS_LIST, /* struct conf_strings; a single one needs no brackets */
    OPTION_CHOICE,       /* int, the value of a choice */
    OPTION_SWITCH,       /* int: 0, 1, or -1 where it is not written */
    OPTION_NUMBER,       /* uint64_t */
    OPTION_DURATION,     /* uint64_t, microseconds */
    OPTION_SIZE,         /* uint64_t, bytes */
    OPTION_FILE_MODE,    /* uint64_t */
};

struct option_choice {
    const char *word; /* NULL ends the choices */
    int         value;
    const char *refusal; /* why it cannot be chosen, and what to write: "WHAT; HINT" */
};

struct option {
    const char                 *name; /* NULL ends the rows */
    enum option_type            type;
    size_t                      field;  /* offsetof in the struct of the table */
    const char                 *preset; /* as the user would write it, without quotes */
    uint64_t                    min, max;
    const struct option_choice *choices;
    bool                        takes_uri; /* a path: "scheme:..." stays as it is */
    bool                        is_required;
    const char                 *default_text; /* where the preset is NULL: what happens then */
    const char *sample;       /* as TOML: what the sample file shows; NULL: the preset */
    bool        is_in_sample; /* the sample sets it; otherwise it shows it as a comment */
    const char *help;
};

bool option_is_list(enum option_type type);

#define LONGEST_PATH 4095 /* of an OPTION_PATH, whose rows say no limits */
#define OPTION_LIMIT 48   /* the most rows one table has */

struct conf_table {
    const char          *header;       /* "[proxy.listener]"; "" for the top of the file */
    const char          *title;        /* in the manual; NULL: the header */
    const char          *prefix;       /* before a name in problems: "listener." */
    const char          *help;         /* what the section is for */
    const struct option *rows;         /* ends with a row without name */
    const struct option *more_rows;    /* behind them, of the same struct; or NULL */
    bool                 more_is_told; /* another table of the manual has `more_rows` */
    bool                 is_optional;  /* the sample shows it as a comment */
    const char *const   *sections;     /* names of tables inside this one, or NULL */
};

/* What binding needs besides table, node and struct. */
struct conf_scope {
    struct conf_problems *problems;
    const char           *folder; /* where relative paths start */
    const char           *where;  /* "route \"orders\": ", or "" */
    bool names_nothing; /* the problems' file names the setting: only what is wrong is said */
    const struct conf_table *const *tables; /* all of the file, NULL at the end: for hints */
};

/* Writes every preset into `target`, which is all zero; texts stay NULL. */
void conf_preset(const struct conf_table *table, void *target);

/*
 * Reads the settings of `node` (a table, or NULL where the section is not
 * written) into `target`, on top of what is there.  Texts are owned by `target`
 * then.  Whatever is wrong goes into the problems of `scope`, and that setting
 * stays as it was.  lines[n] becomes the line of the n-th row where the file has
 * it, rightly or wrongly written; `lines` holds OPTION_LIMIT of them.
 */
void conf_bind(const struct conf_table *table, const struct toml_node *node,
               const struct conf_scope *scope, void *target, int *lines);

/* Notes each required setting that no line has; `line` is where the section is. */
void conf_require(const struct conf_table *table, int line, const struct conf_scope *scope,
                  const int *lines);

/* Makes one setting what conf_preset() made it. */
void conf_reset(const struct option *row, void *target);

/* Frees the texts of `target`. */
void conf_unbind(const struct conf_table *table, void *target);

/* Calls `visit` for each path that `target` has, alone or in a list, and that is none of the
 * words of its row and no URI. */
void conf_each_path(const struct conf_table *table, void               *target,
                    void (*visit)(void *owner, const char *path), void *owner);

/* The n-th row, those of more_rows behind the others; NULL behind the last. */
const struct option *conf_option(const struct conf_table *table, size_t n);

/* The place of a setting in its table; -1 where there is none with that name. */
int conf_row(const struct conf_table *table, const char *name);

void conf_strings_fini(struct conf_strings *strings);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/toml.h - a TOML file as a tree of plain structs, each with its line
 *
 * The reader behind it is toml++, the only C++ in the program; nothing of it
 * shows here, and no exception passes this border.  The tree owns all of its
 * nodes and texts: they live until toml_free().
 */
#ifndef PGTLS_CONF_TOML_H
#define PGTLS_CONF_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type {
    TOML_TABLE,
    TOML_ARRAY,
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOLEAN,
    TOML_DATE, /* or a time, or both */
};

struct toml_node {
    enum toml_type          type;
    int                     line;
    const char             *key;      /* NULL inside an array and at the root */
    const char             *text;     /* TOML_STRING: ends with a NUL and may hold others */
    size_t                  text_len; /* TOML_STRING */
    int64_t                 integer;  /* TOML_INTEGER */
    bool                    boolean;  /* TOML_BOOLEAN */
    const struct toml_node *first; /* TOML_TABLE by name, TOML_ARRAY in order; NULL if empty */
    const struct toml_node *next;  /* behind this one, in the same table or array */
};

/* Where a text is not TOML, or why it could not be read. */
struct toml_error {
    int  line; /* 0: not a matter of one line */
    char text[192];
};

struct toml_tree;

/* Returns a new tree, or NULL with `error` filled.  `text` need not outlive the call. */
struct toml_tree       *toml_parse(const char *text, size_t len, struct toml_error *error);
void                    toml_free(struct toml_tree *tree);       /* NULL is fine */
const struct toml_node *toml_root(const struct toml_tree *tree); /* a table */

/* The child of a table with that name, or NULL. */
const struct toml_node *toml_child(const struct toml_node *table, const char *key);

#ifdef __cplusplus
}
#endif

#endif

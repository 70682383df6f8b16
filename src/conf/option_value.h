/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/option_value.h - one value of a file on its way into its field, for option.c
 */
#ifndef PGTLS_CONF_OPTION_VALUE_H
#define PGTLS_CONF_OPTION_VALUE_H

#include "conf/option.h"

struct option_binding {
    const struct conf_table *table;
    const struct option     *row;
    const struct conf_scope *scope;
    void                    *field;
    int                      line;
};

#define OPTION_SHOWN_TEXT 80 /* how much of a value an error shows */

/* Reads the node into the field, or notes what is wrong with it and leaves the field alone. */
void option_value_put(const struct option_binding *b, const struct toml_node *node);

/* Writes the preset; texts and lists stay as they are. */
void option_value_preset(const struct option *row, void *field);

/* Frees a text or a list. */
void option_value_free(const struct option *row, void *field);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/manual.h - what people read about settings, printed from the tables
 *
 * `tables` ends with NULL.  What does not fit into `out` marks it failed.
 */
#ifndef PGTLS_CONF_MANUAL_H
#define PGTLS_CONF_MANUAL_H

#include "conf/option.h"

/* Every setting with its type, default, limits and help: plain text that is Markdown too. */
void conf_write_reference(struct buf *out, const struct conf_table *const *tables);

/* The same as the sections of a manual page. */
void conf_write_man(struct buf *out, const struct conf_table *const *tables);

/* Text for a manual page; what stands in backquotes is bold there. */
void conf_write_roff(struct buf *out, const char *text);

/* A file to start from.  Settings that most people need are set, others are comments. */
void conf_write_sample(struct buf *out, const struct conf_table *const *tables);

#endif

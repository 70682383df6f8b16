/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/manual.h - the manual pages, made from the tables of commands, settings and events
 *
 * docs/man/ has what they print; a test compares.
 */
#ifndef PGTLS_CLI_MANUAL_H
#define PGTLS_CLI_MANUAL_H

#include "base/buf.h"

/* Every event of the log with its level, and every reason of connection.end: a line each. */
void manual_write_events(struct buf *out);

/* docs/findings.md. */
void manual_write_findings(struct buf *out);

void manual_write_program_page(struct buf *out); /* pgtls.1 */
void manual_write_cert_page(struct buf *out);    /* pgtls-cert.1 */
void manual_write_check_page(struct buf *out);   /* pgtls-check.1 */
void manual_write_file_page(struct buf *out);    /* pgtls.toml.5 */

#endif

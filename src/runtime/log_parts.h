/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/log_parts.h - what a line asks of its log; for the files of the log only
 */
#ifndef PGTLS_RUNTIME_LOG_PARTS_H
#define PGTLS_RUNTIME_LOG_PARTS_H

#include "runtime/log.h"

bool log_takes(const struct log *log, enum log_event event,
               enum log_level level); /* NULL: no */
bool log_is_json(const struct log *log);

/* Copies a whole line, with its newline; drops and counts it where there is no room. */
void log_enqueue(struct log *log, const char *text, size_t len);

#endif

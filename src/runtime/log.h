/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/log.h - one event, one line
 *
 * Event names are fixed, each with its level; the table in log_events.c is
 * printed by the manual.  A worker never blocks on a log write: lines go into a
 * bounded queue, one thread writes them, and what does not fit is dropped,
 * counted, and told as soon as there is room.
 */
#ifndef PGTLS_RUNTIME_LOG_H
#define PGTLS_RUNTIME_LOG_H

#include "base/bytes.h"
#include "base/fail.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_event {
    EVENT_PROXY_START,
    EVENT_PROXY_STOP,
    EVENT_EVENT_LOOP_REFUSED,
    EVENT_LISTENER_READY,
    EVENT_LISTENER_PAUSED,
    EVENT_RELOAD_OK,
    EVENT_RELOAD_WARNING,
    EVENT_RELOAD_FAILED,
    EVENT_RELOAD_BLIND,
    EVENT_DRAIN,
    EVENT_CONNECTION_END,
    EVENT_CLIENT_ACCEPT,
    EVENT_CLIENT_PLAINTEXT,
    EVENT_TLS_HANDSHAKE_OK,
    EVENT_TLS_HANDSHAKE_FAILED,
    EVENT_TLS_KERNEL,
    EVENT_TLS_FAILED,
    EVENT_RECORD_LAYER_REFUSED,
    EVENT_AUTH_OK,
    EVENT_AUTH_FAILED,
    EVENT_BACKEND_CONNECT_OK,
    EVENT_BACKEND_CONNECT_FAILED,
    EVENT_CANCEL,
    EVENT_LIMIT_REACHED,
    EVENT_CERTIFICATE_EXPIRING,
    EVENT_CHANNEL_BINDING,
    EVENT_ROUTE_FAILED,
    EVENT_LOG_DROPPED,
    EVENT_LOG_FAILED,
    EVENT_COUNT,
};

struct log_event_row {
    const char    *name; /* "connection.end" */
    enum log_level level;
    const char    *help; /* one sentence for the manual */
};

const struct log_event_row *log_event_row(enum log_event event);

struct log;

/* The least important level that is logged, for each event. */
struct log_levels {
    enum log_level of[EVENT_COUNT];
};

/*
 * Reads "info" or "info,tls=debug,cancel=warn": a level for all, then others by part.  A part
 * is the first word of event names: tls for tls.handshake.ok.
 */
enum fail log_levels_parse(struct log_levels *out, const char *text,
                           struct failure *why) WARN_UNUSED;

struct log_options {
    struct log_levels levels;
    enum log_format   format;
    const char       *file; /* appended to, made with mode 0640; NULL or "": standard error */
    size_t            queue_lines; /* 0: 4096 */
};

struct log *log_new(const struct log_options *options, struct failure *why);

/* Writes what waits, then stops the writer.  For the end of a process: where nothing can be
 * written for two seconds, the writer and the log are left as they are. */
void log_free(struct log *log);

/*
 * Other levels, format and file from the next line on; the queue stays as it is.  A file of
 * another name must open, or nothing changes; the same one is not touched: see log_reopen().
 */
enum fail log_configure(struct log *log, const struct log_options *options,
                        struct failure *why) WARN_UNUSED;

/* Opens the file by its name again: it was renamed by a log rotation.  On failure the old one
 * goes on. */
enum fail log_reopen(struct log *log, struct failure *why) WARN_UNUSED;

uint64_t log_dropped(const struct log *log); /* lines, so far */

/*
 * A line being built, on the stack:
 *
 *     struct log_line line;
 *     if (log_begin(&line, log, EVENT_CANCEL)) {
 *         log_text(&line, "route", name);
 *         log_end(&line);
 *     }
 *
 * log_begin() is false where the level says no.  A NULL or empty text is left
 * out.  Values are quoted and escaped as the format needs; what does not fit is
 * cut, and the line says so.
 */
struct log_line {
    struct log *log;
    size_t      len;
    bool        cut;
    bool        is_json;
    char        text[4096];
};

bool log_begin(struct log_line *line, struct log *log, enum log_event event);

/* The same at another level: a connection that closes without a byte is debug. */
bool log_begin_at(struct log_line *line, struct log *log, enum log_event event,
                  enum log_level level);
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_integer(struct log_line *line, const char *key, int64_t value);
void log_flag(struct log_line *line, const char *key, bool value);
void log_failure(struct log_line *line, const struct failure *why); /* reason=, hint= */
void log_end(struct log_line *line);

#endif

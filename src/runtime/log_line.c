/* SPDX-License-Identifier: PostgreSQL */
/* A line of the log, as text or as JSON. */
#include "runtime/log_parts.h"

#include "base/text.h"
#include "io/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAIL_RESERVE 24u /* for the mark of a cut line, the closing brace, the newline */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* Appends, or marks the line as cut and appends nothing. */
static bool append(struct log_line *line, const char *text, size_t len)
{
    if (line->len + len + TAIL_RESERVE > sizeof line->text) {
        line->cut = true;
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

/* Appends a pair whose value is ready for the format; both or nothing. */
static void append_pair(struct log_line *line, const char *key, const char *value, size_t len)
{
    bool   json = line->is_json;
    size_t start = line->len;
    char   name[64];
    int    n = snprintf(name, sizeof name,
                     json ? "%s\"%s\":" : "%s%s=", json ? (start > 1 ? "," : "") : " ", key);

    if (!append(line, name, (size_t)n) || !append(line, value, len))
        line->len = start;
}

static bool needs_quotes(const char *value)
{
    return value[0] == '\0' || value[strcspn(value, " \"=\\\t\r\n")] != '\0';
}

static void text_value(struct log_line *line, const char *key, const char *value)
{
    char   quoted[1024];
    size_t at = 0;

    if (!needs_quotes(value)) {
        append_pair(line, key, value, strlen(value));
        return;
    }
    quoted[at++] = '"';
    for (; *value != '\0' && at + 6 < sizeof quoted; value++) {
        if ((unsigned char)*value < 0x20) {
            at += (size_t)snprintf(quoted + at, 5, "\\x%02x", (unsigned char)*value);
            continue;
        }
        if (*value == '"' || *value == '\\')
            quoted[at++] = '\\';
        quoted[at++] = *value;
    }
    line->cut |= *value != '\0';
    quoted[at++] = '"';
    append_pair(line, key, quoted, at);
}

static void json_value(struct log_line *line, const char *key, const char *value)
{
    char    escaped[1024];
    json_t *string = json_string(value);
    char   *dumped;

    if (string == NULL) { /* not UTF-8 */
        text_escape(escaped, sizeof escaped, bytes_of_string(value));
        string = json_string(escaped);
    }
    dumped = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (dumped != NULL)
        append_pair(line, key, dumped, strlen(dumped));
    else
        line->cut = true;
    free(dumped);
    json_decref(string);
}

static void timestamp(char out[static 32])
{
    uint64_t  now = clock_wall_us();
    time_t    seconds = (time_t)(now / 1000000);
    struct tm utc;
    size_t    n;

    gmtime_r(&seconds, &utc);
    n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + n, 32 - n, ".%03uZ", (unsigned)(now / 1000 % 1000));
}

bool log_begin(struct log_line *line, struct log *log, enum log_event event)
{
    return log_begin_at(line, log, event, log_event_row(event)->level);
}

bool log_begin_at(struct log_line *line, struct log *log, enum log_event event,
                  enum log_level level)
{
    const char *name = log_event_row(event)->name;
    char        now[32];

    if (!log_takes(log, event, level))
        return false;
    line->log = log;
    line->is_json = log_is_json(log);
    line->len = 0;
    line->cut = false;
    timestamp(now);
    if (line->is_json) {
        append(line, "{", 1);
        log_text(line, "time", now);
        log_text(line, "level", level_names[level]);
        log_text(line, "event", name);
    } else {
        append(line, now, strlen(now));
        append(line, " ", 1);
        append(line, level_names[level], strlen(level_names[level]));
        append(line, " ", 1);
        append(line, name, strlen(name));
    }
    return true;
}

void log_text(struct log_line *line, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    if (line->is_json)
        json_value(line, key, value);
    else
        text_value(line, key, value);
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
    char digits[24];
    int  n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);

    append_pair(line, key, digits, (size_t)n);
}

void log_integer(struct log_line *line, const char *key, int64_t value)
{
    char digits[24];
    int  n = snprintf(digits, sizeof digits, "%lld", (long long)value);

    append_pair(line, key, digits, (size_t)n);
}

void log_flag(struct log_line *line, const char *key, bool value)
{
    append_pair(line, key, value ? "true" : "false", value ? 4 : 5);
}

void log_failure(struct log_line *line, const struct failure *why)
{
    log_text(line, "reason", why->text);
    log_text(line, "hint", why->hint);
}

void log_end(struct log_line *line)
{
    bool        json = line->is_json;
    const char *tail = line->cut ? (json ? ",\"cut\":true}\n" : " cut=true\n")
                       : json    ? "}\n"
                                 : "\n";

    memcpy(line->text + line->len, tail, strlen(tail));
    line->len += strlen(tail);
    log_enqueue(line->log, line->text, line->len);
}

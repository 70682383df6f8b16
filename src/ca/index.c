/* SPDX-License-Identifier: PostgreSQL */
#include "ca/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FIELDS      6
#define DATE_TEXT   20
#define LAST_UTC    2049 /* RFC 5280 4.1.2.5: later years have four digits */
#define SERIAL_MOST 80

static void row_fini(struct index_row *row)
{
    free(row->expires);
    free(row->revocation);
    free(row->serial);
    free(row->file);
    free(row->subject);
}

void index_fini(struct index_file *index)
{
    for (size_t i = 0; i < index->count; i++)
        row_fini(&index->rows[i]);
    free(index->rows);
    *index = (struct index_file){ 0 };
}

/* ---- dates ---- */

static void write_date(char out[static DATE_TEXT], int64_t at)
{
    time_t    seconds = (time_t)at;
    struct tm parts = { 0 };

    gmtime_r(&seconds, &parts);
    strftime(out, DATE_TEXT,
             parts.tm_year + 1900 > LAST_UTC ? "%Y%m%d%H%M%SZ" : "%y%m%d%H%M%SZ", &parts);
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/* "YYMMDDHHMMSSZ", a year below 50 being of this century, or with four digits. */
static bool read_date(const char *text, int64_t *out)
{
    size_t    digits = strspn(text, "0123456789");
    struct tm parts = { 0 };

    if ((digits != 12 && digits != 14) || text[digits] != 'Z')
        return false;
    if (digits == 14)
        parts.tm_year = two_digits(text) * 100 + two_digits(text + 2) - 1900;
    else
        parts.tm_year = two_digits(text) < 50 ? two_digits(text) + 100 : two_digits(text);
    text += digits - 10;
    parts.tm_mon = two_digits(text) - 1;
    parts.tm_mday = two_digits(text + 2);
    parts.tm_hour = two_digits(text + 4);
    parts.tm_min = two_digits(text + 6);
    parts.tm_sec = two_digits(text + 8);
    *out = (int64_t)timegm(&parts);
    return true;
}

/* ---- reading ---- */

static char *copy(struct bytes text)
{
    char *made = malloc(text.len + 1);

    if (made == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(made, text.p, text.len);
    made[text.len] = '\0';
    return made;
}

/* Takes what stands before `end` off the front, and the end too. */
static struct bytes take_until(struct bytes *text, char end)
{
    const uint8_t *at = text->len > 0 ? memchr(text->p, end, text->len) : NULL;
    struct bytes   taken = at != NULL ? bytes_of(text->p, (size_t)(at - text->p)) : *text;

    bytes_skip(text, taken.len + (at != NULL ? 1 : 0));
    return taken;
}

static bool is_serial(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");

    return digits > 0 && digits <= SERIAL_MOST && text[digits] == '\0';
}

static bool is_good(struct index_row *row)
{
    int64_t unused;

    if (strchr("VRE", row->status) == NULL || !is_serial(row->serial) ||
        !read_date(row->expires, &unused))
        return false;
    if (row->status == 'R')
        return read_date(row->revocation, &row->revoked_at);
    return row->revocation[0] == '\0';
}

static enum fail add_row(struct index_file *index, struct index_row *row, struct failure *why)
{
    struct index_row *more = NULL;

    if (row->expires != NULL && row->revocation != NULL && row->serial != NULL &&
        row->file != NULL && row->subject != NULL)
        more = realloc(index->rows, (index->count + 1) * sizeof *more);
    if (more == NULL) {
        row_fini(row);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    index->rows = more;
    more[index->count++] = *row;
    return FAIL_NONE;
}

static enum fail parse_line(struct index_file *index, struct bytes line, size_t number,
                            struct failure *why)
{
    struct bytes     fields[FIELDS];
    size_t           tabs = 0;
    struct index_row row;
    enum fail        rc;

    for (size_t i = 0; i < line.len; i++)
        tabs += line.p[i] == '\t';
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = take_until(&line, '\t');
    if (tabs != FIELDS - 1 || fields[0].len != 1)
        return fail(why, FAIL_CERT, "line %zu is none of an index", number);
    row = (struct index_row){ .status = (char)fields[0].p[0],
                              .expires = copy(fields[1]),
                              .revocation = copy(fields[2]),
                              .serial = copy(fields[3]),
                              .file = copy(fields[4]),
                              .subject = copy(fields[5]) };
    if ((rc = add_row(index, &row, why)) != FAIL_NONE)
        return rc;
    return is_good(&index->rows[index->count - 1])
               ? FAIL_NONE
               : fail(why, FAIL_CERT, "line %zu is none of an index", number);
}

enum fail index_parse(struct index_file *index, struct bytes text, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (size_t number = 1; rc == FAIL_NONE && text.len > 0; number++) {
        struct bytes line = take_until(&text, '\n');

        if (line.len > 0)
            rc = parse_line(index, line, number, why);
    }
    return rc;
}

void index_write(const struct index_file *index, struct buf *out)
{
    for (size_t i = 0; i < index->count; i++) {
        const struct index_row *row = &index->rows[i];

        buf_put_format(out, "%c\t%s\t%s\t%s\t%s\t%s\n", row->status, row->expires,
                       row->revocation, row->serial, row->file, row->subject);
    }
}

/* ---- rows ---- */

static bool same_number(const char *a, const char *b)
{
    a += strspn(a, "0");
    b += strspn(b, "0");
    return strcasecmp(a, b) == 0;
}

struct index_row *index_find(const struct index_file *index, const char *serial)
{
    for (size_t i = 0; i < index->count; i++)
        if (same_number(index->rows[i].serial, serial))
            return &index->rows[i];
    return NULL;
}

enum fail index_add(struct index_file *index, const char *serial, const char *subject,
                    int64_t not_after, struct failure *why)
{
    char             date[DATE_TEXT];
    struct index_row row = { .status = 'V' };

    write_date(date, not_after);
    row.expires = copy(bytes_of_string(date));
    row.revocation = copy(bytes_of_string(""));
    row.serial = copy(bytes_of_string(serial));
    row.file = copy(bytes_of_string("unknown"));
    row.subject = copy(bytes_of_string(subject));
    return add_row(index, &row, why);
}

enum fail index_revoke(struct index_row *row, int64_t now, const char *reason,
                       struct failure *why)
{
    char date[DATE_TEXT], text[96];

    if (row->status == 'R')
        return fail(why, FAIL_REFUSED, "serial %s has been revoked before", row->serial);
    write_date(date, now);
    snprintf(text, sizeof text, "%s%s%s", date, reason != NULL ? "," : "",
             reason != NULL ? reason : "");
    free(row->revocation);
    if ((row->revocation = copy(bytes_of_string(text))) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    row->status = 'R';
    row->revoked_at = now;
    return FAIL_NONE;
}

const char *index_reason(const struct index_row *row)
{
    const char *comma = strchr(row->revocation, ',');

    return comma != NULL ? comma + 1 : NULL;
}

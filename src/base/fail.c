/* SPDX-License-Identifier: PostgreSQL */
#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_text(struct failure *why, enum fail kind, int errnum, const char *format,
                     va_list args)
{
    size_t used;

    if (why == NULL || why->kind != FAIL_NONE)
        return;
    why->kind = kind;
    why->errnum = errnum;
    vsnprintf(why->text, sizeof why->text, format, args);
    used = strlen(why->text);
    if (errnum != 0)
        snprintf(why->text + used, sizeof why->text - used, ": %s", strerror(errnum));
}

enum fail fail(struct failure *why, enum fail kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_text(why, kind, 0, format, args);
    va_end(args);
    return kind;
}

enum fail fail_errno(struct failure *why, int errnum, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_text(why, FAIL_IO, errnum, format, args);
    va_end(args);
    return FAIL_IO;
}

void fail_hint(struct failure *why, const char *format, ...)
{
    va_list args;

    if (why == NULL || why->hint[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(why->hint, sizeof why->hint, format, args);
    va_end(args);
}

void fail_context(struct failure *why, const char *format, ...)
{
    char    old[sizeof why->text];
    size_t  used;
    va_list args;

    if (why == NULL || why->kind == FAIL_NONE)
        return;
    memcpy(old, why->text, sizeof old);
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    used = strlen(why->text);
    snprintf(why->text + used, sizeof why->text - used, ": %s", old);
}

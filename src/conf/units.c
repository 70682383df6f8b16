/* SPDX-License-Identifier: PostgreSQL */
#include "conf/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t    size;
};

/* From small to large; a row without a name ends them. */
static const struct unit duration_units[] = {
    { "us", 1 },         { "ms", 1000 },      { "s", 1000000 },
    { "min", 60000000 }, { "h", 3600000000 }, { NULL, 0 },
};
static const struct unit size_units[] = {
    { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { NULL, 0 },
};

/* Reads digits and returns what follows them; NULL without digits or where they do not fit. */
static const char *read_digits(const char *text, unsigned base, uint64_t *out)
{
    uint64_t    number = 0;
    const char *at = text;

    for (; *at >= '0' && *at < (char)('0' + base); at++)
        if (__builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, (unsigned)(*at - '0'), &number))
            return NULL;
    *out = number;
    return at > text ? at : NULL;
}

static bool read_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t    number;
    const char *name = read_digits(text, 10, &number);

    if (name == NULL)
        return false;
    while (units->name != NULL && strcmp(units->name, name) != 0)
        units++;
    if (units->name == NULL || __builtin_mul_overflow(number, units->size, &number))
        return false;
    *out = number;
    return true;
}

static const char *write_with_unit(char *out, uint64_t value, const struct unit *units)
{
    const struct unit *best = units;

    for (const struct unit *unit = units; unit->name != NULL; unit++)
        if (value % unit->size == 0 && value >= unit->size)
            best = unit;
    snprintf(out, UNITS_TEXT, "%" PRIu64 "%s", value / best->size, best->name);
    return out;
}

bool units_read_number(const char *text, uint64_t *out)
{
    uint64_t    number;
    const char *rest = read_digits(text, 10, &number);

    if (rest == NULL || *rest != '\0')
        return false;
    *out = number;
    return true;
}

bool units_read_duration(const char *text, uint64_t *out)
{
    return read_with_unit(text, duration_units, out);
}

bool units_read_size(const char *text, uint64_t *out)
{
    return read_with_unit(text, size_units, out);
}

bool units_read_file_mode(const char *text, uint64_t *out)
{
    uint64_t    number;
    const char *rest = read_digits(text, 8, &number);

    if (text[0] != '0' || rest == NULL || *rest != '\0')
        return false;
    *out = number;
    return true;
}

const char *units_write_duration(char out[static UNITS_TEXT], uint64_t us)
{
    return us == 0 ? strcpy(out, "0s") : write_with_unit(out, us, duration_units);
}

const char *units_write_size(char out[static UNITS_TEXT], uint64_t size_bytes)
{
    return write_with_unit(out, size_bytes, size_units);
}

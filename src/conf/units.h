/* SPDX-License-Identifier: PostgreSQL */
/*
 * conf/units.h - "10s", "64KiB", "0660": numbers as people write them
 *
 * A unit is never left out and never guessed.  A reader takes the whole text
 * or leaves *out as it is and returns false; a number too large does not fit
 * in and is refused too.
 */
#ifndef PGTLS_CONF_UNITS_H
#define PGTLS_CONF_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 32 /* enough for every text written here */

bool units_read_number(const char *text, uint64_t *out);   /* decimal digits */
bool units_read_duration(const char *text, uint64_t *out); /* us, ms, s, min, h; microseconds */
bool units_read_size(const char *text, uint64_t *out);     /* B, KiB, MiB, GiB; bytes */
bool units_read_file_mode(const char *text, uint64_t *out); /* octal digits, a 0 in front */

/* In the largest unit that leaves no rest; each returns `out`. */
const char *units_write_duration(char out[static UNITS_TEXT], uint64_t us);
const char *units_write_size(char out[static UNITS_TEXT], uint64_t size_bytes);

#endif

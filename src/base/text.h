/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/text.h - text for people: escaping, nearest names
 */
#ifndef PGTLS_BASE_TEXT_H
#define PGTLS_BASE_TEXT_H

#include "base/bytes.h"

/*
 * Copies text of a peer for a log or an error: bytes outside printable ASCII,
 * and backslashes, become \xNN.  Cut to what fits, with "..." at its end.  `out`
 * is always terminated; `size` is at least 8.
 */
void text_escape(char *out, size_t size, struct bytes peer_text);

/*
 * The name nearest to `word` (few letters differ), or NULL where none is near
 * enough to be a slip.  `names` ends with NULL; the answer is one of them.
 */
const char *text_nearest(const char *word, const char *const *names);

/* How many bytes of `text` make a line of `room` columns: up to a space, or all of a word that
 * is longer. */
size_t text_line(const char *text, size_t room);

/* What a hexadecimal digit stands for, in either case; -1 where it is none. */
static inline int text_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/base64.h - bytes as text (RFC 4648 section 4), with its padding and without line ends
 */
#ifndef PGTLS_BASE_BASE64_H
#define PGTLS_BASE_BASE64_H

#include "base/buf.h"

/* How many characters `n` bytes take. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Appends the text. */
void base64_put(struct buf *out, struct bytes b);

/*
 * Writes what `text` stands for, at most `room` bytes, and tells how many in *len.  False,
 * and nothing is told, where there are more, or where the text is not exactly what
 * base64_put() writes: other characters, padding amiss, bits left over.
 */
bool base64_read(uint8_t *out, size_t room, size_t *len, struct bytes text);

#endif

/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

#define LONGEST_NAME 64u

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '\\';
}

void text_escape(char *out, size_t size, struct bytes peer_text)
{
    size_t at = 0;

    assert(size >= 8);
    for (size_t i = 0; i < peer_text.len; i++) {
        uint8_t c = peer_text.p[i];
        size_t  need = is_plain(c) ? 1 : 4;
        /* what follows must still find room for "..." */
        size_t keep = i + 1 < peer_text.len ? 3 : 0;

        if (at + need + keep + 1 > size) {
            memcpy(out + at, "...", 4);
            return;
        }
        if (is_plain(c))
            out[at] = (char)c;
        else
            snprintf(out + at, 5, "\\x%02x", c);
        at += need;
    }
    out[at] = '\0';
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* How many letters must be put in, taken out or changed (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > LONGEST_NAME || b_len > LONGEST_NAME)
        return LONGEST_NAME;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            bool   same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);

            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *text_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t      best_distance = strlen(word) / 3 + 2;

    for (; *names != NULL; names++) {
        size_t d = distance(word, *names);

        if (d < best_distance) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

size_t text_line(const char *text, size_t room)
{
    size_t len = strlen(text);

    if (len > room)
        for (len = room; len > 0 && text[len] != ' ';)
            len--;
    return len > 0 ? len : strcspn(text, " ");
}

/* SPDX-License-Identifier: PostgreSQL */
#include "scram/saslprep.h"

#include <stdlib.h>
#include <stringprep.h>

/* Of stringprep_saslprep, the library's own table of steps (RFC 4013), and its end. */
enum { STEPS_MOST = 24 };

/* Characters, and their final zero; wiped when they are freed. */
struct runes {
    uint32_t *p;
    size_t    len;
};

static void runes_free(struct runes *runes)
{
    if (runes->p != NULL)
        secret_wipe(runes->p, runes->len * sizeof *runes->p);
    free(runes->p);
    *runes = (struct runes){ 0 };
}

static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.p[i] >= 0x80)
            return false;
    return true;
}

static bool is_map(const Stringprep_profile *step)
{
    return step->operation == STRINGPREP_MAP_TABLE;
}

/* All but the maps and the normalising: they say no or nothing. */
static bool is_check(const Stringprep_profile *step)
{
    return step->operation != STRINGPREP_MAP_TABLE && step->operation != STRINGPREP_NFKC;
}

static bool run(struct runes *runes, bool (*wanted)(const Stringprep_profile *step))
{
    Stringprep_profile steps[STEPS_MOST] = { { 0 } };
    size_t             count = 0;

    for (const Stringprep_profile *step = stringprep_saslprep; step->operation != 0; step++)
        if (wanted(step) && count < STEPS_MOST - 1)
            steps[count++] = *step;
    return stringprep_4i(runes->p, &runes->len, runes->len + 1, STRINGPREP_NO_UNASSIGNED,
                         steps) == STRINGPREP_OK;
}

/* Unicode's Corrigendum 4: five mappings of Unicode 3.2, which the library has, were wrong, and
 * PostgreSQL normalises by a later version. */
static void correct(struct runes *runes)
{
    static const struct {
        uint32_t from, to;
    } rows[] = {
        { 0x2f868, 0x36fc }, { 0x2f874, 0x5f53 }, { 0x2f91f, 0x243ab },
        { 0x2f95f, 0x7aee }, { 0x2f9bf, 0x45d7 },
    };

    for (size_t i = 0; i < runes->len; i++)
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
            if (runes->p[i] == rows[row].from)
                runes->p[i] = rows[row].to;
}

/* The prepared text, which free() takes, and its length; NULL where the password is none. */
static char *prepare(struct bytes password, size_t *len)
{
    struct runes runes = { 0 }, normal = { 0 };
    char        *text = NULL;

    runes.p =
        stringprep_utf8_to_ucs4((const char *)password.p, (ssize_t)password.len, &runes.len);
    if (runes.p != NULL && run(&runes, is_map) && runes.len > 0 && run(&runes, is_check)) {
        correct(&runes);
        normal.p = stringprep_ucs4_nfkc_normalize(runes.p, (ssize_t)runes.len);
    }
    while (normal.p != NULL && normal.p[normal.len] != 0)
        normal.len++;
    if (normal.p != NULL)
        text = stringprep_ucs4_to_utf8(normal.p, (ssize_t)normal.len, NULL, len);
    runes_free(&runes);
    runes_free(&normal);
    return text;
}

static enum fail keep(struct secret *out, struct bytes b, struct failure *why)
{
    enum fail rc = secret_init(out, b.len + 1, why);

    return rc != FAIL_NONE || secret_put(out, b) ? rc : FAIL_MEMORY;
}

enum fail saslprep(struct secret *out, struct bytes password, struct failure *why)
{
    size_t    len = 0;
    char     *text = NULL;
    enum fail rc;

    *out = (struct secret){ 0 };
    if (password.len > SASLPREP_PASSWORD_MOST)
        return fail(why, FAIL_LIMIT, "the password is too long");
    if (!is_ascii(password))
        text = prepare(password, &len);
    if (text == NULL)
        return keep(out, password, why);
    rc = keep(out, bytes_of(text, len), why);
    secret_wipe(text, len);
    free(text);
    return rc;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "scram/userlist.h"

#include "base/name.h"
#include "base/secret.h"

#include <stdlib.h>

struct entry {
    char                  user[PG_LONGEST_NAME + 1];
    unsigned              line;
    struct scram_verifier verifier;
};

struct userlist {
    size_t       count;
    struct entry entries[]; /* by name */
};

struct place {
    const char *file;
    unsigned    line;
};

static struct bytes take_line(struct bytes *text)
{
    const uint8_t *end = memchr(text->p, '\n', text->len);
    struct bytes   line = bytes_first(*text, end != NULL ? (size_t)(end - text->p) : SIZE_MAX);

    bytes_skip(text, line.len + 1);
    while (line.len > 0 && strchr(" \t\r", line.p[0]) != NULL)
        bytes_skip(&line, 1);
    while (line.len > 0 && strchr(" \t\r", line.p[line.len - 1]) != NULL)
        line.len--;
    return line;
}

static bool is_comment(struct bytes line)
{
    return line.len == 0 || line.p[0] == ';';
}

static size_t count_users(struct bytes text)
{
    size_t count = 0;

    while (text.len > 0)
        count += is_comment(take_line(&text)) ? 0 : 1;
    return count;
}

/* A word in double quotes at the front of `line`, and the blanks behind it; false where there
 * is none, or where it has no room. */
static bool take_word(char *out, size_t size, struct bytes *line)
{
    size_t len = 0;

    if (line->len == 0 || line->p[0] != '"')
        return false;
    bytes_skip(line, 1);
    for (; line->len > 0; bytes_skip(line, 1)) {
        if (line->p[0] == '"') {
            if (line->len < 2 || line->p[1] != '"')
                break;
            bytes_skip(line, 1);
        }
        if (line->p[0] == '\0' || len == size - 1)
            return false;
        out[len++] = (char)line->p[0];
    }
    out[len] = '\0';
    if (line->len == 0)
        return false;
    bytes_skip(line, 1);
    while (line->len > 0 && (line->p[0] == ' ' || line->p[0] == '\t'))
        bytes_skip(line, 1);
    return true;
}

static enum fail read_entry(struct entry *out, const struct place *place, struct bytes line,
                            struct failure *why)
{
    char      secret[SCRAM_VERIFIER_MOST + 1];
    enum fail rc;

    out->line = place->line;
    if (!take_word(out->user, sizeof out->user, &line) || out->user[0] == '\0' ||
        !take_word(secret, sizeof secret, &line)) {
        secret_wipe(secret, sizeof secret);
        fail_hint(why, "a line is \"user\" \"SCRAM-SHA-256$...\"");
        return fail(why, FAIL_CONFIG, "%s:%u: a user and a verifier are expected, in quotes",
                    place->file, place->line);
    }
    rc = scram_verifier_read(&out->verifier, bytes_of_string(secret), why);
    if (rc != FAIL_NONE)
        fail_context(why, "%s:%u", place->file, place->line);
    secret_wipe(secret, sizeof secret);
    return rc;
}

static enum fail read_entries(struct userlist *list, const char *file, struct bytes text,
                              struct failure *why)
{
    struct place place = { file, 0 };
    enum fail    rc = FAIL_NONE;

    while (rc == FAIL_NONE && text.len > 0) {
        struct bytes line = take_line(&text);

        place.line++;
        if (!is_comment(line))
            rc = read_entry(&list->entries[list->count++], &place, line, why);
    }
    return rc;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->user, ((const struct entry *)b)->user);
}

static enum fail sort(struct userlist *list, const char *file, struct failure *why)
{
    qsort(list->entries, list->count, sizeof *list->entries, compare);
    for (size_t i = 1; i < list->count; i++) {
        const struct entry *one = &list->entries[i - 1], *other = &list->entries[i];

        if (compare(one, other) == 0)
            return fail(why, FAIL_CONFIG, "%s:%u: the user of line %u again", file,
                        one->line > other->line ? one->line : other->line,
                        one->line > other->line ? other->line : one->line);
    }
    return FAIL_NONE;
}

struct userlist *userlist_read(const char *file, struct bytes text, struct failure *why)
{
    size_t           count = count_users(text);
    struct userlist *list = calloc(1, sizeof *list + count * sizeof *list->entries);

    if (list == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    if (read_entries(list, file, text, why) == FAIL_NONE && sort(list, file, why) == FAIL_NONE)
        return list;
    userlist_free(list);
    return NULL;
}

void userlist_free(struct userlist *list)
{
    if (list != NULL)
        secret_wipe(list->entries, list->count * sizeof *list->entries);
    free(list);
}

const struct scram_verifier *userlist_find(const struct userlist *list, const char *user)
{
    struct entry        wanted;
    const struct entry *found;
    size_t              len = strlen(user);

    if (len > PG_LONGEST_NAME)
        return NULL;
    memcpy(wanted.user, user, len + 1);
    found = bsearch(&wanted, list->entries, list->count, sizeof wanted, compare);
    return found != NULL ? &found->verifier : NULL;
}

size_t userlist_count(const struct userlist *list)
{
    return list->count;
}

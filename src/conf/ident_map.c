/* SPDX-License-Identifier: PostgreSQL */
#include "conf/ident_map.h"

#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define LONGEST_LINE  ((size_t)1 << 20)
#define LONGEST_TOKEN 1024u
#define MOST_TOKENS   3u
/* A name of a certificate has some hundred bytes; what needs more steps is an attack. */
#define MATCH_LIMIT   20000u
#define DEPTH_LIMIT   1000u
#define HEAP_LIMIT_KB 256u

struct token {
    char   text[LONGEST_TOKEN];
    size_t len;
    bool   is_quoted; /* any part of it */
};

struct pattern {
    char       *text;  /* exact, or with \1 in it */
    pcre2_code *regex; /* NULL: the text counts */
};

struct line {
    unsigned       number;
    struct pattern name;
    struct pattern user;
    bool           is_all;
};

struct ident_map {
    char        *file;
    struct line *lines;
    size_t       count;
};

/* Where the reader of a file stands. */
struct reading {
    struct bytes    file_rest;
    struct bytes    rest; /* of the line, joined with those that continue it */
    struct buf      line;
    const char     *file;
    unsigned        number;   /* of the line's first one */
    unsigned        physical; /* how many it was joined of */
    struct failure *why;
};

static enum fail complain(const struct reading *r, const char *what, const char *hint)
{
    if (hint != NULL)
        fail_hint(r->why, "%s", hint);
    return fail(r->why, FAIL_CONFIG, "%s, line %u: %s", r->file, r->number, what);
}

/* ---- tokens ---- */

static struct bytes take_physical_line(struct bytes *from)
{
    const uint8_t *end = memchr(from->p, '\n', from->len);
    struct bytes   line = bytes_first(*from, end != NULL ? (size_t)(end - from->p) : from->len);

    bytes_skip(from, line.len + 1);
    while (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* A backslash at the end joins the next line, within quotes and comments too: so does hba.c. */
static enum fail join_line(struct reading *r)
{
    bool goes_on = true;

    r->number += r->physical;
    r->physical = 0;
    buf_clear(&r->line);
    while (goes_on && r->file_rest.len > 0) {
        struct bytes line = take_physical_line(&r->file_rest);

        goes_on = line.len > 0 && line.p[line.len - 1] == '\\';
        buf_put(&r->line, bytes_first(line, line.len - (goes_on ? 1 : 0)));
        r->physical++;
    }
    r->rest = buf_bytes(&r->line);
    if (!buf_ok(&r->line))
        return fail(r->why, FAIL_MEMORY, "out of memory");
    if (r->rest.len > 0 && memchr(r->rest.p, '\0', r->rest.len) != NULL)
        return complain(r, "a NUL", NULL);
    return FAIL_NONE;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Whether there is one more token. */
static bool skip_blanks(struct reading *r)
{
    while (r->rest.len > 0 && is_blank(r->rest.p[0]))
        bytes_skip(&r->rest, 1);
    return r->rest.len > 0 && r->rest.p[0] != '#';
}

static bool ends_token(const struct reading *r, bool in_quotes)
{
    if (r->rest.len == 0)
        return true;
    return !in_quotes && (is_blank(r->rest.p[0]) || r->rest.p[0] == '#' || r->rest.p[0] == ',');
}

/* As hba.c's next_token(): quotes anywhere in a word, and "" for one quote within them. */
static enum fail read_token(struct reading *r, struct token *token)
{
    bool in_quotes = false, was_closed = false;

    *token = (struct token){ .len = 0 };
    while (!ends_token(r, in_quotes)) {
        uint8_t c = r->rest.p[0];
        bool    is_doubled = c == '"' && was_closed;

        bytes_skip(&r->rest, 1);
        if (c == '"') {
            token->is_quoted = true;
            in_quotes = !in_quotes;
            was_closed = !in_quotes;
        } else
            was_closed = false;
        if (c == '"' && !is_doubled)
            continue;
        if (token->len == LONGEST_TOKEN - 1)
            return complain(r, "a word is too long", NULL);
        token->text[token->len++] = (char)c;
    }
    if (in_quotes)
        return complain(r, "a quote is not closed", NULL);
    if (r->rest.len > 0 && r->rest.p[0] == ',')
        return complain(r, "a comma",
                        "names with a comma are written in quotes; lists are not supported: "
                        "write a line for each");
    token->text[token->len] = '\0';
    return FAIL_NONE;
}

/* ---- patterns ---- */

static void pattern_fini(struct pattern *pattern)
{
    free(pattern->text);
    pcre2_code_free(pattern->regex);
}

static enum fail compile(struct pattern *to, const char *regex, const struct reading *r)
{
    PCRE2_UCHAR message[128];
    int         error;
    PCRE2_SIZE  at;
    char        text[192];

    to->regex = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
                              PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
                                  PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                              &error, &at, NULL);
    if (to->regex != NULL)
        return FAIL_NONE;
    pcre2_get_error_message(error, message, sizeof message);
    snprintf(text, sizeof text, "regular expression: %s (at %zu)", (const char *)message, at);
    return complain(r, text, NULL);
}

static enum fail make_pattern(struct pattern *to, const struct token *token,
                              const struct reading *r)
{
    if ((to->text = malloc(token->len + 1)) == NULL)
        return fail(r->why, FAIL_MEMORY, "out of memory");
    memcpy(to->text, token->text, token->len + 1);
    return token->text[0] == '/' ? compile(to, token->text + 1, r) : FAIL_NONE;
}

static uint32_t group_count(const pcre2_code *regex)
{
    uint32_t count = 0;

    pcre2_pattern_info(regex, PCRE2_INFO_CAPTURECOUNT, &count);
    return count;
}

static enum fail check_user(const struct line *line, const struct token *user,
                            const struct reading *r)
{
    if (user->len == 0)
        return complain(r, "the user is empty", NULL);
    if (!user->is_quoted && user->text[0] == '+')
        return complain(r, "groups of roles are not supported",
                        "only the server knows who is in one: name the users, or write "
                        "a regular expression");
    if (line->user.regex != NULL || line->name.regex == NULL ||
        strstr(line->user.text, "\\1") == NULL || group_count(line->name.regex) > 0)
        return FAIL_NONE;
    return complain(r, "\\1 stands for a group, and the regular expression has none",
                    "put what is meant in parentheses");
}

/* ---- lines ---- */

static enum fail add_line(struct ident_map *map, const struct token tokens[MOST_TOKENS],
                          bool is_ours, const struct reading *r)
{
    struct line  line = { .number = r->number,
                          .is_all = !tokens[2].is_quoted && strcmp(tokens[2].text, "all") == 0 };
    struct line *more = NULL;
    enum fail    rc = make_pattern(&line.name, &tokens[1], r);

    if (rc == FAIL_NONE)
        rc = make_pattern(&line.user, &tokens[2], r);
    if (rc == FAIL_NONE)
        rc = check_user(&line, &tokens[2], r);
    if (rc == FAIL_NONE && is_ours &&
        (more = realloc(map->lines, (map->count + 1) * sizeof *more)) == NULL)
        rc = fail(r->why, FAIL_MEMORY, "out of memory");
    if (rc != FAIL_NONE || !is_ours) {
        pattern_fini(&line.name);
        pattern_fini(&line.user);
        return rc;
    }
    map->lines = more;
    map->lines[map->count++] = line;
    return FAIL_NONE;
}

static enum fail check_first(const struct token *first, const struct reading *r)
{
    static const char *const includes[] = { "include", "include_if_exists", "include_dir" };

    for (size_t i = 0; i < sizeof includes / sizeof *includes; i++) {
        if (!first->is_quoted && strcmp(first->text, includes[i]) == 0)
            return complain(r, "includes are not supported", "put the lines into this file");
    }
    return FAIL_NONE;
}

static enum fail read_line(struct ident_map *map, struct reading *r, const char *name)
{
    struct token tokens[MOST_TOKENS];
    size_t       count = 0;
    enum fail    rc = join_line(r);

    while (rc == FAIL_NONE && skip_blanks(r)) {
        if (count == MOST_TOKENS)
            return complain(r, "more than three words",
                            "names with blanks are written in quotes");
        rc = read_token(r, &tokens[count++]);
        if (rc == FAIL_NONE && count == 1)
            rc = check_first(&tokens[0], r);
    }
    if (rc != FAIL_NONE || count == 0)
        return rc;
    if (count < MOST_TOKENS)
        return complain(r, "a map, a name and a user are expected", NULL);
    return add_line(map, tokens, strcmp(tokens[0].text, name) == 0, r);
}

struct ident_map *ident_map_parse(struct bytes text, const char *file, const char *name,
                                  struct failure *why)
{
    struct failure    unseen = { 0 };
    struct reading    r = { .file_rest = text,
                            .line = BUF_LIMIT(LONGEST_LINE),
                            .file = file,
                            .number = 1,
                            .why = why != NULL ? why : &unseen };
    struct ident_map *map = calloc(1, sizeof *map);
    enum fail         rc = FAIL_NONE;

    if (map == NULL || (map->file = malloc(strlen(file) + 1)) == NULL)
        rc = fail(r.why, FAIL_MEMORY, "out of memory");
    else
        strcpy(map->file, file);
    while (rc == FAIL_NONE && r.file_rest.len > 0)
        rc = read_line(map, &r, name);
    buf_fini(&r.line);
    if (rc == FAIL_NONE && map->count == 0)
        rc = fail(r.why, FAIL_CONFIG, "%s has no line of the map \"%s\"", file, name);
    if (rc == FAIL_NONE)
        return map;
    ident_map_free(map);
    return NULL;
}

void ident_map_free(struct ident_map *map)
{
    for (size_t i = 0; map != NULL && i < map->count; i++) {
        pattern_fini(&map->lines[i].name);
        pattern_fini(&map->lines[i].user);
    }
    if (map != NULL) {
        free(map->lines);
        free(map->file);
    }
    free(map);
}

size_t ident_map_count(const struct ident_map *map)
{
    return map->count;
}

/* ---- comparing ---- */

/* One comparison: what it must not outgrow, and what the groups of the name are. */
struct matching {
    const struct ident_map *map;
    const struct line      *line;
    pcre2_match_context    *limits;
    pcre2_match_data       *found;
    struct failure         *why;
};

static bool regex_matches(struct matching *m, const pcre2_code *regex, const char *text)
{
    int rc = pcre2_match(regex, (PCRE2_SPTR)text, strlen(text), 0, 0, m->found, m->limits);

    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT) {
        fail_hint(m->why, "make it simpler: (a+)+ and the like take for ever");
        fail(m->why, FAIL_LIMIT, "%s, line %u: the regular expression took too long",
             m->map->file, m->line->number);
    }
    return rc > 0;
}

/* Whether `user` is the text with its first \1 replaced by the first group. */
static bool is_replaced(const struct matching *m, const char *name, const char *user)
{
    const char       *text = m->line->user.text, *mark = strstr(text, "\\1");
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(m->found);
    size_t            before, group;

    if (mark == NULL)
        return strcmp(text, user) == 0;
    before = (size_t)(mark - text);
    if (pcre2_get_ovector_count(m->found) < 2 || ends[2] == PCRE2_UNSET)
        return false;
    group = ends[3] - ends[2];
    return strncmp(user, text, before) == 0 &&
           strncmp(user + before, name + ends[2], group) == 0 &&
           strcmp(user + before + group, mark + 2) == 0;
}

static bool line_allows(struct matching *m, const char *name, const char *user)
{
    const struct line *line = m->line;

    if (line->name.regex == NULL ? strcmp(line->name.text, name) != 0
                                 : !regex_matches(m, line->name.regex, name))
        return false;
    if (line->is_all)
        return true;
    if (line->user.regex != NULL)
        return regex_matches(m, line->user.regex, user);
    if (line->name.regex != NULL)
        return is_replaced(m, name, user);
    return strcmp(line->user.text, user) == 0;
}

bool ident_map_allows(const struct ident_map *map, const char *certificate_name,
                      const char *user, struct failure *why)
{
    struct matching m = { .map = map,
                          .limits = pcre2_match_context_create(NULL),
                          .found = pcre2_match_data_create(2, NULL),
                          .why = why };
    bool            allows = false;

    if (m.limits != NULL && m.found != NULL && *user != '\0') {
        pcre2_set_match_limit(m.limits, MATCH_LIMIT);
        pcre2_set_depth_limit(m.limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(m.limits, HEAP_LIMIT_KB);
        for (size_t i = 0; !allows && i < map->count; i++) {
            m.line = &map->lines[i];
            allows = line_allows(&m, certificate_name, user);
        }
    }
    pcre2_match_data_free(m.found);
    pcre2_match_context_free(m.limits);
    return allows;
}

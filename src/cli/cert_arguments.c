/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"
#include "cli/cert_words.h"
#include "cli/command.h"
#include "conf/units.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 26u
#define HELP_WIDTH  100u

/* ---- reading ---- */

static void *field_of(struct cert_arguments *arguments, const struct cert_option *option)
{
    return (char *)arguments + option->field;
}

static int complain_of_value(const struct cert_word *word, const struct cert_option *option,
                             const char *value, const char *expected)
{
    char shown[64];

    text_escape(shown, sizeof shown, bytes_of_string(value));
    return complain_of_usage("cert %s: %s \"%s\" is not %s", word->word, option->name, shown,
                             expected);
}

static int read_number(struct cert_arguments *out, const struct cert_word *word,
                       const struct cert_option *option, const char *value)
{
    char     digits[UNITS_TEXT] = "", expected[96];
    size_t   len = strlen(value);
    bool     has_unit = option->kind == CERT_DAYS;
    uint64_t number = 0;

    if (len < sizeof digits && (!has_unit || (len > 1 && value[len - 1] == 'd')))
        snprintf(digits, sizeof digits, "%.*s", (int)(has_unit ? len - 1 : len), value);
    if (!units_read_number(digits, &number) || number < option->min || number > option->max) {
        snprintf(expected, sizeof expected, "a number%s from %lu to %lu%s",
                 has_unit ? " of days" : "", (unsigned long)option->min,
                 (unsigned long)option->max, has_unit ? ", like 30d" : "");
        return complain_of_value(word, option, value, expected);
    }
    memcpy(field_of(out, option), &number, sizeof number);
    return EXIT_GOOD;
}

static int read_choice(struct cert_arguments *out, const struct cert_word *word,
                       const struct cert_option *option, const char *value)
{
    char   all[160] = "one of";
    size_t at = strlen(all);

    for (const char *const *c = option->choices(); *c != NULL; c++) {
        if (strcmp(*c, value) == 0) {
            memcpy(field_of(out, option), &value, sizeof value);
            return EXIT_GOOD;
        }
        at += (size_t)snprintf(all + at, sizeof all - at, " %s", *c);
    }
    return complain_of_value(word, option, value, all);
}

static int add_name(struct cert_arguments *out, const char *value)
{
    if (out->name_count == CERT_MOST_NAMES)
        return complain_of_usage("cert: more than %d names", CERT_MOST_NAMES);
    out->names[out->name_count++] = value;
    return EXIT_GOOD;
}

static int read_value(struct cert_arguments *out, const struct cert_word *word,
                      const struct cert_option *option, const char *value)
{
    bool yes = true;

    switch (option->kind) {
    case CERT_SWITCH: memcpy(field_of(out, option), &yes, sizeof yes); break;
    case CERT_TEXTS: return add_name(out, value);
    case CERT_NUMBER:
    case CERT_DAYS: return read_number(out, word, option, value);
    case CERT_CHOICE: return read_choice(out, word, option, value);
    case CERT_TEXT:
        if (*value == '\0')
            return complain_of_value(word, option, value, "to be empty");
        memcpy(field_of(out, option), &value, sizeof value);
        break;
    }
    return EXIT_GOOD;
}

static const struct cert_use *find_use(const struct cert_word *word, const char *name)
{
    for (const struct cert_use *use = word->uses; use->option != NULL; use++)
        if (strcmp(use->option->name, name) == 0)
            return use;
    return NULL;
}

static int complain_of_option(const struct cert_word *word, const char *name)
{
    const char *names[CERT_MOST_USES + 1] = { NULL };
    const char *near;
    char        shown[64];
    size_t      count = 0;

    for (const struct cert_use *use = word->uses; use->option != NULL; use++)
        names[count++] = use->option->name;
    near = text_nearest(name, names);
    text_escape(shown, sizeof shown, bytes_of_string(name));
    if (near != NULL)
        return complain_of_usage("cert %s: unknown option %s; did you mean %s?", word->word,
                                 shown, near);
    return complain_of_usage("cert %s: unknown option %s; see pgtls cert %s --help", word->word,
                             shown, word->word);
}

/* "--name=VALUE" is "--name VALUE". */
static int read_option(struct cert_arguments *out, const struct cert_word *word, char **argv,
                       int *at, uint32_t *seen)
{
    char                   name[64];
    const char            *equals = strchr(argv[*at], '='), *value;
    const struct cert_use *use;
    uint32_t               bit;

    snprintf(name, sizeof name, "%.*s",
             (int)(equals != NULL ? equals - argv[*at] : (long)strlen(argv[*at])), argv[*at]);
    if ((use = find_use(word, name)) == NULL)
        return complain_of_option(word, name);
    bit = 1u << (use - word->uses);
    if ((*seen & bit) != 0 && use->option->kind != CERT_TEXTS)
        return complain_of_usage("cert %s: %s is given twice", word->word, name);
    *seen |= bit;
    if (use->option->value == NULL && equals != NULL)
        return complain_of_usage("cert %s: %s takes no value", word->word, name);
    value = equals != NULL ? equals + 1 : use->option->value == NULL ? "" : argv[++*at];
    if (value == NULL)
        return complain_of_usage("cert %s: %s needs a %s; see pgtls cert %s --help", word->word,
                                 name, use->option->value, word->word);
    return read_value(out, word, use->option, value);
}

static int read_operand(struct cert_arguments *out, const struct cert_word *word,
                        const char *text)
{
    char shown[64];

    text_escape(shown, sizeof shown, bytes_of_string(text));
    if (word->operand == NULL || out->operand != NULL)
        return complain_of_usage("cert %s: \"%s\" is one word too many", word->word, shown);
    out->operand = text;
    return EXIT_GOOD;
}

/* What is not written takes its preset; what must be written is missed. */
static int finish(struct cert_arguments *out, const struct cert_word *word, uint32_t seen)
{
    for (const struct cert_use *use = word->uses; use->option != NULL; use++) {
        if ((seen & (1u << (use - word->uses))) != 0)
            continue;
        if (use->is_required)
            return complain_of_usage("cert %s: %s %s is missing; see pgtls cert %s --help",
                                     word->word, use->option->name, use->option->value,
                                     word->word);
        /* a renewal must know whether a kind of key was asked for */
        if (use->preset != NULL &&
            use->option->field != offsetof(struct cert_arguments, key_kind))
            (void)read_value(out, word, use->option, use->preset);
    }
    if (word->operand != NULL && word->operand[0] != '[' && out->operand == NULL)
        return complain_of_usage("cert %s: %s is missing; see pgtls cert %s --help", word->word,
                                 word->operand, word->word);
    return EXIT_GOOD;
}

int cert_arguments_read(struct cert_arguments *out, const struct cert_word *word, int argc,
                        char **argv)
{
    uint32_t seen = 0;
    int      status = EXIT_GOOD;

    *out = (struct cert_arguments){ 0 };
    for (int i = 1; status == EXIT_GOOD && i < argc; i++)
        status = argv[i][0] == '-' && argv[i][1] != '\0'
                     ? read_option(out, word, argv, &i, &seen)
                     : read_operand(out, word, argv[i]);
    return status == EXIT_GOOD ? finish(out, word, seen) : status;
}

/* ---- help ---- */

/* Words up to the width, each line but the first behind `column` spaces. */
static void write_wrapped(struct buf *out, const char *text, size_t column)
{
    size_t room = HELP_WIDTH - column;

    while (*text != '\0') {
        size_t len = text_line(text, room);

        buf_put_format(out, "%.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
        if (*text != '\0')
            buf_put_format(out, "%*s", (int)column, "");
    }
}

static void write_choices(struct buf *out, const struct cert_option *option)
{
    const char *between = ": ";

    if (option->choices == NULL)
        return;
    for (const char *const *c = option->choices(); *c != NULL; c++) {
        buf_put_format(out, "%s%s", between, *c);
        between = ", ";
    }
}

static void write_use(struct buf *out, const struct cert_use *use)
{
    const struct cert_option *option = use->option;
    struct buf                text = BUF_LIMIT(2000);
    char                      term[64];

    snprintf(term, sizeof term, "%s%s%s", option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    buf_put_format(out, "  %-*s", (int)HELP_COLUMN - 2, term);
    if (strlen(term) + 3 > HELP_COLUMN)
        buf_put_format(out, "\n%*s", (int)HELP_COLUMN, "");
    buf_put(&text, bytes_of_string(option->help));
    write_choices(&text, option);
    if (use->is_required)
        buf_put(&text, BYTES("; required"));
    if (use->preset != NULL)
        buf_put_format(&text, "; %s otherwise", use->preset);
    buf_put_u8(&text, 0);
    write_wrapped(out, buf_ok(&text) ? (const char *)buf_bytes(&text).p : option->help,
                  HELP_COLUMN);
    buf_fini(&text);
}

static void write_synopsis(struct buf *out, const struct cert_word *word)
{
    buf_put_format(out, "usage: pgtls cert %s", word->word);
    for (const struct cert_use *use = word->uses; use->option != NULL; use++)
        if (use->is_required)
            buf_put_format(out, " %s %s%s", use->option->name, use->option->value,
                           use->option->kind == CERT_TEXTS ? "..." : "");
    buf_put_format(out, " [OPTION]...%s%s\n", word->operand != NULL ? " " : "",
                   word->operand != NULL ? word->operand : "");
}

void cert_write_usage(struct buf *out, const struct cert_word *word)
{
    write_synopsis(out, word);
    buf_put(out, BYTES("\n"));
    write_wrapped(out, word->about, 0);
    buf_put_format(out, "\n    %s\n\n", word->example);
    for (const struct cert_use *use = word->uses; use->option != NULL; use++)
        write_use(out, use);
}

void cert_write_overview(struct buf *out)
{
    buf_put(out, BYTES("usage: pgtls cert WORD [OPTION]...\n\n"));
    for (const struct cert_word *w = cert_words(); w->word != NULL; w++)
        buf_put_format(out, "  %-13s %s\n", w->word, w->summary);
    buf_put(out,
            BYTES("\n`pgtls cert WORD --help` tells more of a word; `pgtls help pgtls-cert.1` "
                  "prints the manual page.\n"
                  "No other program is called, but hooks and passphrase commands; no network "
                  "is used, but\nby `show HOST:PORT`.\n"
                  "\n"
                  "Exit status: 0 good; 1 a certificate is bad, or a file cannot be read or "
                  "written; 2 wrong usage.\n"));
}

/* SPDX-License-Identifier: PostgreSQL */
#include "conf/manual.h"

#include "base/text.h"
#include "conf/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH            100u
#define INDENT_SAMPLE    "# "
#define INDENT_REFERENCE "  "
#define DEFAULT_TEXT     400
#define TYPE_BYTES       ((size_t)1000)

static const char about_files[] =
    "The configuration file is TOML. Relative paths are relative to the file. Durations are "
    "written \"250ms\", \"10s\", \"5min\", \"24h\"; sizes \"512B\", \"64KiB\", \"1MiB\". "
    "Whatever is wrong with a file is told at once, each with its line.";

/* Lines of at most WIDTH columns, each behind `indent`. */
static void write_wrapped(struct buf *out, const char *indent, const char *text)
{
    size_t room = WIDTH - strlen(indent);

    while (*text != '\0') {
        size_t len = text_line(text, room);

        buf_put_format(out, "%s%.*s\n", indent, (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
}

static bool is_quoted(enum option_type type)
{
    return type != OPTION_SWITCH && type != OPTION_NUMBER;
}

/* ---- reference ---- */

static const char *type_name(enum option_type type)
{
    static const char *const names[] = {
        [OPTION_STRING] = "text",
        [OPTION_PATH] = "path",
        [OPTION_STRING_LIST] = "text or list of texts",
        [OPTION_PATH_LIST] = "path or list of paths",
        [OPTION_ADDRESS] = "address",
        [OPTION_ADDRESS_LIST] = "address or list of addresses",
        [OPTION_CHOICE] = "one of",
        [OPTION_SWITCH] = "true or false",
        [OPTION_NUMBER] = "number",
        [OPTION_DURATION] = "duration",
        [OPTION_SIZE] = "size",
        [OPTION_FILE_MODE] = "file mode",
    };

    return names[type];
}

static void write_choices(struct buf *out, const struct option *row)
{
    const char *between = " ";

    for (const struct option_choice *c = row->choices; c->word != NULL; c++)
        if (c->refusal == NULL) {
            buf_put_format(out, "%s`%s`", between, c->word);
            between = ", ";
        }
}

static void write_limits(struct buf *out, const struct option *row)
{
    char least[UNITS_TEXT], most[UNITS_TEXT];

    if (row->type == OPTION_NUMBER)
        buf_put_format(out, " from %" PRIu64 " to %" PRIu64, row->min, row->max);
    else if (row->type == OPTION_DURATION)
        buf_put_format(out, " from %s to %s", units_write_duration(least, row->min),
                       units_write_duration(most, row->max));
    else if (row->type == OPTION_SIZE)
        buf_put_format(out, " from %s to %s", units_write_size(least, row->min),
                       units_write_size(most, row->max));
}

/* "number from 0 to 9." */
static void write_type(struct buf *out, const struct option *row)
{
    buf_put_format(out, "%s", type_name(row->type));
    if (row->type == OPTION_CHOICE)
        write_choices(out, row);
    write_limits(out, row);
    buf_put(out, BYTES("."));
}

static const char *default_of(const struct option *row, char line[static DEFAULT_TEXT])
{
    const char *quote = is_quoted(row->type) ? "\"" : "";

    if (row->is_required)
        return "Required.";
    if (row->preset != NULL)
        snprintf(line, DEFAULT_TEXT, "Default: `%s%s%s`.", quote, row->preset, quote);
    else
        snprintf(line, DEFAULT_TEXT, "Default: %s.", row->default_text);
    return line;
}

static void write_row(struct buf *out, const struct option *row)
{
    char line[DEFAULT_TEXT];

    buf_put_format(out, "\n- `%s`: ", row->name);
    write_type(out, row);
    buf_put(out, BYTES("\n"));
    write_wrapped(out, INDENT_REFERENCE, default_of(row, line));
    write_wrapped(out, INDENT_REFERENCE, row->help);
}

/* What the manual says of a table; NULL behind the last. */
static const struct option *told_row(const struct conf_table *table, size_t n)
{
    const struct option *row = conf_option(table, n);
    size_t               own = 0;

    while (table->more_is_told && table->rows[own].name != NULL)
        own++;
    return table->more_is_told && n >= own ? NULL : row;
}

static const char *title_of(const struct conf_table *table)
{
    if (table->title != NULL)
        return table->title;
    return table->header[0] == '\0' ? "Top of the file" : table->header;
}

void conf_write_reference(struct buf *out, const struct conf_table *const *tables)
{
    const struct option *row;

    buf_put(out, BYTES("# Settings\n\n"));
    write_wrapped(out, "", about_files);
    for (; *tables != NULL; tables++) {
        buf_put_format(out, "\n## %s\n\n", title_of(*tables));
        write_wrapped(out, "", (*tables)->help);
        for (size_t n = 0; (row = told_row(*tables, n)) != NULL; n++)
            write_row(out, row);
    }
}

/* ---- manual page ---- */

void conf_write_roff(struct buf *out, const char *text)
{
    bool is_bold = false, is_start = true;

    for (; *text != '\0'; text++) {
        if (is_start && (*text == '.' || *text == '\''))
            buf_put(out, BYTES("\\&"));
        is_start = *text == '\n';
        if (*text == '`') {
            is_bold = !is_bold;
            buf_put_format(out, "\\f%c", is_bold ? 'B' : 'R');
        } else if (*text == '\\')
            buf_put(out, BYTES("\\e"));
        else if (*text == '-')
            buf_put(out, BYTES("\\-"));
        else
            buf_put_u8(out, (uint8_t)*text);
    }
}

static void write_man_row(struct buf *out, const struct option *row)
{
    struct buf type = BUF_LIMIT(TYPE_BYTES);
    char       line[DEFAULT_TEXT];

    write_type(&type, row);
    buf_put_u8(&type, 0);
    buf_put_format(out, ".TP\n.B %s\n", row->name);
    conf_write_roff(out, buf_ok(&type) ? (const char *)buf_bytes(&type).p : "");
    buf_put(out, BYTES("\n"));
    conf_write_roff(out, default_of(row, line));
    buf_put(out, BYTES("\n.br\n"));
    conf_write_roff(out, row->help);
    buf_put(out, BYTES("\n"));
    buf_fini(&type);
}

void conf_write_man(struct buf *out, const struct conf_table *const *tables)
{
    const struct option *row;

    for (; *tables != NULL; tables++) {
        buf_put_format(out, ".SH \"%s\"\n", title_of(*tables));
        if ((*tables)->header[0] == '\0') {
            conf_write_roff(out, about_files);
            buf_put(out, BYTES("\n.PP\n"));
        }
        conf_write_roff(out, (*tables)->help);
        buf_put(out, BYTES("\n"));
        for (size_t n = 0; (row = told_row(*tables, n)) != NULL; n++)
            write_man_row(out, row);
    }
}

/* ---- sample ---- */

static void write_sample_row(struct buf *out, const struct option *row)
{
    const char *quote = is_quoted(row->type) ? "\"" : "";

    buf_put(out, BYTES("\n"));
    write_wrapped(out, INDENT_SAMPLE, row->help);
    if (!row->is_in_sample)
        buf_put(out, BYTES("#"));
    if (row->sample != NULL)
        buf_put_format(out, "%s = %s\n", row->name, row->sample);
    else
        buf_put_format(out, "%s = %s%s%s\n", row->name, quote, row->preset, quote);
}

void conf_write_sample(struct buf *out, const struct conf_table *const *tables)
{
    const struct option *row;

    for (bool is_first = true; *tables != NULL; tables++, is_first = false) {
        if (!is_first)
            buf_put(out, BYTES("\n"));
        write_wrapped(out, INDENT_SAMPLE, (*tables)->help);
        if ((*tables)->header[0] != '\0')
            buf_put_format(out, "%s%s\n", (*tables)->is_optional ? "#" : "", (*tables)->header);
        for (size_t n = 0; (row = told_row(*tables, n)) != NULL; n++)
            write_sample_row(out, row);
    }
}

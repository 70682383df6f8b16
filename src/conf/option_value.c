/* SPDX-License-Identifier: PostgreSQL */
#include "conf/option_value.h"

#include "base/text.h"
#include "conf/file.h"
#include "conf/units.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIX_PREFIX "unix:"
#define MOST_NAMES  64

static void complain(const struct option_binding *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(const struct option_binding *b, const char *format, ...)
{
    char    text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (b->scope->names_nothing)
        conf_problem_add(b->scope->problems, false, b->line, "%s", text);
    else
        conf_problem_add(b->scope->problems, false, b->line, "%s%s%s: %s", b->scope->where,
                         b->table->prefix, b->row->name, text);
}

bool option_is_list(enum option_type type)
{
    return type == OPTION_STRING_LIST || type == OPTION_PATH_LIST ||
           type == OPTION_ADDRESS_LIST;
}

static bool is_text(enum option_type type)
{
    return type == OPTION_STRING || type == OPTION_PATH || type == OPTION_ADDRESS;
}

/* ---- numbers ---- */

static bool read_number(enum option_type type, const char *text, uint64_t *out)
{
    switch (type) {
    case OPTION_DURATION: return units_read_duration(text, out);
    case OPTION_SIZE: return units_read_size(text, out);
    case OPTION_FILE_MODE: return units_read_file_mode(text, out);
    default: return units_read_number(text, out);
    }
}

static const char *write_number(enum option_type type, char out[static UNITS_TEXT],
                                uint64_t value)
{
    switch (type) {
    case OPTION_DURATION: return units_write_duration(out, value);
    case OPTION_SIZE: return units_write_size(out, value);
    case OPTION_FILE_MODE: snprintf(out, UNITS_TEXT, "0%" PRIo64, value); return out;
    default: snprintf(out, UNITS_TEXT, "%" PRIu64, value); return out;
    }
}

static const char *how_to_write(enum option_type type)
{
    switch (type) {
    case OPTION_DURATION: return "a duration; write \"250ms\", \"10s\", \"5min\" or \"24h\"";
    case OPTION_SIZE: return "a size; write \"512B\", \"64KiB\" or \"1MiB\"";
    case OPTION_FILE_MODE: return "a file mode; write octal digits such as \"0660\"";
    default: return "a number";
    }
}

static void put_number(const struct option_binding *b, uint64_t value, const char *as_written)
{
    char least[UNITS_TEXT], most[UNITS_TEXT];

    if (value >= b->row->min && value <= b->row->max) {
        *(uint64_t *)b->field = value;
        return;
    }
    complain(b, "%s is out of range; the least is %s, the most %s", as_written,
             write_number(b->row->type, least, b->row->min),
             write_number(b->row->type, most, b->row->max));
}

static void put_integer(const struct option_binding *b, int64_t integer)
{
    char as_written[UNITS_TEXT];

    snprintf(as_written, sizeof as_written, "%" PRId64, integer);
    /* as an unsigned number, anything below 0 is above every limit */
    put_number(b, (uint64_t)integer, as_written);
}

static void put_units(const struct option_binding *b, const char *text, const char *shown)
{
    uint64_t value;

    if (read_number(b->row->type, text, &value))
        put_number(b, value, shown);
    else
        complain(b, "\"%s\" is not %s", shown, how_to_write(b->row->type));
}

/* ---- words ---- */

static const struct option_choice *find_choice(const struct option *row, const char *word)
{
    for (const struct option_choice *c = row->choices; c != NULL && c->word != NULL; c++)
        if (strcmp(c->word, word) == 0)
            return c;
    return NULL;
}

static void complain_of_choice(const struct option_binding *b, const char *word,
                               const char *shown)
{
    const char *names[MOST_NAMES + 1] = { NULL };
    char        list[200] = "";
    size_t      count = 0, used = 0;
    const char *near;

    for (const struct option_choice *c = b->row->choices; c->word != NULL; c++)
        if (c->refusal == NULL && count < MOST_NAMES && used < sizeof list) {
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     count > 0 ? ", " : "", c->word);
            names[count++] = c->word;
        }
    near = text_nearest(word, names);
    if (near != NULL)
        complain(b, "\"%s\" is not one of %s; did you mean \"%s\"?", shown, list, near);
    else
        complain(b, "\"%s\" is not one of %s", shown, list);
}

static void put_choice(const struct option_binding *b, const char *word, const char *shown)
{
    const struct option_choice *choice = find_choice(b->row, word);

    if (choice == NULL)
        complain_of_choice(b, word, shown);
    else if (choice->refusal != NULL)
        complain(b, "\"%s\" %s", choice->word, choice->refusal);
    else
        *(int *)b->field = choice->value;
}

/* ---- texts ---- */

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char  *copy = malloc(size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

static bool is_path(enum option_type type)
{
    return type == OPTION_PATH || type == OPTION_PATH_LIST;
}

/* "pkcs11:...": RFC 3986 3.1.  A file of such a name is written "./pkcs11:...". */
static bool is_uri(const char *text)
{
    size_t n =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    return n >= 2 && isalpha((unsigned char)text[0]) && text[n] == ':';
}

static char *absolute_address(const char *folder, const char *text)
{
    size_t prefix = strlen(UNIX_PREFIX);
    char  *path, *address;

    if (strncmp(text, UNIX_PREFIX, prefix) != 0 || text[prefix] == '\0')
        return copy_of(text);
    if ((path = conf_file_absolute(folder, text + prefix)) == NULL)
        return NULL;
    if ((address = malloc(prefix + strlen(path) + 1)) != NULL) {
        memcpy(address, text, prefix);
        strcpy(address + prefix, path);
    }
    free(path);
    return address;
}

/* A path has no limits of its row: it is empty only where "" is one of the words. */
static bool check_length(const struct option_binding *b, const char *text)
{
    const struct option *row = b->row;
    bool     may_be_empty = is_path(row->type) ? find_choice(row, "") != NULL : row->min == 0;
    uint64_t most = is_path(row->type) ? LONGEST_PATH : row->max;
    size_t   len = strlen(text);

    if (len == 0 && !may_be_empty)
        complain(b, "is empty");
    else if (len > most)
        complain(b, "has %zu characters; the most is %" PRIu64, len, most);
    else
        return true;
    return false;
}

/* The text as it is kept; NULL after a complaint. */
static char *new_text(const struct option_binding *b, const char *text)
{
    char *kept;

    if (!check_length(b, text))
        return NULL;
    if (is_path(b->row->type) && find_choice(b->row, text) == NULL &&
        !(b->row->takes_uri && is_uri(text)))
        kept = conf_file_absolute(b->scope->folder, text);
    else if (b->row->type == OPTION_ADDRESS || b->row->type == OPTION_ADDRESS_LIST)
        kept = absolute_address(b->scope->folder, text);
    else
        kept = copy_of(text);
    if (kept == NULL)
        complain(b, "out of memory");
    return kept;
}

static void put_text(const struct option_binding *b, const char *text)
{
    char **field = b->field;
    char  *kept = new_text(b, text);

    if (kept == NULL)
        return;
    free(*field);
    *field = kept;
}

/* ---- one value of the file ---- */

static const char *type_name(enum toml_type type)
{
    static const char *const names[] = {
        [TOML_TABLE] = "a section",
        [TOML_ARRAY] = "a list",
        [TOML_STRING] = "text",
        [TOML_INTEGER] = "a number",
        [TOML_FLOAT] = "a number with a fraction",
        [TOML_BOOLEAN] = "true or false",
        [TOML_DATE] = "a date or time",
    };

    return names[type];
}

static enum toml_type wanted_type(enum option_type type)
{
    return type == OPTION_SWITCH   ? TOML_BOOLEAN
           : type == OPTION_NUMBER ? TOML_INTEGER
                                   : TOML_STRING;
}

static bool has_units(enum option_type type)
{
    return type == OPTION_DURATION || type == OPTION_SIZE || type == OPTION_FILE_MODE;
}

static void complain_of_type(const struct option_binding *b, const struct toml_node *node)
{
    enum toml_type wanted = wanted_type(b->row->type);
    const char    *hint = "";

    if (node->type == TOML_STRING)
        hint = "; write it without quotes";
    else if (node->type != TOML_TABLE && node->type != TOML_ARRAY)
        hint = "; write it in quotes";
    if (has_units(b->row->type))
        complain(b, "is %s, not %s", type_name(node->type), how_to_write(b->row->type));
    else if (wanted == TOML_STRING || node->type == TOML_STRING)
        complain(b, "is %s, not %s%s", type_name(node->type), type_name(wanted), hint);
    else
        complain(b, "is %s, not %s", type_name(node->type), type_name(wanted));
}

/* Whether the node is a text that a C string can hold and a terminal can show. */
static bool is_plain_text(const struct option_binding *b, const struct toml_node *node)
{
    if (node->type != TOML_STRING) {
        complain_of_type(b, node);
        return false;
    }
    for (size_t i = 0; i < node->text_len; i++)
        if ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7f) {
            complain(b, "has a control character in it");
            return false;
        }
    return true;
}

static void put_string(const struct option_binding *b, const struct toml_node *node)
{
    char shown[OPTION_SHOWN_TEXT];

    if (!is_plain_text(b, node))
        return;
    text_escape(shown, sizeof shown, bytes_of(node->text, node->text_len));
    if (is_text(b->row->type))
        put_text(b, node->text);
    else if (b->row->type == OPTION_CHOICE)
        put_choice(b, node->text, shown);
    else
        put_units(b, node->text, shown);
}

static bool append(struct conf_strings *list, char *text)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return false;
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

static void append_node(const struct option_binding *b, const struct toml_node *node,
                        struct conf_strings *list)
{
    struct option_binding item = *b;
    char                 *text;

    if (b->line != 0)
        item.line = node->line;
    if (!is_plain_text(&item, node) || (text = new_text(&item, node->text)) == NULL)
        return;
    if (!append(list, text)) {
        complain(&item, "out of memory");
        free(text);
    }
}

static void put_list(const struct option_binding *b, const struct toml_node *node)
{
    struct conf_strings  list = { NULL, 0 };
    struct conf_strings *field = b->field;

    if (node->type != TOML_ARRAY)
        append_node(b, node, &list);
    else if (node->first == NULL)
        complain(b, "is an empty list");
    else
        for (const struct toml_node *item = node->first; item != NULL; item = item->next)
            append_node(b, item, &list);
    if (list.count > 0) {
        conf_strings_fini(field);
        *field = list;
    }
}

void option_value_put(const struct option_binding *b, const struct toml_node *node)
{
    if (option_is_list(b->row->type))
        put_list(b, node);
    else if (wanted_type(b->row->type) == TOML_STRING)
        put_string(b, node);
    else if (wanted_type(b->row->type) != node->type)
        complain_of_type(b, node);
    else if (b->row->type == OPTION_SWITCH)
        *(int *)b->field = node->boolean;
    else
        put_integer(b, node->integer);
}

/* ---- defaults and ends ---- */

void option_value_preset(const struct option *row, void *field)
{
    bool is_good = true;

    if (row->type == OPTION_SWITCH)
        *(int *)field = -1;
    else if (row->preset == NULL || is_text(row->type))
        return;
    else if (row->type == OPTION_CHOICE)
        *(int *)field = find_choice(row, row->preset)->value;
    else
        is_good = read_number(row->type, row->preset, field);
    assert(is_good);
}

void option_value_free(const struct option *row, void *field)
{
    if (is_text(row->type)) {
        free(*(char **)field);
        *(char **)field = NULL;
    } else if (option_is_list(row->type))
        conf_strings_fini(field);
}

void conf_strings_fini(struct conf_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct conf_strings){ NULL, 0 };
}

/* SPDX-License-Identifier: PostgreSQL */
#include "conf/option.h"

#include "base/text.h"
#include "conf/option_value.h"

#include <assert.h>
#include <stdio.h>

#define MOST_NAMES 64

static bool is_section(const struct conf_table *table, const char *name)
{
    for (const char *const *s = table->sections; s != NULL && *s != NULL; s++)
        if (strcmp(*s, name) == 0)
            return true;
    return false;
}

/* The header of another section that has a setting of that name, or NULL. */
static const char *section_of(const struct conf_scope *scope, const char *name)
{
    for (const struct conf_table *const *t = scope->tables; *t != NULL; t++)
        if (conf_row(*t, name) >= 0)
            return (*t)->header;
    return NULL;
}

static const char *nearest_name(const struct conf_table *table, const char *word)
{
    const char *names[MOST_NAMES + 1] = { NULL };
    size_t      count = 0;

    for (const struct option *row; (row = conf_option(table, count)) != NULL; count++)
        names[count] = row->name;
    for (const char *const *s = table->sections; s != NULL && *s != NULL; s++)
        names[count++] = *s;
    assert(count <= MOST_NAMES);
    return text_nearest(word, names);
}

static void complain_of_name(const struct conf_table *table, const struct toml_node *node,
                             const struct conf_scope *scope)
{
    char        hint[120] = "";
    char        shown[OPTION_SHOWN_TEXT];
    const char *near = nearest_name(table, node->key);
    const char *header = section_of(scope, node->key);

    text_escape(shown, sizeof shown, bytes_of_string(node->key));
    if (header != NULL && header[0] == '\0')
        snprintf(hint, sizeof hint, "; it belongs to the top of the file");
    else if (header != NULL)
        snprintf(hint, sizeof hint, "; it belongs to %s", header);
    else if (near != NULL)
        snprintf(hint, sizeof hint, "; did you mean \"%s\"?", near);
    if (scope->names_nothing)
        conf_problem_add(scope->problems, false, node->line, "unknown setting%s", hint);
    else
        conf_problem_add(scope->problems, false, node->line, "%s%s%s: unknown %s%s",
                         scope->where, table->prefix, shown,
                         node->type == TOML_TABLE ? "section" : "setting", hint);
}

static void *field_of(const struct option *row, void *target)
{
    return (char *)target + row->field;
}

void conf_preset(const struct conf_table *table, void *target)
{
    const struct option *row;

    for (size_t n = 0; (row = conf_option(table, n)) != NULL; n++)
        option_value_preset(row, field_of(row, target));
}

void conf_bind(const struct conf_table *table, const struct toml_node *node,
               const struct conf_scope *scope, void *target, int *lines)
{
    const struct toml_node *child = node == NULL ? NULL : node->first;

    for (; child != NULL; child = child->next) {
        int                   at = conf_row(table, child->key);
        struct option_binding b = { .table = table, .scope = scope, .line = child->line };

        if (at >= 0) {
            b.row = conf_option(table, (size_t)at);
            b.field = field_of(b.row, target);
            lines[at] = child->line;
            option_value_put(&b, child);
        } else if (!is_section(table, child->key))
            complain_of_name(table, child, scope);
    }
}

void conf_require(const struct conf_table *table, int line, const struct conf_scope *scope,
                  const int *lines)
{
    const struct option *row;

    for (size_t n = 0; (row = conf_option(table, n)) != NULL; n++)
        if (row->is_required && lines[n] == 0)
            conf_problem_add(scope->problems, false, line,
                             "%s%s%s: missing; for example %s = %s", scope->where,
                             table->prefix, row->name, row->name, row->sample);
}

void conf_unbind(const struct conf_table *table, void *target)
{
    const struct option *row;

    for (size_t n = 0; (row = conf_option(table, n)) != NULL; n++)
        option_value_free(row, field_of(row, target));
}

void conf_reset(const struct option *row, void *target)
{
    void *field = field_of(row, target);

    option_value_free(row, field);
    if (row->type == OPTION_CHOICE)
        *(int *)field = 0;
    option_value_preset(row, field);
}

static bool is_word(const struct option *row, const char *text)
{
    const struct option_choice *choice = row->choices;

    while (choice != NULL && choice->word != NULL && strcmp(choice->word, text) != 0)
        choice++;
    return choice != NULL && choice->word != NULL;
}

/* A path was made absolute, a URI was not. */
static bool is_file(const struct option *row, const char *path)
{
    return path != NULL && !is_word(row, path) && (!row->takes_uri || path[0] == '/');
}

void conf_each_path(const struct conf_table *table, void               *target,
                    void (*visit)(void *owner, const char *path), void *owner)
{
    const struct option *row;

    for (size_t n = 0; (row = conf_option(table, n)) != NULL; n++) {
        const struct conf_strings *list = field_of(row, target);

        if (row->type == OPTION_PATH && is_file(row, *(char **)field_of(row, target)))
            visit(owner, *(char **)field_of(row, target));
        for (size_t i = 0; row->type == OPTION_PATH_LIST && i < list->count; i++)
            if (is_file(row, list->items[i]))
                visit(owner, list->items[i]);
    }
}

const struct option *conf_option(const struct conf_table *table, size_t n)
{
    const struct option *const parts[] = { table->rows, table->more_rows };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const struct option *row = parts[i]; row != NULL && row->name != NULL; row++)
            if (n-- == 0)
                return row;
    return NULL;
}

int conf_row(const struct conf_table *table, const char *name)
{
    const struct option *row;

    for (int n = 0; (row = conf_option(table, (size_t)n)) != NULL; n++)
        if (strcmp(row->name, name) == 0)
            return n;
    return -1;
}

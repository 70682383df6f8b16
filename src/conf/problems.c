/* SPDX-License-Identifier: PostgreSQL */
#include "conf/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_TEXT (sizeof((struct conf_problem *)0)->file - 1)

void conf_problems_fini(struct conf_problems *problems)
{
    free(problems->items);
    *problems = (struct conf_problems){ .file = problems->file };
}

const char *conf_problems_in(struct conf_problems *problems, const char *file)
{
    const char *before = problems->file;

    problems->file = file;
    return before;
}

static bool make_room(struct conf_problems *problems)
{
    size_t               capacity = problems->capacity == 0 ? 8 : problems->capacity * 2;
    struct conf_problem *items;

    if (problems->count < problems->capacity)
        return true;
    items = realloc(problems->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    problems->items = items;
    problems->capacity = capacity;
    return true;
}

/* A free place among those of the same file: behind those of the same line and before those of
 * later ones. */
static struct conf_problem *place_for(struct conf_problems *problems, const char *file,
                                      int line)
{
    size_t at = problems->count;

    while (at > 0 && strncmp(problems->items[at - 1].file, file, FILE_TEXT) != 0)
        at--;
    if (at == 0)
        at = problems->count; /* the first of its file */
    while (at > 0 && strncmp(problems->items[at - 1].file, file, FILE_TEXT) == 0 &&
           problems->items[at - 1].line > line)
        at--;
    memmove(&problems->items[at + 1], &problems->items[at],
            (problems->count - at) * sizeof *problems->items);
    problems->count++;
    return &problems->items[at];
}

static void write_text(struct conf_problem *problem, const char *file, const char *format,
                       va_list args)
{
    const char *kind = problem->is_warning ? "warning: " : "";
    int         used;

    if (problem->line > 0)
        used = snprintf(problem->text, sizeof problem->text, "%.200s:%d: %s", file,
                        problem->line, kind);
    else
        used = snprintf(problem->text, sizeof problem->text, "%.200s: %s", file, kind);
    vsnprintf(problem->text + used, sizeof problem->text - (size_t)used, format, args);
}

void conf_problem_add(struct conf_problems *problems, bool is_warning, int line,
                      const char *format, ...)
{
    struct conf_problem *problem;
    va_list              args;

    if (!is_warning)
        problems->error_count++;
    if (!make_room(problems))
        return;
    problem = place_for(problems, problems->file, line);
    problem->is_warning = is_warning;
    problem->line = line;
    snprintf(problem->file, sizeof problem->file, "%s", problems->file);
    va_start(args, format);
    write_text(problem, problems->file, format, args);
    va_end(args);
}

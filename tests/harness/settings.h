/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/settings.h - settings that load, and settings that are refused for one reason
 *
 * The text of a file that is not there: nothing that it names is opened.
 */
#ifndef PGTLS_HARNESS_SETTINGS_H
#define PGTLS_HARNESS_SETTINGS_H

#include "harness/check.h"
#include "proxy/settings.h"

#define FILE_NAME "/etc/pgtls/t.toml"

static inline struct proxy_settings *load(const char *text, struct conf_problems *problems)
{
    return settings_load_text(FILE_NAME, bytes_of_string(text), problems);
}

/* Warnings or not. */
static inline struct proxy_settings *load_good(const char *text)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings = load(text, &problems);

    if (settings == NULL)
        print_error("%s\n", problems.items[0].text);
    assert_non_null(settings);
    conf_problems_fini(&problems);
    return settings;
}

/* Has exactly that one problem, which is an error. */
static inline void assert_refused(const char *text, const char *problem)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings = load(text, &problems);

    assert_null(settings);
    for (size_t i = 0; i < problems.count && problems.count != 1; i++)
        print_error("%s\n", problems.items[i].text);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].text + strlen(FILE_NAME ":"), problem);
    conf_problems_fini(&problems);
}

#endif

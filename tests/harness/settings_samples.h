/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/settings_samples.h - pieces of files of settings, and what whole ones are told
 *
 *     static const struct sample rows[] = {
 *         { ROUTE PLAIN_LISTENER "sslmode = \"require\"\n" PLAIN_BACKEND,
 *           "5: route \"r\": listener.sslmode: \"require\" needs server_cert; ...\n" },
 *     };
 *
 *     CHECK_SAMPLES(rows, false);
 */
#ifndef PGTLS_HARNESS_SETTINGS_SAMPLES_H
#define PGTLS_HARNESS_SETTINGS_SAMPLES_H

#include "harness/settings.h"

#define ROUTE          "[[proxy]]\nname = \"r\"\n"
#define PLAIN_LISTENER "[proxy.listener]\nbind_address = \"127.0.0.1:1\"\n"
#define PLAIN_BACKEND  "[proxy.backend]\naddress = \"127.0.0.1:2\"\n"
#define TLS_LISTENER                                                                           \
    "[proxy.listener]\nbind_address = \"0.0.0.0:1\"\nserver_cert = \"s.crt\"\n"                \
    "server_key = \"s.key\"\n"
#define TLS_BACKEND   "[proxy.backend]\naddress = \"db.example.com:2\"\nroot_ca = \"ca.crt\"\n"
#define UNIX_LISTENER "[proxy.listener]\nbind_address = \"unix:/run/a\"\n"
#define UNIX_BACKEND  "[proxy.backend]\naddress = \"unix:/run/b\"\n"

struct sample {
    const char *text;
    const char *problems; /* each on a line of its own, without the name of the file */
};

static inline void write_problems(const struct conf_problems *problems, struct buf *out)
{
    size_t prefix = strlen(FILE_NAME ":");

    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *p = &problems->items[i];

        assert_memory_equal(p->text, FILE_NAME ":", prefix);
        buf_put_format(out, "%s\n", p->text + prefix);
    }
}

/* `good`: whether the settings load, with warnings alone. */
static inline void check_samples(const struct sample *samples, size_t count, bool good)
{
    for (size_t i = 0; i < count; i++) {
        struct conf_problems   problems = { 0 };
        struct buf             told = BUF_LIMIT(10000);
        struct proxy_settings *settings = load(samples[i].text, &problems);

        write_problems(&problems, &told);
        buf_put_u8(&told, 0);
        assert_string_equal((const char *)buf_bytes(&told).p, samples[i].problems);
        assert_true((settings != NULL) == good);
        settings_free(settings);
        conf_problems_fini(&problems);
        buf_fini(&told);
    }
}

#define CHECK_SAMPLES(rows, good) check_samples(rows, sizeof(rows) / sizeof *(rows), good)

/* Without a warning. */
static inline struct proxy_settings *load_without_a_word(const char *text)
{
    struct conf_problems   problems = { 0 };
    struct proxy_settings *settings = load(text, &problems);

    if (problems.count > 0)
        print_error("%s\n", problems.items[0].text);
    assert_non_null(settings);
    assert_int_equal(problems.count, 0);
    conf_problems_fini(&problems);
    return settings;
}

#endif

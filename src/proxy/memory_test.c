/* SPDX-License-Identifier: PostgreSQL */
/*
 * docs/operations.md says what a connection costs; here it is held against the structs.
 */
#include "harness/check.h"
#include "proxy/conversation_state.h"
#include "tls/engine_parts.h"

#include <stdio.h>
#include <stdlib.h>

#define SLACK 64

static const struct {
    const char *what;
    size_t      bytes;
} rows[] = {
    { "a conversation", sizeof(struct conversation) + SLAB_BESIDE },
    { "a TLS engine, for each leg in TLS", sizeof(struct tls_engine) },
    { "until it has logged in, an approach", sizeof(struct approach) + SLAB_BESIDE },
    { "what waits to be sent, at most", BUFFER_LIMIT },
    { "opened bytes of one receive", SCRATCH_SIZE },
    { "spare buffers for what is sent, all together at most", BUFFERS_KEPT *BUFFER_LIMIT },
    { "receive buffer of epoll", LOOP_RECEIVE_MAX },
};

static char *read_document(void)
{
    char   path[512];
    char  *text = calloc(1, 1 << 16);
    FILE  *file;
    size_t size;

    snprintf(path, sizeof path, "%s/docs/operations.md", getenv("PGTLS_SOURCE"));
    file = fopen(path, "re");
    assert_non_null(file);
    size = fread(text, 1, (1 << 16) - 1, file);
    assert_true(size > 0 && size < (1 << 16) - 1);
    fclose(file);
    return text;
}

/* The number in the row of this name; 0 where there is none. */
static size_t documented(const char *text, const char *what)
{
    char        begin[200];
    const char *row;

    snprintf(begin, sizeof begin, "| %s | ", what);
    row = strstr(text, begin);
    return row != NULL ? strtoul(row + strlen(begin), NULL, 10) : 0;
}

/* A little more than it is, so that not every new field is a new document. */
static void the_document_says_what_a_connection_costs(void **state)
{
    char  *text = read_document();
    size_t wrong = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t says = documented(text, rows[i].what);

        if (says < rows[i].bytes || says - rows[i].bytes >= SLACK) {
            print_error("docs/operations.md says of %s: %zu bytes; it is %zu\n", rows[i].what,
                        says, rows[i].bytes);
            wrong++;
        }
    }
    free(text);
    assert_int_equal(wrong, 0);
}

/* 1.5 KB for TLS towards clients and plaintext behind, of which some 200 bytes are strings. */
static void an_idle_connection_is_small(void **state)
{
    assert_true(sizeof(struct conversation) + SLAB_BESIDE + sizeof(struct tls_engine) <= 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_says_what_a_connection_costs),
        cmocka_unit_test(an_idle_connection_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

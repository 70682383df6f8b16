/* SPDX-License-Identifier: PostgreSQL */
#include "pgtls/error.h"

#include "library/parts.h"

#include <stdlib.h>

/* The public numbers never change; these tell when ours do. */
_Static_assert(PGTLS_ERROR_MEMORY == (int)FAIL_MEMORY && PGTLS_ERROR_IO == (int)FAIL_IO &&
                   PGTLS_ERROR_CONFIG == (int)FAIL_CONFIG &&
                   PGTLS_ERROR_CERT == (int)FAIL_CERT && PGTLS_ERROR_TLS == (int)FAIL_TLS &&
                   PGTLS_ERROR_PROTOCOL == (int)FAIL_PROTOCOL &&
                   PGTLS_ERROR_REFUSED == (int)FAIL_REFUSED &&
                   PGTLS_ERROR_LIMIT == (int)FAIL_LIMIT &&
                   PGTLS_ERROR_TIMEOUT == (int)FAIL_TIMEOUT &&
                   PGTLS_ERROR_CLOSED == (int)FAIL_CLOSED,
               "kinds of failures");

struct failure *library_failure(struct pgtls_error *error)
{
    error->failure = (struct failure){ 0 };
    return &error->failure;
}

/* Fields that a later version appends are unknown here: the caller must not count on them. */
bool library_size_fits(size_t size, size_t ours, struct failure *why)
{
    if (size == ours)
        return true;
    fail(why, FAIL_CONFIG, "options have %zu bytes, expected %zu", size, ours);
    fail_hint(why, "set size to sizeof the struct; compile against this version's headers");
    return false;
}

bool library_time_is_told(int64_t wall_s, struct failure *why)
{
    if (wall_s > 0)
        return true;
    fail(why, FAIL_CONFIG, "wall_s is missing");
    fail_hint(why, "set it to the seconds since 1970: time(NULL)");
    return false;
}

void library_copy_failure(struct pgtls_error *error, const struct failure *why)
{
    error->failure = why ? *why : (struct failure){ 0 };
}

struct pgtls_error *pgtls_error_new(void)
{
    return calloc(1, sizeof(struct pgtls_error));
}

void pgtls_error_free(struct pgtls_error *error)
{
    free(error);
}

enum pgtls_error_kind pgtls_error_kind(const struct pgtls_error *error)
{
    return (enum pgtls_error_kind)error->failure.kind;
}

const char *pgtls_error_text(const struct pgtls_error *error)
{
    return error->failure.text;
}

const char *pgtls_error_hint(const struct pgtls_error *error)
{
    return error->failure.hint;
}

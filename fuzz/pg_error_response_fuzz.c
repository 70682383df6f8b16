/* SPDX-License-Identifier: PostgreSQL */
#include "pg/error_response.h"

#include "fuzz.h"

#define HINT "a hint of ours"

static bool same(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool same_but_hint(const struct error_response *a, const struct error_response *b)
{
    return same(a->severity, b->severity) && same(a->code, b->code) &&
           same(a->message, b->message) && same(a->detail, b->detail);
}

static void check_written_again(const struct error_response *error, size_t size)
{
    struct buf            out = BUF_LIMIT(2 * size + 64);
    struct error_response back;

    error_response_write(&out, error);
    MUST(buf_ok(&out));
    MUST(error_response_read(&back, buf_bytes(&out)));
    MUST(same_but_hint(error, &back) && same(error->hint, back.hint));
    buf_fini(&out);
}

static void check_hint(const struct error_response *error, struct bytes hinted)
{
    struct error_response back;
    size_t                before = error->hint != NULL ? strlen(error->hint) + 1 : 0;

    MUST(error_response_read(&back, hinted));
    MUST(same_but_hint(error, &back) && back.hint != NULL);
    MUST(strlen(back.hint) == before + strlen(HINT));
    MUST(strcmp(back.hint + before, HINT) == 0);
    if (before > 0)
        MUST(strncmp(back.hint, error->hint, before - 1) == 0 && back.hint[before - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes          message = bytes_of(data, size);
    struct buf            out = BUF_LIMIT(size + strlen(HINT) + 2);
    struct error_response error;
    bool                  is_error = error_response_read(&error, message);

    error_response_add_hint(&out, message, HINT);
    MUST(buf_ok(&out));
    if (is_error) {
        check_written_again(&error, size);
        check_hint(&error, buf_bytes(&out));
    } else {
        MUST(bytes_equal(buf_bytes(&out), message));
    }
    buf_fini(&out);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "pg/opening.h"

#include "fuzz.h"

static void check_lengths(struct bytes in, enum opening kind)
{
    size_t length = opening_length(in);

    MUST(length >= OPENING_REQUEST_LEN && length <= OPENING_MOST && length <= in.len);
    if (kind == OPENING_SSL || kind == OPENING_GSS)
        MUST(length == OPENING_REQUEST_LEN);
    if (kind == OPENING_CANCEL)
        MUST(length >= CANCEL_LEAST && length <= CANCEL_MOST);
    if (kind == OPENING_STARTUP)
        MUST(opening_code(in) >> 16 == 3);
    /* the packet alone is the same as the packet with bytes behind it */
    MUST(opening_peek(bytes_first(in, length)) == kind);
    MUST(opening_peek(bytes_first(in, length - 1)) == OPENING_SHORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);
    enum opening kind = opening_peek(in);

    for (size_t cut = 0; cut < size; cut++) {
        enum opening early = opening_peek(bytes_first(in, cut));

        MUST(early == OPENING_SHORT || early == kind);
    }
    if (kind == OPENING_SHORT)
        MUST(size < OPENING_MOST);
    else if (kind == OPENING_TLS_HELLO)
        MUST(data[0] == 0x16);
    else if (kind != OPENING_BAD)
        check_lengths(in, kind);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "session/auth_query.h"

#include "fuzz.h"

/* The input is what a server says; it is cut in two ways, and the end is the same. */
static enum auth_query_verdict play(struct bytes input, struct cuts cuts, bool has_password,
                                    struct buf *out)
{
    static struct auth_query_keys   keys;
    const struct auth_query_options options = {
        .role = "r",
        .database = "d",
        .statement = "select $1",
        .user = "u",
        .password = has_password ? BYTES("p") : bytes_of(NULL, 0),
        .keys = &keys,
    };
    enum auth_query_verdict verdict = AUTH_QUERY_WANT_MORE;
    struct auth_query       query;

    auth_query_init(&query, &options);
    while (verdict == AUTH_QUERY_WANT_MORE && input.len > 0) {
        struct bytes piece = bytes_first(input, cuts_next(&cuts, input.len));

        verdict = auth_query_feed(&query, piece, out);
        bytes_skip(&input, piece.len);
    }
    MUST(verdict != AUTH_QUERY_FAILED || failed(&query.why));
    MUST(verdict != AUTH_QUERY_FOUND || query.rows == 1);
    MUST(query.state != AUTH_QUERY_SASL_DONE && query.state != AUTH_QUERY_SASL_FINAL);
    auth_query_fini(&query);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    uint8_t      choice = fuzz_choice(&input);
    struct buf   out = BUF_LIMIT(1 << 16), again = BUF_LIMIT(1 << 16);

    MUST(play(input, CUTS_NONE, (choice & 1) != 0, &out) ==
         play(input, CUTS_BYTES, (choice & 1) != 0, &again));
    MUST(out.len == again.len);
    buf_fini(&out);
    buf_fini(&again);
    return 0;
}

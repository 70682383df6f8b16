/* SPDX-License-Identifier: PostgreSQL */
#include "session/login.h"

#include "fuzz.h"

struct run {
    struct login       login;
    enum login_verdict verdict;
    struct buf         out;
    size_t             taken;
};

static void check_step(const struct run *run, struct bytes before, struct bytes in)
{
    MUST(in.len <= before.len && in.p + in.len == before.p + before.len);
    MUST(run->verdict != LOGIN_WANT_MORE || in.len == 0);
    MUST(buf_ok(&run->out));
    MUST(run->login.held.len <= LOGIN_HELD_MOST);
    MUST(run->out.len <= run->taken + LOGIN_HINT_MOST);
}

static void run_through(struct run *run, const struct login_legs *legs, struct bytes stream,
                        struct cuts cuts)
{
    *run = (struct run){ .out = BUF_LIMIT(stream.len + LOGIN_HINT_MOST) };
    login_init(&run->login, legs);
    while (run->verdict == LOGIN_WANT_MORE && stream.len > 0) {
        struct bytes piece = bytes_first(stream, cuts_next(&cuts, stream.len));
        struct bytes in = piece;

        run->verdict = login_feed(&run->login, &in, &run->out);
        run->taken += piece.len - in.len;
        check_step(run, piece, in);
        bytes_skip(&stream, piece.len - in.len);
    }
}

static void run_fini(struct run *run)
{
    login_fini(&run->login);
    buf_fini(&run->out);
}

/* Where nothing is changed, what passes on is what came, and a login that ends leaves nothing.
 */
static void check_passes_on(const struct run *run, struct bytes stream)
{
    const struct login *login = &run->login;

    MUST((run->verdict == LOGIN_BROKEN) == (login->broken != NULL));
    if (login->plus_stripped)
        MUST(login->legs.strips_plus);
    if (login->binding_refused)
        MUST(login->legs.client_tls && login->legs.server_tls && !login->legs.binding_passes);
    if (run->verdict == LOGIN_READY)
        MUST(login->held.memory == NULL && login_is_between(login));
    if (!login->legs.strips_plus && !login->binding_refused) {
        MUST(bytes_equal(buf_bytes(&run->out), bytes_first(stream, run->out.len)));
        if (run->verdict != LOGIN_BROKEN)
            MUST(run->out.len + login->held.len == run->taken);
    }
}

static bool same_facts(const struct login *a, const struct login *b)
{
    return a->authenticated == b->authenticated && a->plus_offered == b->plus_offered &&
           a->plus_stripped == b->plus_stripped && a->binding_refused == b->binding_refused &&
           a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0 &&
           a->has_error == b->has_error && strcmp(a->error_code, b->error_code) == 0 &&
           strcmp(a->error_message, b->error_message) == 0 && a->status == b->status &&
           a->pass_left == b->pass_left && a->broken == b->broken;
}

static void check_same(const struct run *run, const struct run *whole)
{
    MUST(run->verdict == whole->verdict);
    MUST(same_facts(&run->login, &whole->login));
    MUST(bytes_equal(buf_bytes(&run->out), buf_bytes(&whole->out)));
    if (run->verdict != LOGIN_BROKEN)
        MUST(run->taken == whole->taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes      stream = bytes_of(data, size);
    uint8_t           choice = fuzz_choice(&stream);
    struct login_legs legs = { (choice & 1) != 0, (choice & 2) != 0, (choice & 4) != 0,
                               (choice & 9) == 0 };
    struct cuts       ways[] = { CUTS_BYTES, cuts_of(fuzz_choice(&stream)) };
    struct run        whole;

    run_through(&whole, &legs, stream, CUTS_NONE);
    check_passes_on(&whole, stream);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct run run;

        run_through(&run, &legs, stream, ways[i]);
        check_passes_on(&run, stream);
        check_same(&run, &whole);
        run_fini(&run);
    }
    run_fini(&whole);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "session/gate.h"

#include "fuzz.h"
#include "pg/opening.h"

struct setup {
    enum gate_policy policy;
    enum gate_layer  layer;
};

struct run {
    enum gate_verdict verdict;
    size_t            taken;
    struct buf        out;
    struct gate       gate;
};

/* The gate sees a window that grows at its end as bytes come and shrinks at its front. */
static void run_through(struct run *run, const struct setup *setup, struct bytes stream,
                        struct cuts cuts)
{
    size_t arrived = 0;

    *run = (struct run){ .verdict = GATE_WANT_MORE, .out = BUF_LIMIT(GATE_OUT_MOST) };
    gate_init(&run->gate, setup->policy, setup->layer);
    while (run->verdict == GATE_WANT_MORE && arrived < stream.len) {
        struct bytes in, before;

        arrived += cuts_next(&cuts, stream.len - arrived);
        in = before = bytes_of(stream.p + run->taken, arrived - run->taken);
        run->verdict = gate_feed(&run->gate, &in, &run->out);
        MUST(buf_ok(&run->out));
        MUST(in.len <= before.len && in.p + in.len == before.p + before.len);
        run->taken = arrived - in.len;
    }
}

static bool is_refusal_of_early_bytes(const struct run *run)
{
    return run->verdict == GATE_REFUSED &&
           strncmp(gate_failure(&run->gate)->text, "received unencrypted data", 25) == 0;
}

/* What no bytes may bring about: plaintext past a TLS policy, S where no TLS can follow. */
static void check_policy(const struct run *run, const struct setup *setup, struct bytes stream)
{
    bool has_tls = setup->layer == GATE_CLEAR && setup->policy != GATE_TLS_NEVER;

    if (run->verdict == GATE_STARTUP)
        MUST(setup->layer != GATE_CLEAR || setup->policy != GATE_TLS_REQUIRED);
    if (run->verdict == GATE_REFUSED && gate_failure(&run->gate)->kind == FAIL_REFUSED)
        MUST(setup->layer == GATE_CLEAR && setup->policy == GATE_TLS_REQUIRED);
    if (run->verdict == GATE_START_TLS)
        MUST(has_tls && buf_bytes(&run->out).p[run->out.len - 1] == 'S');
    if (run->verdict == GATE_START_DIRECT_TLS)
        MUST(has_tls && run->taken == 0 && run->out.len == 0 && stream.p[0] == 0x16);
    MUST(failed(gate_failure(&run->gate)) ==
         (run->verdict == GATE_REFUSED || run->verdict == GATE_CLOSE_SILENTLY));
}

static void check_what_is_left(const struct run *run, struct bytes stream)
{
    bytes_skip(&stream, run->taken);
    if (run->verdict == GATE_STARTUP)
        MUST(opening_peek(stream) == OPENING_STARTUP);
    if (run->verdict == GATE_CANCEL)
        MUST(opening_peek(stream) == OPENING_CANCEL);
}

/*
 * Against a client that waits for each answer.  A cut matters in one way only: what
 * came behind a request that gets N, before the client could know, is refused.
 */
static void check_same(const struct run *run, const struct run *patient)
{
    struct bytes out = buf_bytes(&run->out), expected = buf_bytes(&patient->out);

    MUST(!is_refusal_of_early_bytes(patient));
    if (!is_refusal_of_early_bytes(run)) {
        MUST(run->verdict == patient->verdict && run->taken == patient->taken);
        MUST(bytes_equal(out, expected));
        return;
    }
    MUST(run->taken <= patient->taken && expected.len > 0);
    for (size_t i = 0; out.p[i] != 'E'; i++)
        MUST(out.p[i] == 'N' && i < expected.len && expected.p[i] == 'N');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes stream = bytes_of(data, size);
    uint8_t      choice = fuzz_choice(&stream);
    struct setup setup = { (enum gate_policy)(choice % 3), (enum gate_layer)(choice / 3 % 3) };
    struct cuts  ways[] = { CUTS_NONE, cuts_of(fuzz_choice(&stream)) };
    struct run   patient;

    run_through(&patient, &setup, stream, CUTS_BYTES);
    check_policy(&patient, &setup, stream);
    check_what_is_left(&patient, stream);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct run run;

        run_through(&run, &setup, stream, ways[i]);
        check_policy(&run, &setup, stream);
        check_what_is_left(&run, stream);
        check_same(&run, &patient);
        buf_fini(&run.out);
    }
    buf_fini(&patient.out);
    return 0;
}

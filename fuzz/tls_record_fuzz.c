/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"
#include "tls/record_layer.h"

#include "fuzz.h"

/*
 * An input is a stream of items, each [kind][length, 2 bytes][bytes]: records that are sealed
 * here, so that what is inside them is the fuzzer's, or bytes as they are.
 */
enum { RAW = 0, NEXT_KEYS = 1, INNER = 2 }; /* others: the inner type of a record */

#define MOST_WIRE ((size_t)1 << 20)

static struct tls_context *context;

static void make_context(void)
{
    struct failure     why = { 0 };
    struct tls_policy *policy =
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT }, &why);

    MUST(policy != NULL);
    context = tls_context_new(policy, &why);
    MUST(context != NULL);
    tls_policy_release(policy);
}

static struct tls_traffic traffic_of(uint8_t choice)
{
    struct tls_traffic traffic = { .suite = (uint8_t)(1 + choice % 3) };

    memset(traffic.secret, 42, sizeof traffic.secret);
    MUST(tls_aeads_prepare(tls_context_aeads(context), (enum tls_suite)traffic.suite));
    MUST(tls_traffic_start(&traffic, tls_context_aeads(context)));
    return traffic;
}

static struct tls_engine *new_engine(uint8_t choice)
{
    struct tls_engine *engine = tls_engine_new_raw(context);

    MUST(engine != NULL);
    engine->records = &tls_record_own;
    engine->state = ENGINE_OPEN;
    engine->session = (struct tls_session){ .read = traffic_of(choice),
                                            .write = traffic_of(choice),
                                            .is_client = (choice & 0x40) != 0,
                                            .most_read = TLS_LONGEST_CONTENT,
                                            .most_written = TLS_LONGEST_CONTENT };
    return engine;
}

/* What the far end sends: sealed by the same code that is tested with RFC 8448's traces. */
static void put_item(struct buf *wire, struct tls_traffic *traffic, uint8_t kind,
                     struct bytes bytes)
{
    struct tls_aeads *aeads = tls_context_aeads(context);
    uint8_t          *to;

    if (kind == RAW) {
        buf_put(wire, bytes);
    } else if (kind == NEXT_KEYS) {
        MUST(tls_traffic_update(traffic, aeads));
    } else if ((to = buf_reserve(wire, bytes.len + TLS_RECORD_OVERHEAD)) != NULL) {
        if (kind == INNER && bytes.len > 0) { /* its own type, and padding perhaps */
            kind = bytes.p[bytes.len - 1];
            bytes.len--;
        }
        MUST(tls_traffic_seal(traffic, aeads, (enum tls_content)kind, bytes, to));
        buf_wrote(wire, bytes.len + TLS_RECORD_OVERHEAD);
    }
}

static void make_wire(struct buf *wire, uint8_t choice, struct bytes input)
{
    struct tls_traffic traffic = traffic_of(choice);

    while (input.len >= 3) {
        uint8_t      kind = input.p[0];
        struct bytes bytes = bytes_of(input.p + 3, input.len - 3);

        bytes = bytes_first(bytes, bytes_u16(input.p + 1));
        put_item(wire, &traffic, kind, bytes);
        bytes_skip(&input, 3 + bytes.len);
    }
}

struct heard {
    enum tls_verdict verdict;
    int              alert_sent, alert_received;
    uint64_t         bytes, sum;
};

static void hear(struct heard *heard, const uint8_t *p, size_t n)
{
    heard->bytes += n;
    for (size_t i = 0; i < n; i++)
        heard->sum = heard->sum * 31 + p[i];
}

static struct heard run(uint8_t choice, struct bytes wire, struct cuts cuts, size_t room)
{
    static uint8_t     plain[40000];
    struct tls_engine *engine = new_engine(choice);
    struct buf         out = BUF_LIMIT(1000);
    struct heard       heard = { .verdict = TLS_WANT_MORE };
    size_t             got;

    while (wire.len > 0 && heard.verdict == TLS_WANT_MORE) {
        struct bytes in = bytes_first(wire, cuts_next(&cuts, wire.len));

        bytes_skip(&wire, in.len);
        do {
            size_t before = in.len;

            heard.verdict = tls_engine_read(engine, &in, plain, room, &got, &out);
            MUST(got <= room);
            MUST(heard.verdict != TLS_DONE || got > 0 || in.len < before);
            hear(&heard, plain, got);
        } while (heard.verdict == TLS_DONE);
        MUST(heard.verdict == TLS_FAILED || in.len == 0);
        MUST(buf_ok(&out));
        MUST(engine->held.len <= TLS_LONGEST_RECORD);
        MUST(out.len <= 2 * (TLS_RECORD_OVERHEAD + 5)); /* one KeyUpdate and an alert */
    }
    heard.alert_sent = tls_engine_alert_sent(engine);
    heard.alert_received = tls_engine_alert_received(engine);
    tls_engine_free(engine);
    buf_fini(&out);
    return heard;
}

static void must_be_same(struct heard a, struct heard b)
{
    MUST(a.verdict == b.verdict);
    MUST(a.alert_sent == b.alert_sent);
    MUST(a.alert_received == b.alert_received);
    MUST(a.bytes == b.bytes);
    MUST(a.sum == b.sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct buf   wire = BUF_LIMIT(MOST_WIRE);
    uint8_t      choice = fuzz_choice(&input);
    struct heard whole;

    if (context == NULL)
        make_context();
    make_wire(&wire, choice, input);
    whole = run(choice, buf_bytes(&wire), CUTS_NONE, 40000);
    must_be_same(whole, run(choice, buf_bytes(&wire), cuts_of(choice), 40000));
    must_be_same(whole, run(choice, buf_bytes(&wire), CUTS_BYTES, 10));
    must_be_same(whole, run(choice, buf_bytes(&wire), CUTS_NONE, 1 + choice % 50));
    buf_fini(&wire);
    return 0;
}

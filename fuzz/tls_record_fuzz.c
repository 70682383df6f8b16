/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"
#include "tls/kernel.h"
#include "tls/record_layer.h"

#include "fuzz.h"

#include <errno.h>

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
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT,
                                                     .record_layer = TLS_RECORDS_KERNEL,
                                                     .kernel = { .rekeys = true } },
                       &why);

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

static void take(struct tls_engine *engine, struct bytes in, size_t room, struct buf *out,
                 struct heard *heard)
{
    static uint8_t plain[40000];
    size_t         got;

    do {
        size_t before = in.len;

        heard->verdict = tls_engine_read(engine, &in, plain, room, &got, out);
        MUST(got <= room);
        MUST(heard->verdict != TLS_DONE || got > 0 || in.len < before);
        hear(heard, plain, got);
    } while (heard->verdict == TLS_DONE);
    MUST(heard->verdict == TLS_FAILED || in.len == 0);
    MUST(buf_ok(out));
    MUST(engine->held.len <= TLS_LONGEST_RECORD);
    MUST(out->len <= 2 * (TLS_RECORD_OVERHEAD + 5)); /* one KeyUpdate and an alert */
}

static void end(struct tls_engine *engine, struct buf *out, struct heard *heard)
{
    heard->alert_sent = tls_engine_alert_sent(engine);
    heard->alert_received = tls_engine_alert_received(engine);
    tls_engine_free(engine);
    buf_fini(out);
}

static struct heard run(uint8_t choice, struct bytes wire, struct cuts cuts, size_t room)
{
    struct tls_engine *engine = new_engine(choice);
    struct buf         out = BUF_LIMIT(1000);
    struct heard       heard = { .verdict = TLS_WANT_MORE };

    while (wire.len > 0 && heard.verdict == TLS_WANT_MORE) {
        struct bytes in = bytes_first(wire, cuts_next(&cuts, wire.len));

        bytes_skip(&wire, in.len);
        take(engine, in, room, &out, &heard);
    }
    end(engine, &out, &heard);
    return heard;
}

/* ---- the same by a kernel ---- */

static void put_frame(struct buf *frame, uint8_t type, struct bytes content)
{
    buf_put_u8(frame, type);
    buf_put_u16(frame, 0x0303);
    buf_put_u16(frame, (uint16_t)content.len);
    buf_put(frame, content);
}

static void put_error(struct buf *frame, int error)
{
    put_frame(frame, TLS_FRAME_ERROR, bytes_of((uint8_t[]){ 0, (uint8_t)error }, 2));
}

/* The first record of `wire` as a frame; false: it is not whole.  Checks are those of
 * tls_read_size() and tls_rx_msg_size() in net/tls of Linux. */
static bool open_by_kernel(struct tls_traffic *traffic, struct bytes *wire, struct buf *frame)
{
    static uint8_t content[TLS_LONGEST_RECORD];
    size_t         size, n;

    if (wire->len < TLS_HEADER_BYTES)
        return false;
    size = bytes_u16(wire->p + 3);
    if (size > TLS_LONGEST_SEALED || size < TLS_TAG_BYTES || bytes_u16(wire->p + 1) != 0x0303) {
        put_error(frame, size > TLS_LONGEST_SEALED ? EMSGSIZE
                         : size < TLS_TAG_BYTES    ? EBADMSG
                                                   : EINVAL);
        return true;
    }
    if (wire->len < TLS_HEADER_BYTES + size)
        return false;
    n = size - TLS_TAG_BYTES;
    if (!tls_traffic_open(traffic, tls_context_aeads(context),
                          bytes_of(wire->p, TLS_HEADER_BYTES + size), content))
        n = 0;
    while (n > 0 && content[n - 1] == 0)
        n--;
    if (n == 0)
        put_error(frame, EBADMSG);
    else
        put_frame(frame, content[n - 1], bytes_of(content, n - 1));
    bytes_skip(wire, TLS_HEADER_BYTES + size);
    return true;
}

static struct heard run_by_kernel(uint8_t choice, struct bytes wire, size_t room)
{
    struct tls_engine *engine = new_engine(choice);
    struct tls_traffic traffic = engine->session.read;
    struct buf         out = BUF_LIMIT(1000), frame = BUF_LIMIT(TLS_LONGEST_RECORD);
    struct heard       heard = { .verdict = TLS_WANT_MORE };

    tls_kernel_took(engine, TLS_KERNEL_SENDS);
    tls_kernel_took(engine, TLS_KERNEL_RECEIVES);
    while (heard.verdict == TLS_WANT_MORE && open_by_kernel(&traffic, &wire, &frame)) {
        take(engine, buf_bytes(&frame), room, &out, &heard);
        if (tls_kernel_needs_key(engine)) {
            traffic = engine->session.read;
            tls_kernel_took(engine, TLS_KERNEL_RECEIVES);
        }
        buf_clear(&frame);
    }
    buf_fini(&frame);
    end(engine, &out, &heard);
    return heard;
}

/* It tells less of what is wrong, so alerts may be others; and it may stop later, at the end
 * of a record. */
static void must_be_alike(struct heard own, struct heard kernel)
{
    MUST(own.verdict == kernel.verdict ||
         (own.verdict == TLS_FAILED && kernel.verdict == TLS_WANT_MORE));
    MUST(own.alert_received == kernel.alert_received);
    MUST(own.bytes == kernel.bytes);
    MUST(own.sum == kernel.sum);
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
    must_be_alike(whole, run_by_kernel(choice, buf_bytes(&wire), 40000));
    must_be_same(run_by_kernel(choice, buf_bytes(&wire), 40000),
                 run_by_kernel(choice, buf_bytes(&wire), 1 + choice % 50));
    buf_fini(&wire);
    return 0;
}

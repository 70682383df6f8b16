/* SPDX-License-Identifier: PostgreSQL */
/*
 * A connection on its way from one process to another, as bytes:
 *
 *     "pgtlsTLS"  version u16
 *     role, suite, state of the engine, flags of the engine and of its facts    u8 each
 *     each way, reading first: sequence u64, secret
 *     what a record may carry, unfinished messages and records, counters
 *     strings: length u16 (ffff: none), bytes
 *
 * Numbers are big-endian.  What is derived is not in it: keys, names of the suite.
 */
#include "base/reader.h"
#include "tls/engine_parts.h"
#include "tls/record_layer.h"
#include "tls/record_own.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define MAGIC   BYTES("pgtlsTLS")
#define VERSION 2u
#define NO_TEXT 0xffffu

/* Rest of the bytes, beside what is held and strings. */
#define FIXED_BYTES 256u

enum {
    FLAG_CLOSED = 1,
    FLAG_RESUMED = 2,
    FLAG_ASKED = 4,
    FLAG_PRESENTED = 8,
    FLAG_VERIFIED = 16
};
enum { FLAG_ANSWER_DUE = 1, FLAG_REQUESTED = 2 };

/* The facts that are strings, but for those of the suite. */
#define TEXTS 7
static void list_texts(struct tls_facts *facts, const char **out[TEXTS])
{
    out[0] = &facts->group;
    out[1] = &facts->alpn;
    out[2] = &facts->sni;
    out[3] = &facts->peer_subject;
    out[4] = &facts->peer_issuer;
    out[5] = &facts->peer_serial;
    out[6] = &facts->peer_fingerprint;
}

/* ---- giving ---- */

static void put_u64(struct buf *out, uint64_t v)
{
    buf_put_u32(out, (uint32_t)(v >> 32));
    buf_put_u32(out, (uint32_t)v);
}

static void put_flags(struct buf *out, const struct tls_engine *engine)
{
    const struct tls_facts   *facts = &engine->facts;
    const struct tls_session *session = &engine->session;

    buf_put_u8(out, (uint8_t)((engine->closed ? FLAG_CLOSED : 0) |
                              (facts->resumed ? FLAG_RESUMED : 0) |
                              (facts->asked_for_certificate ? FLAG_ASKED : 0) |
                              (facts->peer_presented ? FLAG_PRESENTED : 0) |
                              (facts->peer_verified ? FLAG_VERIFIED : 0)));
    buf_put_u8(out, (uint8_t)((session->answer_due ? FLAG_ANSWER_DUE : 0) |
                              (session->requested ? FLAG_REQUESTED : 0)));
}

static void put_traffic(struct buf *out, const struct tls_traffic *traffic, size_t secret_bytes)
{
    put_u64(out, traffic->sequence);
    buf_put(out, bytes_of(traffic->secret, secret_bytes));
}

static void put_session(struct buf *out, const struct tls_session *session,
                        enum tls_suite suite)
{
    const struct tls_messages *messages = &session->messages;

    put_traffic(out, &session->read, tls_suite_secret_bytes(suite));
    put_traffic(out, &session->write, tls_suite_secret_bytes(suite));
    buf_put_u16(out, session->most_read);
    buf_put_u16(out, session->most_written);
    buf_put_u8(out, session->empty_records);
    buf_put_u8(out, session->warnings);
    buf_put_u16(out, session->unpaid);
    buf_put(out, bytes_of(messages->header, sizeof messages->header));
    buf_put_u8(out, messages->have);
    buf_put_u8(out, messages->field);
    buf_put_u8(out, messages->request);
    buf_put_u16(out, messages->value);
    buf_put_u16(out, messages->field_left);
    buf_put_u32(out, messages->body_left);
}

static void put_held(struct buf *out, const struct tls_held *held)
{
    struct bytes bytes =
        bytes_of(held->memory != NULL ? held->memory : held->header, held->len);

    if (held->is_plain) /* what was handed out is gone */
        bytes_skip(&bytes, held->at);
    buf_put_u8(out, held->is_plain);
    buf_put_u16(out, (uint16_t)bytes.len);
    buf_put(out, bytes);
}

static void put_texts(struct buf *out, struct tls_facts *facts)
{
    const char **texts[TEXTS];

    list_texts(facts, texts);
    for (int i = 0; i < TEXTS; i++) {
        struct bytes text = *texts[i] != NULL ? bytes_of_string(*texts[i]) : bytes_of(NULL, 0);

        buf_put_u16(out, *texts[i] != NULL ? (uint16_t)text.len : NO_TEXT);
        buf_put(out, text);
    }
}

static size_t needed(struct tls_engine *engine)
{
    size_t       size = FIXED_BYTES + engine->held.len;
    const char **texts[TEXTS];

    list_texts(&engine->facts, texts);
    for (int i = 0; i < TEXTS; i++)
        size += 2 + (*texts[i] != NULL ? strlen(*texts[i]) : 0);
    return size;
}

static void put_all(struct buf *out, struct tls_engine *engine)
{
    /* a direction that has ended has been wiped, its suite too */
    uint8_t suite = engine->session.read.suite != TLS_SUITE_NONE ? engine->session.read.suite
                                                                 : engine->session.write.suite;

    buf_put(out, MAGIC);
    buf_put_u16(out, VERSION);
    buf_put_u8(out, engine->session.is_client);
    buf_put_u8(out, suite);
    buf_put_u8(out, (uint8_t)engine->state);
    put_flags(out, engine);
    put_session(out, &engine->session, (enum tls_suite)suite);
    put_held(out, &engine->held);
    put_texts(out, &engine->facts);
}

enum fail tls_engine_give(struct tls_engine *engine, struct buf *out, struct failure *why)
{
    if (engine->records != &tls_record_own || engine->state == ENGINE_FAILED ||
        (engine->closed && engine->state != ENGINE_OPEN)) {
        fail_hint(why, "record_layer \"record\" has sessions that can be");
        return fail(why, FAIL_REFUSED, "a TLS session of this kind cannot be given away");
    }
    /* at once: growing would leave copies of the secrets behind */
    if (buf_reserve(out, needed(engine)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    put_all(out, engine);
    /* two that seal with one key would use a nonce twice */
    tls_record_wipe(engine);
    engine->closed = true;
    engine->state = ENGINE_FAILED;
    return FAIL_NONE;
}

/* ---- taking ---- */

static uint64_t read_u64(struct reader *in)
{
    uint64_t high = reader_u32(in);

    return high << 32 | reader_u32(in);
}

static void read_flags(struct reader *in, struct tls_engine *engine)
{
    uint8_t of_engine = reader_u8(in), of_session = reader_u8(in);

    engine->closed = (of_engine & FLAG_CLOSED) != 0;
    engine->facts.resumed = (of_engine & FLAG_RESUMED) != 0;
    engine->facts.asked_for_certificate = (of_engine & FLAG_ASKED) != 0;
    engine->facts.peer_presented = (of_engine & FLAG_PRESENTED) != 0;
    engine->facts.peer_verified = (of_engine & FLAG_VERIFIED) != 0;
    engine->session.answer_due = (of_session & FLAG_ANSWER_DUE) != 0;
    engine->session.requested = (of_session & FLAG_REQUESTED) != 0;
}

/* A direction that has ended has no secret any more. */
static bool read_traffic(struct reader *in, struct tls_traffic *traffic, enum tls_suite suite,
                         struct tls_aeads *aeads, bool is_over)
{
    uint64_t     sequence = read_u64(in);
    struct bytes secret = reader_bytes(in, tls_suite_secret_bytes(suite));

    if (!reader_ok(in))
        return false;
    if (is_over)
        return true;
    memcpy(traffic->secret, secret.p, secret.len);
    traffic->suite = (uint8_t)suite;
    if (!tls_traffic_start(traffic, aeads))
        return false;
    traffic->sequence = sequence;
    return true;
}

static bool read_messages(struct reader *in, struct tls_messages *messages)
{
    struct bytes header = reader_bytes(in, sizeof messages->header);

    if (header.p != NULL)
        memcpy(messages->header, header.p, sizeof messages->header);
    messages->have = reader_u8(in);
    messages->field = reader_u8(in);
    messages->request = reader_u8(in);
    messages->value = reader_u16(in);
    messages->field_left = reader_u16(in);
    messages->body_left = reader_u32(in);
    return tls_messages_are_sane(messages);
}

static bool read_session(struct reader *in, struct tls_engine *engine, enum tls_suite suite)
{
    struct tls_session *session = &engine->session;
    struct tls_aeads   *aeads = tls_context_aeads(engine->context);

    if (!read_traffic(in, &session->read, suite, aeads, engine->state == ENGINE_PEER_CLOSED) ||
        !read_traffic(in, &session->write, suite, aeads, engine->closed))
        return false;
    session->most_read = reader_u16(in);
    session->most_written = reader_u16(in);
    session->empty_records = reader_u8(in);
    session->warnings = reader_u8(in);
    session->unpaid = reader_u16(in);
    return read_messages(in, &session->messages) && session->most_read > 0 &&
           session->most_read <= TLS_LONGEST_CONTENT && session->most_written > 0 &&
           session->most_written <= TLS_LONGEST_CONTENT;
}

static bool read_held(struct reader *in, struct tls_held *held)
{
    bool         is_plain = reader_u8(in) == 1;
    struct bytes bytes = reader_bytes(in, reader_u16(in));

    return reader_ok(in) && tls_held_fill(held, bytes, is_plain);
}

static bool read_texts(struct reader *in, struct tls_engine *engine)
{
    const char **texts[TEXTS];
    char        *at;

    /* room for all that is left; each loses its length and gains a NUL */
    if ((at = engine->texts = malloc(in->left.len + 1)) == NULL)
        return false;
    list_texts(&engine->facts, texts);
    for (int i = 0; i < TEXTS; i++) {
        uint16_t     len = reader_u16(in);
        struct bytes text = reader_bytes(in, len == NO_TEXT ? 0 : len);

        if (!reader_ok(in))
            return false;
        if (len == NO_TEXT)
            continue;
        *texts[i] = at;
        if (text.len > 0)
            memcpy(at, text.p, text.len);
        at[text.len] = '\0';
        at += text.len + 1;
    }
    return in->left.len == 0;
}

static bool read_all(struct reader *in, struct tls_engine *engine)
{
    bool is_ours = bytes_equal(reader_bytes(in, MAGIC.len), MAGIC) && reader_u16(in) == VERSION;
    bool is_client = reader_u8(in) == 1;
    enum tls_suite suite = (enum tls_suite)reader_u8(in);

    engine->state = (enum engine_state)reader_u8(in);
    if (!is_ours || is_client != (engine_role(engine) == TLS_CLIENT) ||
        suite == TLS_SUITE_NONE || suite >= TLS_SUITES ||
        (engine->state != ENGINE_OPEN && engine->state != ENGINE_PEER_CLOSED &&
         engine->state != ENGINE_TRUNCATED))
        return false;
    engine->session.is_client = is_client;
    engine->facts.cipher = tls_suite_name(suite);
    read_flags(in, engine);
    return tls_aeads_prepare(tls_context_aeads(engine->context), suite) &&
           read_session(in, engine, suite) && read_held(in, &engine->held) &&
           read_texts(in, engine);
}

struct tls_engine *tls_engine_take(struct tls_context *context, struct bytes given,
                                   struct failure *why)
{
    struct reader      in = reader_of(given);
    struct tls_engine *engine = tls_engine_new_raw(context);

    if (engine == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    engine->records = &tls_record_own;
    engine->facts.version = "TLSv1.3";
    engine->facts.record_layer = tls_record_own.name;
    if (read_all(&in, engine))
        return engine;
    tls_engine_free(engine);
    fail(why, FAIL_PROTOCOL,
         "what was given is no TLS session that this version can go on with");
    return NULL;
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * TLS 1.3 records of our own: what we receive.
 *
 * Where RFC 8446 leaves a choice we do as OpenSSL does; record_oracle_test.c compares.  Each
 * MUST of its sections 4.6, 5 and 6 is quoted where it is kept; those about what comes before
 * Finished, and about tickets that are resumed, are OpenSSL's to keep.
 */
#include "tls/record_own.h"
#include "tls/unpaid.h"

#include <stdlib.h>

#define MOST_EMPTY_RECORDS 32u /* in a row, as OpenSSL takes */
#define MOST_WARNINGS      4u  /* in a row, likewise */

#define CLOSE_NOTIFY       0
#define UNEXPECTED_MESSAGE 10
#define USER_CANCELED      90

enum tls_step tls_record_refuse(struct tls_engine *engine, int alert, const char *what)
{
    tls_explain_sent(engine, what);
    /* RFC 8446 6.2: "all the alerts listed in Section 6.2 MUST be sent with
     * AlertLevel=fatal" */
    tls_record_alert(engine, TLS_ALERT_FATAL, alert);
    return STEP_FAILED;
}

static enum tls_step no_memory(struct tls_engine *engine)
{
    tls_engine_need_failure(engine);
    fail(engine->failure, FAIL_MEMORY, "out of memory");
    tls_record_alert(engine, TLS_ALERT_FATAL, TLS_INTERNAL_ERROR);
    return STEP_FAILED;
}

/* Told before the body has come: it may never come. */
static enum tls_step check_header(struct tls_engine *engine, const uint8_t *header)
{
    unsigned length = bytes_u16(header + 3);

    /* RFC 8446 5: "If an implementation detects a change_cipher_spec record received [...]
     * after the peer's Finished message, it MUST be treated as an unexpected record type";
     * "If a TLS implementation receives an unexpected record type, it MUST terminate the
     * connection with an "unexpected_message" alert." */
    if (header[0] != TLS_CONTENT_DATA)
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "a record that is not encrypted");
    /* 5.2: legacy_record_version "is always 0x0303"; that it "MUST be ignored for all purposes"
     * (5.1) is said of records that are not encrypted. */
    if (header[1] != 3 || header[2] != 3)
        return tls_record_refuse(engine, TLS_DECODE_ERROR, "a record of another version");
    /* 5.2: "The length MUST NOT exceed 2^14 + 256 bytes.  An endpoint that receives a record
     * that exceeds this length MUST terminate the connection with a "record_overflow"
     * alert." */
    if (length > TLS_LONGEST_SEALED)
        return tls_record_refuse(engine, TLS_RECORD_OVERFLOW, "a record that is too long");
    if (length < TLS_TAG_BYTES + 1)
        return tls_record_refuse(engine, TLS_BAD_RECORD_MAC, "a record that is too short");
    return STEP_ON;
}

/* ---- what is inside ---- */

static enum tls_step take_update(struct tls_engine *engine, bool requested)
{
    struct tls_session *session = &engine->session;
    bool                is_kernels = engine->kernel.receives;

    if (is_kernels && !engine_policy(engine)->kernel.rekeys) {
        tls_record_cannot_update(engine, "the peer has changed its key");
        return STEP_FAILED;
    }
    /* 4.6.3: "Upon receiving a KeyUpdate, the receiver MUST update its receiving keys."
     * "both sides MUST enforce that a KeyUpdate with the old key is received before accepting
     * any messages encrypted with the new key": there is but one key at a time. */
    if (!tls_traffic_update(&session->read, tls_context_aeads(engine->context)))
        return no_memory(engine);
    engine->kernel.needs_key = is_kernels;
    session->requested = false;
    session->answer_due = session->answer_due || requested;
    return STEP_ON;
}

static bool is_key_update(enum tls_message message)
{
    return message == TLS_MESSAGE_KEY_UPDATE || message == TLS_MESSAGE_KEY_UPDATE_REQUESTED;
}

/* False where there are too many of them. */
static bool charge(struct tls_session *session, enum tls_message message)
{
    bool is_answer = is_key_update(message) && session->requested;

    return message == TLS_MESSAGE_NONE || is_answer || tls_unpaid_charge(&session->unpaid);
}

static enum tls_step take_messages(struct tls_engine *engine, struct bytes content)
{
    struct tls_session *session = &engine->session;
    int                 alert = UNEXPECTED_MESSAGE;

    while (content.len > 0) {
        enum tls_message message =
            tls_messages_next(&session->messages, session->is_client, &content, &alert);

        if (message == TLS_MESSAGE_WRONG)
            return tls_record_refuse(engine, alert,
                                     "a handshake message that is not legal here");
        if (!charge(session, message))
            return tls_record_refuse(engine, UNEXPECTED_MESSAGE, TLS_TOO_MANY_UNPAID);
        if (is_key_update(message) &&
            take_update(engine, message == TLS_MESSAGE_KEY_UPDATE_REQUESTED) != STEP_ON)
            return STEP_FAILED;
    }
    return STEP_ON;
}

static enum tls_step take_alert(struct tls_engine *engine, struct bytes content)
{
    /* 5.1: "Alert messages MUST NOT be fragmented across records, and multiple alert
     * messages MUST NOT be coalesced into a single TLSPlaintext record.  In other words, a
     * record with an Alert type MUST contain exactly one message." */
    if (content.len != 2)
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "an alert of a wrong length");
    if (content.p[1] == CLOSE_NOTIFY)
        return STEP_CLOSED;
    if (content.p[1] == USER_CANCELED) {
        if (++engine->session.warnings > MOST_WARNINGS)
            return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "too many warnings");
        return STEP_ON;
    }
    /* 6.2: "all the alerts listed in Section 6.2 [...] MUST be treated as error alerts when
     * received regardless of the AlertLevel in the message.  Unknown Alert types MUST be
     * treated as error alerts." */
    engine->alert_received = content.p[1];
    return STEP_FAILED;
}

/* `content` stands at the sink, or in engine->held. */
static enum tls_step take_data(struct tls_engine *engine, struct bytes content)
{
    struct tls_session *session = &engine->session;

    if (content.len > 0) {
        tls_unpaid_pay(&session->unpaid, 1);
        return STEP_ON;
    }
    if (++session->empty_records > MOST_EMPTY_RECORDS)
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "too many empty records");
    return STEP_ON;
}

enum tls_step tls_record_content(struct tls_engine *engine, uint8_t type, struct bytes content)
{
    /* 5.1: "The length MUST NOT exceed 2^14 bytes.  An endpoint that receives a record that
     * exceeds this length MUST terminate the connection with a "record_overflow" alert."
     * 5.4: "the full encoded TLSInnerPlaintext MUST NOT exceed 2^14 + 1 octets": padding beyond
     * that is taken, within 2^14 + 256. */
    if (content.len > engine->session.most_read)
        return tls_record_refuse(engine, TLS_RECORD_OVERFLOW, "a record with too much in it");
    /* 5.1: "Handshake messages MUST NOT be interleaved with other record types.  That is, if a
     * handshake message is split over two or more records, there MUST NOT be any other records
     * between them." */
    if (type != TLS_CONTENT_HANDSHAKE && tls_messages_is_cut(&engine->session.messages))
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE,
                                 "a record amid a handshake message");
    /* 5.4: "Implementations MUST NOT send Handshake and Alert records that have a
     * zero-length TLSInnerPlaintext.content; if such a message is received, the receiving
     * implementation MUST terminate the connection with an "unexpected_message" alert." */
    if (type != TLS_CONTENT_DATA && content.len == 0)
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "an empty record");
    if (content.len > 0)
        engine->session.empty_records = 0;
    if (content.len > 0 && type != TLS_CONTENT_ALERT)
        engine->session.warnings = 0;
    switch (type) {
    case TLS_CONTENT_DATA: return take_data(engine, content);
    case TLS_CONTENT_ALERT: return take_alert(engine, content);
    case TLS_CONTENT_HANDSHAKE: return take_messages(engine, content);
    /* 5: "An implementation which [...] receives a protected change_cipher_spec record MUST
     * abort the handshake with an "unexpected_message" alert", and as in check_header() */
    default:
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "a record of an unknown type");
    }
}

/* Takes apart what was opened; *len is then that of data. */
static enum tls_step take_inner(struct tls_engine *engine, const uint8_t *inner, size_t *len)
{
    size_t        n = *len;
    uint8_t       type;
    enum tls_step step;

    /* 5.4: "Implementations MUST limit their scanning to the cleartext returned from the
     * AEAD decryption." */
    while (n > 0 && inner[n - 1] == 0)
        n--;
    *len = 0;
    /* "If a receiving implementation does not find a non-zero octet in the cleartext, it
     * MUST terminate the connection with an "unexpected_message" alert." */
    if (n == 0)
        return tls_record_refuse(engine, UNEXPECTED_MESSAGE, "a record without a type");
    type = inner[--n];
    step = tls_record_content(engine, type, bytes_of(inner, n));
    if (type == TLS_CONTENT_DATA && step == STEP_ON)
        *len = n;
    return step;
}

/* 5.2: "If the decryption fails, the receiver MUST terminate the connection with a
 * "bad_record_mac" alert." */
static bool open_record(struct tls_engine *engine, struct bytes record, uint8_t *to)
{
    if (tls_traffic_open(&engine->session.read, tls_context_aeads(engine->context), record, to))
        return true;
    tls_record_refuse(engine, TLS_BAD_RECORD_MAC, "a record that cannot be decrypted");
    return false;
}

/* ---- one record ---- */

/* Straight from the caller's bytes to the caller's room. */
static enum tls_step open_to_sink(struct tls_engine *engine, struct bytes record,
                                  struct tls_sink *sink)
{
    size_t        len = record.len - TLS_HEADER_BYTES - TLS_TAG_BYTES;
    enum tls_step step;

    if (!open_record(engine, record, sink->at))
        return STEP_FAILED;
    step = take_inner(engine, sink->at, &len);
    sink->at += len;
    sink->room -= len;
    return step;
}

static enum tls_step hand_out(struct tls_held *held, struct tls_sink *sink)
{
    struct bytes rest = bytes_of(held->memory + held->at, (size_t)(held->len - held->at));
    struct bytes part = bytes_first(rest, sink->room);

    if (part.len > 0)
        memcpy(sink->at, part.p, part.len);
    sink->at += part.len;
    sink->room -= part.len;
    held->at = (uint16_t)(held->at + part.len);
    if (part.len < rest.len)
        return STEP_FULL;
    tls_held_free(held);
    return STEP_ON;
}

/* The record is held, and the sink may have too little room: it is opened where it is. */
static enum tls_step open_held(struct tls_engine *engine, struct tls_sink *sink)
{
    struct tls_held *held = &engine->held;
    size_t           len = held->len - TLS_HEADER_BYTES - TLS_TAG_BYTES;
    enum tls_step    step;

    if (!open_record(engine, bytes_of(held->memory, held->len),
                     held->memory + TLS_HEADER_BYTES))
        return STEP_FAILED;
    held->is_plain = true;
    step = take_inner(engine, held->memory + TLS_HEADER_BYTES, &len);
    held->at = TLS_HEADER_BYTES;
    held->len = (uint16_t)(TLS_HEADER_BYTES + len);
    if (step != STEP_ON) {
        tls_held_free(held);
        return step;
    }
    return hand_out(held, sink);
}

static bool fits(const struct tls_sink *sink, size_t record_bytes)
{
    return record_bytes - TLS_HEADER_BYTES - TLS_TAG_BYTES <= sink->room;
}

static enum tls_step go_on_with_held(struct tls_engine *engine, struct tls_sink *sink)
{
    struct tls_held *held = &engine->held;
    enum tls_step    step;

    if (held->is_plain)
        return hand_out(held, sink);
    if (held->memory == NULL) {
        if (!tls_held_header(held, engine->in))
            return STEP_MORE;
        if (check_header(engine, held->header) != STEP_ON)
            return STEP_FAILED;
    }
    if (!tls_held_record(held, engine->in))
        return held->memory == NULL ? no_memory(engine) : STEP_MORE;
    if (!fits(sink, held->len))
        return open_held(engine, sink);
    step = open_to_sink(engine, bytes_of(held->memory, held->len), sink);
    tls_held_free(held);
    return step;
}

static enum tls_step next_record(struct tls_engine *engine, struct tls_sink *sink)
{
    struct bytes *in = engine->in;
    size_t        whole;
    enum tls_step step;

    if (engine->kernel.receives)
        return tls_frame_next(engine, sink);
    if (sink->room == 0 && (in->len > 0 || engine->held.is_plain))
        return STEP_FULL;
    if (engine->held.len > 0)
        return go_on_with_held(engine, sink);
    if (in->len == 0)
        return STEP_MORE;
    if (in->len < TLS_HEADER_BYTES)
        return go_on_with_held(engine, sink);
    if (check_header(engine, in->p) != STEP_ON)
        return STEP_FAILED;
    whole = TLS_HEADER_BYTES + bytes_u16(in->p + 3);
    if (in->len < whole || !fits(sink, whole))
        return go_on_with_held(engine, sink);
    step = open_to_sink(engine, bytes_of(in->p, whole), sink);
    bytes_skip(in, whole);
    return step;
}

/* ---- the whole ---- */

/*
 * KeyUpdates of ours.  At most one waits in the caller's buffer: a peer that sends requests
 * and reads no answers cannot make us grow.  Others are sent with the next data at the latest.
 * RFC 8446 4.6.3: an answer has "request_update set to "update_not_requested"", so what we ask
 * for ourselves comes after it.
 */
static bool answer(struct tls_engine *engine)
{
    struct tls_session *session = &engine->session;
    uint64_t            limit = tls_aeads_records_per_key(tls_context_aeads(engine->context));
    bool                can_ask = !engine->kernel.sends || engine_policy(engine)->kernel.rekeys;
    bool asks = can_ask && session->read.sequence >= limit && !session->requested;

    if (engine->out->len == 0)
        session->answered = false;
    if (engine->closed || session->answered || !(session->answer_due || asks) ||
        buf_room(engine->out) < TLS_KEY_UPDATE_RECORD)
        return true;
    return tls_record_update(engine, !session->answer_due);
}

/*
 * 6: "Upon receiving an error alert, the TLS implementation [...] MUST NOT allow any further
 * data to be sent or received on the connection.  Servers and clients MUST forget the secret
 * values and keys established in failed connections".  6.2: "Upon transmission or receipt of a
 * fatal alert message, both parties MUST immediately close the connection"; "Whenever an
 * implementation encounters a fatal error condition, it SHOULD send an appropriate fatal alert
 * and MUST close the connection without sending or receiving any additional data."
 */
static enum tls_verdict end_failed(struct tls_engine *engine)
{
    tls_engine_fail(engine);
    tls_record_wipe(engine);
    return TLS_FAILED;
}

/* 6.1: "Any data received after a closure alert has been received MUST be ignored." */
static enum tls_verdict end_closed(struct tls_engine *engine)
{
    engine->state = ENGINE_PEER_CLOSED;
    bytes_skip(engine->in, engine->in->len);
    tls_held_free(&engine->held);
    tls_traffic_wipe(&engine->session.read, tls_context_aeads(engine->context));
    return TLS_CLOSED;
}

enum tls_verdict tls_record_read(struct tls_engine *engine, uint8_t *plain, size_t room,
                                 size_t *got)
{
    struct tls_sink sink = { plain, room };
    enum tls_step   step;

    if (room == 0)
        return TLS_DONE;
    do
        step = next_record(engine, &sink);
    while (step == STEP_ON);
    *got = room - sink.room;
    if (step == STEP_CLOSED)
        return end_closed(engine);
    if (step == STEP_FAILED || !answer(engine))
        return end_failed(engine);
    return step == STEP_FULL ? TLS_DONE : TLS_WANT_MORE;
}

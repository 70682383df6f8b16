/* SPDX-License-Identifier: PostgreSQL */
#include "sync/talk.h"

#define RAW_MOST  ((size_t)64 * 1024)
#define TURN_MOST ((size_t)16 * 1024)

enum fail talk_open(struct talk *talk, const struct address *address, uint64_t deadline_us,
                    struct failure *why)
{
    *talk = (struct talk){ .socket = BLOCKING_CLOSED,
                           .deadline_us = deadline_us,
                           .raw = BUF_LIMIT(RAW_MOST),
                           .out = BUF_LIMIT(TALK_MOST),
                           .plain = BUF_LIMIT(TALK_MOST) };
    leg_init(&talk->leg);
    return blocking_connect(&talk->socket, address, deadline_us, why);
}

static enum fail note(struct talk *talk, enum fail rc)
{
    talk->lacks_memory = talk->lacks_memory || rc == FAIL_MEMORY;
    return rc;
}

static enum fail flush(struct talk *talk, struct failure *why)
{
    struct bytes waiting = buf_bytes(&talk->out);
    enum fail    rc = blocking_send(&talk->socket, waiting, talk->deadline_us, why);

    buf_clear(&talk->out);
    return rc;
}

/* The leg knows best why it failed; an alert is still to be sent. */
static enum fail give_up(struct talk *talk, struct failure *why)
{
    const struct failure *reason = leg_failure(&talk->leg);

    if (reason != NULL && failed(reason))
        *why = *reason;
    else
        fail(why, FAIL_CLOSED, "the server closed the connection");
    (void)flush(talk, &(struct failure){ 0 });
    return why->kind;
}

static enum fail keep_plaintext(struct talk *talk, struct bytes plain, struct failure *why)
{
    buf_put(&talk->plain, plain);
    return buf_ok(&talk->plain) ? FAIL_NONE
                                : buf_failure(&talk->plain, FAIL_LIMIT,
                                              "the server sends more than can be kept", why);
}

/* Opens all that was received. */
static enum fail open_received(struct talk *talk, struct failure *why)
{
    struct bytes in = buf_bytes(&talk->raw);
    size_t       all = in.len;
    uint8_t      scratch[TURN_MOST];
    enum fail    rc = FAIL_NONE;

    for (;;) {
        struct bytes     plain = { NULL, 0 };
        enum leg_verdict verdict =
            leg_open(&talk->leg, &in, scratch, sizeof scratch, &plain, &talk->out);

        if (verdict == LEG_PLAINTEXT)
            rc = keep_plaintext(talk, plain, why);
        else if (verdict == LEG_FAILED)
            rc = give_up(talk, why);
        if (rc != FAIL_NONE || verdict == LEG_WANT_MORE || verdict == LEG_PEER_ENDED)
            break;
    }
    buf_skip(&talk->raw, all - in.len);
    return rc != FAIL_NONE ? rc : flush(talk, why);
}

/* One turn: waits for bytes and opens them. */
static enum fail take_turn(struct talk *talk, struct failure *why)
{
    enum fail rc =
        blocking_receive(&talk->socket, &talk->raw, TURN_MOST, talk->deadline_us, why);

    if (rc == FAIL_NONE)
        return open_received(talk, why);
    if (rc != FAIL_CLOSED)
        return rc;
    leg_transport_ended(&talk->leg, why->errnum != 0);
    if (talk->leg.state == LEG_HANDSHAKE) {
        int error = why->errnum;

        *why = *leg_failure(&talk->leg);
        why->errnum = error;
    }
    return FAIL_CLOSED;
}

/* A peer that closed has said why: an alert of TLS may be waiting. */
static enum fail hear_last_words(struct talk *talk, struct failure *why)
{
    struct failure last = { 0 };

    while (take_turn(talk, &last) == FAIL_NONE)
        ;
    if (last.kind == FAIL_TLS)
        *why = last;
    return why->kind;
}

enum fail talk_send(struct talk *talk, struct bytes plain, struct failure *why)
{
    enum fail rc = leg_seal(&talk->leg, plain, &talk->out);

    if (rc != FAIL_NONE)
        return note(talk, fail(why, rc, "the message cannot be sent any more"));
    rc = flush(talk, why);
    return note(talk, rc == FAIL_CLOSED ? hear_last_words(talk, why) : rc);
}

enum fail talk_send_message(struct talk *talk, const struct buf *message, struct failure *why)
{
    return buf_ok(message)
               ? talk_send(talk, buf_bytes(message), why)
               : note(talk, buf_failure(message, FAIL_LIMIT, "the message is too long", why));
}

enum fail talk_receive(struct talk *talk, struct failure *why)
{
    size_t    before = talk->plain.len;
    enum fail rc = FAIL_NONE;

    if (talk->raw.len > 0)
        rc = open_received(talk, why);
    while (rc == FAIL_NONE && talk->plain.len == before) {
        if (talk->leg.end != LEG_OPEN)
            return fail(why, FAIL_CLOSED, "the server closed the connection");
        rc = take_turn(talk, why);
    }
    return note(talk, rc);
}

enum fail talk_receive_byte(struct talk *talk, uint8_t *byte, struct failure *why)
{
    enum fail rc = blocking_receive(&talk->socket, &talk->raw, 1, talk->deadline_us, why);

    if (rc != FAIL_NONE)
        return note(talk, rc);
    *byte = buf_bytes(&talk->raw).p[0];
    buf_skip(&talk->raw, 1);
    return FAIL_NONE;
}

bool talk_hears(struct talk *talk, uint64_t wait_us)
{
    uint64_t until_us = clock_monotonic_us() + wait_us;

    return talk->raw.len > 0 || talk->plain.len > 0 ||
           blocking_is_readable(&talk->socket,
                                until_us < talk->deadline_us ? until_us : talk->deadline_us);
}

enum fail talk_start_tls(struct talk *talk, struct tls_context *context,
                         const struct tls_engine_options *options, struct failure *why)
{
    enum fail rc = leg_start_tls(&talk->leg, context, options, &talk->out, why);

    if (rc == FAIL_NONE)
        rc = flush(talk, why);
    while (rc == FAIL_NONE && talk->leg.state == LEG_HANDSHAKE)
        rc = take_turn(talk, why);
    if (rc == FAIL_TIMEOUT)
        fail_context(why, "TLS handshake");
    return note(talk, rc);
}

struct tls_engine *talk_engine(const struct talk *talk)
{
    return talk->leg.tls;
}

void talk_close(struct talk *talk)
{
    struct failure ignored = { 0 };

    if (talk->socket.fd >= 0) {
        leg_finish(&talk->leg, &talk->out);
        (void)flush(talk, &ignored);
    }
    leg_fini(&talk->leg);
    blocking_close(&talk->socket);
    buf_fini(&talk->raw);
    buf_fini(&talk->out);
    buf_fini(&talk->plain);
}

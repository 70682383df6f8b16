/* SPDX-License-Identifier: PostgreSQL */
#include "session/gate.h"

#include <stdio.h>

#include "base/text.h"
#include "pg/error_response.h"
#include "pg/opening.h"

enum question { ASKS_SSL, ASKS_GSS };

/* Where an N leads.  A question may be asked once: where the state would stay, it was. */
static const enum gate_state declined[][2] = {
    [GATE_FRESH] = { [ASKS_SSL] = GATE_SSL_DECLINED, [ASKS_GSS] = GATE_GSS_DECLINED },
    [GATE_SSL_DECLINED] = { [ASKS_SSL] = GATE_SSL_DECLINED, [ASKS_GSS] = GATE_BOTH_DECLINED },
    [GATE_GSS_DECLINED] = { [ASKS_SSL] = GATE_BOTH_DECLINED, [ASKS_GSS] = GATE_GSS_DECLINED },
    [GATE_BOTH_DECLINED] = { [ASKS_SSL] = GATE_BOTH_DECLINED, [ASKS_GSS] = GATE_BOTH_DECLINED },
};

void gate_init(struct gate *gate, enum gate_policy policy, enum gate_layer layer)
{
    *gate = (struct gate){ .policy = policy, .layer = layer, .state = GATE_FRESH };
}

static enum gate_verdict close_silently(struct gate *gate, const char *why)
{
    fail(&gate->failure, FAIL_PROTOCOL, "%s", why);
    return GATE_CLOSE_SILENTLY;
}

static enum gate_verdict refuse(struct gate *gate, struct buf *out, enum fail kind,
                                const struct error_response *error)
{
    fail(&gate->failure, kind, "%s", error->message);
    if (error->hint != NULL)
        fail_hint(&gate->failure, "%s", error->hint);
    error_response_write(out, error);
    return GATE_REFUSED;
}

/* Clients of protocol 2.0 and before know only an error without length and fields. */
static enum gate_verdict refuse_in_old_style(struct gate *gate, struct buf *out,
                                             const char *message)
{
    fail(&gate->failure, FAIL_PROTOCOL, "%s", message);
    buf_put_format(out, "EFATAL:  %s\n", message);
    buf_put_u8(out, 0);
    return GATE_REFUSED;
}

static enum gate_verdict on_unsupported(struct gate *gate, struct bytes in, struct buf *out)
{
    uint32_t code = opening_code(in);
    char     message[96];

    snprintf(message, sizeof message,
             "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
             (unsigned)(code >> 16), (unsigned)(code & 0xffff));
    if (code >> 16 < 3)
        return refuse_in_old_style(gate, out, message);
    return refuse(
        gate, out, FAIL_PROTOCOL,
        &(struct error_response){ .severity = "FATAL", .code = "0A000", .message = message });
}

/* The client must wait for N before it goes on in the clear (CVE-2021-23214). */
static enum gate_verdict refuse_early_bytes(struct gate *gate, enum question question,
                                            struct buf *out)
{
    return refuse(
        gate, out, FAIL_PROTOCOL,
        &(struct error_response){
            .severity = "FATAL",
            .code = "08P01",
            .message = question == ASKS_SSL
                           ? "received unencrypted data after SSL request"
                           : "received unencrypted data after GSSAPI encryption request",
            .detail = "This could be either a client-software bug or evidence of an "
                      "attempted man-in-the-middle attack." });
}

static enum gate_verdict on_question(struct gate *gate, enum question question,
                                     struct bytes *in, struct buf *out)
{
    enum gate_state next = declined[gate->state][question];

    if (gate->layer == GATE_INSIDE_NEGOTIATED_TLS || next == gate->state)
        return on_unsupported(gate, *in, out);

    bytes_skip(in, OPENING_REQUEST_LEN);
    if (question == ASKS_SSL && gate->layer == GATE_CLEAR && gate->policy != GATE_TLS_NEVER) {
        buf_put_u8(out, 'S');
        return GATE_START_TLS;
    }
    buf_put_u8(out, 'N');
    gate->state = next;
    return in->len > 0 ? refuse_early_bytes(gate, question, out) : GATE_WANT_MORE;
}

static enum gate_verdict on_client_hello(struct gate *gate)
{
    if (gate->layer != GATE_CLEAR)
        return close_silently(gate, "TLS inside TLS");
    if (gate->state != GATE_FRESH)
        return close_silently(gate, "TLS began after encryption was declined");
    if (gate->policy == GATE_TLS_NEVER)
        return close_silently(gate, "TLS from the first byte where no TLS is served");
    return GATE_START_DIRECT_TLS;
}

static enum gate_verdict on_startup(struct gate *gate, struct buf *out)
{
    if (gate->layer != GATE_CLEAR || gate->policy != GATE_TLS_REQUIRED)
        return GATE_STARTUP;
    return refuse(
        gate, out, FAIL_REFUSED,
        &(struct error_response){ .severity = "FATAL",
                                  .code = "28000",
                                  .message = "this server requires a TLS (SSL) connection",
                                  .hint = "connect with sslmode=require or stronger" });
}

static enum gate_verdict on_bad(struct gate *gate, struct bytes in)
{
    char first[40];

    text_escape(first, sizeof first, bytes_first(in, OPENING_REQUEST_LEN));
    fail(&gate->failure, FAIL_PROTOCOL, "not a PostgreSQL startup packet: it begins \"%s\"",
         first);
    return GATE_CLOSE_SILENTLY;
}

static enum gate_verdict step(struct gate *gate, struct bytes *in, struct buf *out)
{
    switch (opening_peek(*in)) {
    case OPENING_SHORT: return GATE_WANT_MORE;
    case OPENING_SSL: return on_question(gate, ASKS_SSL, in, out);
    case OPENING_GSS: return on_question(gate, ASKS_GSS, in, out);
    case OPENING_CANCEL: return GATE_CANCEL;
    case OPENING_STARTUP: return on_startup(gate, out);
    case OPENING_TLS_HELLO: return on_client_hello(gate);
    case OPENING_UNSUPPORTED: return on_unsupported(gate, *in, out);
    case OPENING_BAD: return on_bad(gate, *in);
    }
    return close_silently(gate, "not a PostgreSQL startup packet");
}

enum gate_verdict gate_feed(struct gate *gate, struct bytes *in, struct buf *out)
{
    enum gate_verdict verdict = step(gate, in, out);

    if (buf_ok(out))
        return verdict;
    fail(&gate->failure, FAIL_MEMORY, "out of memory");
    return GATE_CLOSE_SILENTLY;
}

/* SPDX-License-Identifier: PostgreSQL */
/* The client's pump: what it tells is for the file whose state it is, as in backend.c. */
#include "proxy/conversation_state.h"

void client_keep(struct conversation *c, struct bytes data)
{
    buf_put(&c->approach->pending, data);
    if (!buf_ok(&c->approach->pending))
        conversation_close(c, END_PROTOCOL);
}

/* The backend cannot take it yet.  Nothing that stands behind a cancel request is forwarded. */
static void keep_for_server(struct conversation *c, struct bytes data)
{
    if (!c->approach->is_cancel)
        client_keep(c, data);
}

static void log_in(struct conversation *c, struct bytes data)
{
    if (c->approach->hesitates)
        client_keep(c, data);
    else if (c->approach->bridge != NULL)
        bridging_from_client(c, data);
    else
        relaying_from_client(c, data);
}

/* A cancel request is carried out even if its sender does not wait for the end. */
static void leave(struct conversation *c)
{
    if (!c->approach->is_cancel)
        logging_in_client_left(c);
}

/* One that only stopped sending still reads our last words. */
static void has_read_enough(struct conversation *c)
{
    if (c->client.reset || (c->client.eof && pump_is_drained(&c->client)))
        conversation_close(c, c->reason);
}

/* By the state in which it comes; what a state has no word for, it does not mind. */
static const struct stage {
    void (*plaintext)(struct conversation *c, struct bytes data);
    void (*ended)(struct conversation *c); /* the client's direction, or the leg failed */
} stages[CONVERSATION_CLOSED + 1] = {
    [CONVERSATION_ACCEPTED] = { arrival_bytes, leave },
    [CONVERSATION_OPENING] = { arrival_bytes, leave },
    [CONVERSATION_CLIENT_TLS] = { NULL, arrival_handshake_ended },
    [CONVERSATION_RESOLVING] = { keep_for_server, leave },
    [CONVERSATION_CONNECTING] = { keep_for_server, leave },
    [CONVERSATION_ASKING] = { keep_for_server, leave },
    [CONVERSATION_BACKEND_TLS] = { keep_for_server, leave },
    [CONVERSATION_LOOKUP] = { keep_for_server, leave },
    [CONVERSATION_LOGIN] = { log_in, leave },
    [CONVERSATION_CANCEL_SENT] = { NULL, leave },
    [CONVERSATION_CANCELLING] = { NULL, leave },
    [CONVERSATION_RELAYING] = { relaying_from_client, relaying_client_ended },
    [CONVERSATION_ENDING] = { NULL, has_read_enough },
};

static struct conversation *of_client(struct pump *pump)
{
    return container_of(pump, struct conversation, client);
}

static void on_secured(struct pump *pump)
{
    arrival_secured(of_client(pump));
}

static void on_plaintext(struct pump *pump, struct bytes data)
{
    struct conversation *c = of_client(pump);

    if (stages[c->state].plaintext != NULL)
        stages[c->state].plaintext(c, data);
}

/* The bytes of one receive were handled: may the client send more? */
static void on_received(struct pump *pump)
{
    struct conversation *c = of_client(pump);

    if (c->state <= CONVERSATION_CLIENT_TLS) {
        pump_receive(&c->client, OPENING_RECEIVE);
    } else if (c->state < CONVERSATION_LOGIN ||
               (c->state == CONVERSATION_LOGIN && c->approach->hesitates)) {
        if (c->approach->pending.len < OPENING_RECEIVE)
            pump_receive(&c->client, OPENING_RECEIVE);
    } else {
        pump_flush(&c->backend);
        if (pump_is_drained(&c->backend))
            pump_receive(&c->client, 0);
    }
}

static void on_ended(struct pump *pump)
{
    struct conversation *c = of_client(pump);

    if (stages[c->state].ended != NULL)
        stages[c->state].ended(c);
}

static void on_drained(struct pump *pump)
{
    struct conversation *c = of_client(pump);

    if (c->state == CONVERSATION_LOGIN)
        pump_receive(&c->backend, 0);
    else if (c->state == CONVERSATION_RELAYING)
        relaying_drained(c);
    else if (c->state == CONVERSATION_ENDING && c->client.eof)
        conversation_close(c, c->reason);
}

static void on_broken(struct pump *pump, int error)
{
    conversation_close(of_client(pump), END_CLIENT_LOST);
}

static void on_closed(struct pump *pump)
{
    conversation_socket_closed(of_client(pump));
}

static void on_kernel(struct pump *pump, const struct failure *why)
{
    report_kernel(of_client(pump), true, why);
}

const struct pump_events client_events = {
    .secured = on_secured,
    .plaintext = on_plaintext,
    .received = on_received,
    .drained = on_drained,
    .ended = on_ended,
    .broken = on_broken,
    .closed = on_closed,
    .kernel = on_kernel,
};

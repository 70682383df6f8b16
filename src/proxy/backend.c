/* SPDX-License-Identifier: PostgreSQL */
/*
 * The backend's pump, and the clock until ReadyForQuery: what either tells is for the file
 * whose state it is.
 */
#include "proxy/conversation_state.h"

/* By the state in which it comes; what a state has no word for, it does not mind. */
static const struct stage {
    void (*plaintext)(struct conversation *c, struct bytes data);
    void (*ended)(struct conversation *c);     /* the server's direction, or the leg failed */
    void (*timed_out)(struct conversation *c); /* before login_timeout */
} stages[CONVERSATION_CLOSED + 1] = {
    [CONVERSATION_RESOLVING] = { .timed_out = dialing_name_timed_out },
    [CONVERSATION_CONNECTING] = { .timed_out = dialing_address_timed_out },
    [CONVERSATION_ASKING] = { greeting_answered, greeting_not_answered,
                              greeting_answer_timed_out },
    [CONVERSATION_BACKEND_TLS] = { NULL, greeting_ended, greeting_handshake_timed_out },
    [CONVERSATION_LOOKUP] = { looking_up_bytes, looking_up_ended, looking_up_timed_out },
    [CONVERSATION_LOGIN] = { .plaintext = logging_in_bytes, .ended = logging_in_ended },
    [CONVERSATION_CANCEL_SENT] = { NULL, dialing_leave, dialing_leave },
    [CONVERSATION_RELAYING] = { .plaintext = relaying_from_server,
                                .ended = relaying_server_ended },
};

static struct conversation *of_backend(struct pump *pump)
{
    return container_of(pump, struct conversation, backend);
}

static void on_connected(struct pump *pump, int error)
{
    struct conversation *c = of_backend(pump);

    if (c->state == CONVERSATION_CONNECTING)
        dialing_connected(c, error);
}

static void on_secured(struct pump *pump)
{
    greeting_secured(of_backend(pump));
}

static void on_plaintext(struct pump *pump, struct bytes data)
{
    struct conversation *c = of_backend(pump);

    if (stages[c->state].plaintext != NULL)
        stages[c->state].plaintext(c, data);
}

static void on_received(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    if (c->state == CONVERSATION_LOGIN || c->state == CONVERSATION_RELAYING) {
        pump_flush(&c->client);
        if (!pump_is_drained(&c->client))
            return;
    }
    pump_receive(&c->backend, 0);
}

static void on_ended(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    if (stages[c->state].ended != NULL)
        stages[c->state].ended(c);
}

static void on_drained(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    if (c->state == CONVERSATION_LOGIN && !c->approach->hesitates)
        pump_receive(&c->client, 0);
    else if (c->state == CONVERSATION_RELAYING)
        relaying_drained(c);
}

/* It cannot be written to, but what it said before may still be there: an error, and its end.
 */
static void on_broken(struct pump *pump, int error)
{
    pump_receive(pump, 0);
}

static void on_closed(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    if (c->state == CONVERSATION_CONNECTING)
        dialing_go_on(c);
    else
        conversation_socket_closed(c);
}

static void on_kernel(struct pump *pump, const struct failure *why)
{
    report_kernel(of_backend(pump), false, why);
}

const struct pump_events backend_events = {
    .connected = on_connected,
    .secured = on_secured,
    .plaintext = on_plaintext,
    .received = on_received,
    .drained = on_drained,
    .ended = on_ended,
    .broken = on_broken,
    .closed = on_closed,
    .kernel = on_kernel,
};

void backend_timed_out(struct conversation *c)
{
    struct failure why = { 0 };

    if (!conversation_login_is_over(c) && stages[c->state].timed_out != NULL) {
        stages[c->state].timed_out(c);
        return;
    }
    (void)fail(&why, FAIL_TIMEOUT, "the login was not finished within login_timeout");
    report_failure(c, EVENT_LIMIT_REACHED, conversation_state_name(c->state), &why);
    conversation_refuse(c, END_TIMEOUT_LOGIN, "57014",
                        "canceling authentication due to timeout", NULL);
}

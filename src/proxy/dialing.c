/* SPDX-License-Identifier: PostgreSQL */
/* The backend's side of a conversation, until ReadyForQuery. */
#include "proxy/conversation_state.h"

#include "pg/opening.h"
#include "session/dial.h"

#include <stdio.h>

#define ALPN "postgresql"

static struct conversation *of_backend(struct pump *pump)
{
    return container_of(pump, struct conversation, backend);
}

static const struct backend_settings *backend_settings(const struct conversation *c)
{
    return &c->rw->route->settings->backend;
}

/* ---- failures ---- */

/* The client learns that it failed; where and why is for the log. */
static void tell_client(struct conversation *c, enum end_reason reason)
{
    char hint[96];

    snprintf(hint, sizeof hint, "the log of the proxy has the reason: connection %llu",
             (unsigned long long)c->id);
    conversation_refuse(c, reason, "08001", "could not connect to the database server", hint);
}

static void unreachable(struct conversation *c, const struct failure *why)
{
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, conversation_state_name(c->state), why);
    tell_client(c, END_BACKEND_UNREACHABLE);
}

static void handshake_failed(struct conversation *c, const struct failure *why)
{
    pump_flush(&c->backend); /* an alert may wait */
    report_handshake_failed(c, false, why);
    tell_client(c, END_BACKEND_TLS_FAILED);
}

/* ---- connecting ---- */

static void connect_next(struct conversation *c)
{
    struct approach *a = c->approach;

    while (a->address_next < a->address_count) {
        const struct address *address = &a->addresses[a->address_next++];

        conversation_move(c, CONVERSATION_CONNECTING);
        if (pump_connect(&c->backend, c->rw->worker->loop, address,
                         &c->rw->route->stream_options, &a->failure) == FAIL_NONE)
            return;
    }
    unreachable(c, &a->failure);
}

static void on_resolved(struct resolve_request *request, const struct address *addresses,
                        size_t count, const struct failure *why)
{
    struct approach     *a = container_of(request, struct approach, request);
    struct conversation *c = a->conversation;

    a->resolving = false;
    if (count == 0) {
        unreachable(c, why);
        return;
    }
    a->address_count = count < RESOLVE_MOST ? count : RESOLVE_MOST;
    memcpy(a->addresses, addresses, a->address_count * sizeof *addresses);
    connect_next(c);
}

void dialing_start(struct conversation *c)
{
    struct approach    *a = c->approach;
    const struct route *route = c->rw->route;

    conversation_move(c, CONVERSATION_RESOLVING);
    if (!route->backend_is_unix) {
        a->resolving = true;
        a->request.resolved = on_resolved;
        resolver_start(c->rw->worker->resolver, &a->request, route->backend_host,
                       route->backend_port);
        return;
    }
    if (address_parse(&a->addresses[0], backend_settings(c)->address, &a->failure) !=
        FAIL_NONE) {
        unreachable(c, &a->failure);
        return;
    }
    a->address_count = 1;
    connect_next(c);
}

void dialing_forget(struct conversation *c)
{
    if (c->approach == NULL || !c->approach->resolving)
        return;
    c->approach->resolving = false;
    resolver_cancel(&c->approach->request);
}

/* An attempt failed: the next address is tried once this socket is closed. */
static void give_up_address(struct conversation *c, int error)
{
    char text[ADDRESS_TEXT];

    address_format(&c->approach->addresses[c->approach->address_next - 1], text);
    if (error != 0)
        (void)fail_errno(&c->approach->failure, error, "could not connect to %s", text);
    else
        (void)fail(&c->approach->failure, FAIL_TIMEOUT,
                   "could not connect to %s within connect_timeout", text);
    pump_close(&c->backend, true);
}

/* ---- the way to ReadyForQuery ---- */

static void send_cancel(struct conversation *c)
{
    conversation_move(c, CONVERSATION_CANCELLING);
    if (pump_write(&c->backend, buf_bytes(&c->approach->pending)) != FAIL_NONE) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    pump_flush(&c->backend);
    pump_receive(&c->backend, 0);
}

static void start_login(struct conversation *c)
{
    struct approach        *a = c->approach;
    const struct tls_facts *server = leg_facts(&c->backend.leg);
    const struct login_legs legs = {
        .client_tls = leg_facts(&c->client.leg) != NULL,
        .server_tls = server != NULL,
        .same_leaf = server != NULL && c->rw->route->own_leaf.len > 0 &&
                     tls_engine_peer_is(c->backend.leg.tls, c->rw->route->own_leaf),
    };
    struct bytes behind;

    conversation_move(c, CONVERSATION_LOGIN);
    login_init(&a->login, &legs);
    relay_init(&c->relay);
    behind = buf_bytes(&a->pending);
    bytes_skip(&behind, opening_length(behind));
    relay_from_client(&c->relay, behind);
    if (pump_write(&c->backend, buf_bytes(&a->pending)) != FAIL_NONE) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    buf_clear(&a->pending);
    pump_flush(&c->backend);
    pump_receive(&c->backend, 0);
    pump_receive(&c->client, 0);
}

static void backend_is_ready(struct conversation *c)
{
    if (c->approach->is_cancel)
        send_cancel(c);
    else
        start_login(c);
}

static void on_connected(struct pump *pump, int error)
{
    struct conversation *c = of_backend(pump);
    struct log_line      line;

    if (c->state != CONVERSATION_CONNECTING)
        return;
    if (error != 0) {
        give_up_address(c, error);
        return;
    }
    if (report_begin(&line, c, EVENT_BACKEND_CONNECT_OK))
        log_end(&line);
    if (c->rw->backend_context == NULL) {
        backend_is_ready(c);
        return;
    }
    conversation_move(c, CONVERSATION_ASKING);
    dial_ask_for_tls(pump_out(pump));
    pump_flush(pump);
    pump_receive(pump, 1); /* not one byte more: CVE-2021-23222 */
}

static void start_backend_tls(struct conversation *c, uint8_t answer)
{
    const struct tls_engine_options options = {
        .verify_name = backend_settings(c)->verify_name,
        .sni = backend_settings(c)->sni,
        .alpn = ALPN,
        .wall_s = loop_wall_s(c->rw->worker->loop),
    };
    struct bytes   nothing = { NULL, 0 };
    struct failure why = { 0 };

    if (dial_answer(answer, &why) != FAIL_NONE) {
        unreachable(c, &why);
        return;
    }
    conversation_move(c, CONVERSATION_BACKEND_TLS);
    if (pump_start_tls(&c->backend, c->rw->backend_context, &options, nothing, &why) !=
        FAIL_NONE)
        handshake_failed(c, &why);
}

static void on_secured(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    report_handshake(c, false);
    backend_is_ready(c);
}

/* ---- the login ---- */

/* Said once a route: every further login would say the same. */
static void report_binding(struct conversation *c)
{
    struct failure why = { 0 };

    if (!c->approach->login.binding_refused ||
        atomic_exchange(&c->rw->route->tally->binding_told, true))
        return;
    (void)fail(&why, FAIL_REFUSED,
               "the server refused SCRAM channel binding: the proxy's certificate is not the "
               "server's");
    fail_hint(&why,
              "let clients set channel_binding=disable, give the listener the server's own "
              "certificate and key, or connect to the backend without TLS");
    report_failure(c, EVENT_CHANNEL_BINDING, "login", &why);
}

static void login_is_ready(struct conversation *c, struct bytes behind)
{
    struct log_line line;

    c->ready_us = loop_now_us(c->rw->worker->loop);
    if (report_begin(&line, c, EVENT_AUTH_OK)) {
        log_text(&line, "user", c->user);
        log_text(&line, "database", c->database);
        log_end(&line);
    }
    relaying_start(c, behind);
}

static void login_is_broken(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_PROTOCOL, "the server broke the protocol: %s",
               c->approach->login.broken);
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, "login", &why);
    conversation_refuse(c, END_PROTOCOL, "08P01", "the database server broke the protocol",
                        NULL);
}

static void on_login_bytes(struct conversation *c, struct bytes in)
{
    struct buf         out = buffers_take(&c->rw->worker->buffers);
    enum login_verdict verdict = login_feed(&c->approach->login, &in, &out);
    enum fail          rc = out.len == 0 ? FAIL_NONE : pump_write(&c->client, buf_bytes(&out));
    bool               complete = buf_ok(&out);

    buffers_give(&c->rw->worker->buffers, &out);
    report_binding(c);
    if (rc != FAIL_NONE || !complete)
        conversation_close(c, END_NO_MEMORY);
    else if (verdict == LOGIN_READY)
        login_is_ready(c, in);
    else if (verdict == LOGIN_BROKEN)
        login_is_broken(c);
}

static void on_login_ended(struct conversation *c)
{
    const struct login   *login = &c->approach->login;
    const struct failure *tls = leg_failure(&c->backend.leg);
    struct failure        why = { 0 };

    /* TLS 1.3: a server tells that it refuses our certificate only after the handshake */
    if (tls != NULL && failed(tls) && c->backend.leg.state == LEG_BROKEN) {
        handshake_failed(c, tls);
        return;
    }
    if (login->has_error) {
        (void)fail(&why, FAIL_REFUSED, "the server refused the login: %s %s",
                   login->error_code[0] != '\0' ? login->error_code : "without a code",
                   login->error_message);
        report_failure(c, EVENT_AUTH_FAILED, "login", &why);
        conversation_end(c, END_AUTH_FAILED, true);
        return;
    }
    (void)fail(&why, FAIL_CLOSED, "the server closed the connection during the login");
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, "login", &why);
    conversation_refuse(c, END_SERVER_LOST, "08006",
                        "the database server closed the connection unexpectedly", NULL);
}

/* ---- events of the backend's pump ---- */

static void on_plaintext(struct pump *pump, struct bytes data)
{
    struct conversation *c = of_backend(pump);

    switch (c->state) {
    case CONVERSATION_ASKING: start_backend_tls(c, data.p[0]); break;
    case CONVERSATION_LOGIN: on_login_bytes(c, data); break;
    case CONVERSATION_RELAYING: relaying_from_server(c, data); break;
    default: break;
    }
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

static void on_handshake_ended(struct conversation *c)
{
    struct failure why = { 0 };

    if (leg_failure(&c->backend.leg) != NULL)
        why = *leg_failure(&c->backend.leg);
    if (!failed(&why))
        (void)fail(&why, FAIL_CLOSED, "the server closed the connection during the handshake");
    handshake_failed(c, &why);
}

static void on_ended(struct pump *pump)
{
    struct conversation *c = of_backend(pump);
    struct failure       why = { 0 };

    switch (c->state) {
    case CONVERSATION_ASKING:
        (void)dial_no_answer(&why);
        unreachable(c, &why);
        break;
    case CONVERSATION_BACKEND_TLS: on_handshake_ended(c); break;
    case CONVERSATION_LOGIN: on_login_ended(c); break;
    case CONVERSATION_CANCELLING: conversation_end(c, END_CANCEL_DONE, true); break;
    case CONVERSATION_RELAYING: relaying_server_ended(c); break;
    default: break;
    }
}

static void on_drained(struct pump *pump)
{
    struct conversation *c = of_backend(pump);

    if (c->state == CONVERSATION_LOGIN)
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
        connect_next(c);
    else
        conversation_socket_closed(c);
}

const struct pump_events dialing_events = {
    .connected = on_connected,
    .secured = on_secured,
    .plaintext = on_plaintext,
    .received = on_received,
    .drained = on_drained,
    .ended = on_ended,
    .broken = on_broken,
    .closed = on_closed,
};

static bool login_time_is_over(const struct conversation *c)
{
    uint64_t limit = c->rw->route->settings->limits.login_timeout_us;

    return limit != 0 && loop_now_us(c->rw->worker->loop) >= c->accepted_us + limit;
}

void dialing_timed_out(struct conversation *c)
{
    const char    *state = conversation_state_name(c->state);
    struct failure why = { 0 };

    if (login_time_is_over(c)) {
        (void)fail(&why, FAIL_TIMEOUT, "the login was not finished within login_timeout");
        report_failure(c, EVENT_LIMIT_REACHED, state, &why);
        conversation_refuse(c, END_TIMEOUT_LOGIN, "57014",
                            "canceling authentication due to timeout", NULL);
    } else if (c->state == CONVERSATION_CONNECTING) {
        give_up_address(c, 0);
    } else {
        (void)fail(&why, FAIL_TIMEOUT, "no answer within %s",
                   conversation_state_limit(c->state));
        report_failure(c, EVENT_BACKEND_CONNECT_FAILED, state, &why);
        tell_client(c, END_BACKEND_UNREACHABLE);
    }
}

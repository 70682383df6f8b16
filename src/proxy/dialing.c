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
    return &c->route->settings->backend;
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

/* The next address is tried once this socket is closed. */
static void leave_address(struct conversation *c)
{
    conversation_move(c, CONVERSATION_CONNECTING);
    pump_close(&c->backend, false);
}

/*
 * A session ends with the first server that answers badly.  A cancel request goes on: which one
 * of several has the session is not known, and where it fits none it does nothing.
 */
static void end_attempt(struct conversation *c, const struct failure *why,
                        enum end_reason reason)
{
    bool has_answered = c->state == CONVERSATION_ASKING || c->state == CONVERSATION_BACKEND_TLS;

    if (!c->approach->is_cancel || !has_answered) {
        tell_client(c, reason);
        return;
    }
    if (!failed(&c->approach->failure))
        c->approach->failure = *why;
    leave_address(c);
}

static void unreachable(struct conversation *c, const struct failure *why)
{
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, conversation_state_name(c->state), why);
    end_attempt(c, why, END_BACKEND_UNREACHABLE);
}

static void handshake_failed(struct conversation *c, const struct failure *why)
{
    pump_flush(&c->backend); /* an alert may wait */
    report_handshake_failed(c, false, why);
    end_attempt(c, why, END_BACKEND_TLS_FAILED);
}

/* ---- connecting ---- */

static uint64_t now_us(const struct conversation *c)
{
    return loop_now_us(c->rw->worker->loop);
}

static const struct address *current_address(const struct conversation *c)
{
    return &c->approach->addresses[c->approach->address_next - 1];
}

/* The place of the current address in approach->left_out; 0: it has none. */
static uint64_t place_of_address(const struct approach *a)
{
    size_t place = (a->target_next - 1) * RESOLVE_MOST + a->address_next - 1;

    return place < 64 ? UINT64_C(1) << place : 0;
}

/* The first round leaves out addresses that failed lately, the second one tries those. */
static bool is_due(struct conversation *c)
{
    struct approach *a = c->approach;
    uint64_t         place = place_of_address(a);

    if (a->is_broadcast)
        return true;
    if (a->second_round)
        return (a->left_out & place) != 0;
    if (!backoff_holds(&c->rw->backoff, current_address(c), a->dialing_us, now_us(c)))
        return true;
    a->left_out |= place;
    return place == 0;
}

/* Every address had its turn. */
static void exhausted(struct conversation *c)
{
    struct approach *a = c->approach;

    if (a->is_cancel && a->cancel_sent) {
        conversation_end(c, END_CANCEL_DONE, true);
        return;
    }
    (void)fail(&a->failure, FAIL_IO, "every address of the backend failed a moment ago");
    unreachable(c, &a->failure);
}

/* What another address said of plaintext counts no more. */
static void begin_anew(struct approach *a)
{
    a->plaintext_refused = false;
    buf_clear(&a->held);
}

/* Connects to the next address of the target that is due, or goes on to the next target. */
static void connect_next(struct conversation *c)
{
    struct approach      *a = c->approach;
    struct stream_options options = c->route->stream_options;

    options.source = route_source(c->route);
    while (a->address_next < a->address_count) {
        const struct address *address = &a->addresses[a->address_next++];

        if (!a->must_connect && !is_due(c))
            continue;
        if (!a->must_connect)
            begin_anew(a);
        a->must_connect = false;
        conversation_move(c, CONVERSATION_CONNECTING);
        if (pump_connect(&c->backend, c->rw->worker->loop, address, &options, &a->failure) ==
            FAIL_NONE)
            return;
    }
    dialing_next_target(c);
}

static void on_resolved(struct resolve_request *request, const struct address *addresses,
                        size_t count, const struct failure *why)
{
    struct approach     *a = container_of(request, struct approach, request);
    struct conversation *c = a->conversation;

    a->resolving = false;
    if (count == 0 && !failed(&a->failure))
        a->failure = *why;
    a->address_count = count < RESOLVE_MOST ? count : RESOLVE_MOST;
    if (count > 0)
        memcpy(a->addresses, addresses, a->address_count * sizeof *addresses);
    connect_next(c);
}

static void look_up_target(struct conversation *c)
{
    struct approach *a = c->approach;

    a->address_count = a->address_next = 0;
    conversation_move(c, CONVERSATION_RESOLVING);
    if (!c->target->is_unix) {
        a->resolving = true;
        a->request.resolved = on_resolved;
        resolver_start(c->rw->worker->resolver, &a->request, c->target->host, c->target->port);
        return;
    }
    if (address_parse(&a->addresses[0], c->target->text, &a->failure) == FAIL_NONE)
        a->address_count = 1;
    connect_next(c);
}

void dialing_next_target(struct conversation *c)
{
    struct approach *a = c->approach;

    if (a->target_next == c->route->target_count && a->left_out != 0 && !a->second_round) {
        a->second_round = true;
        a->target_next = 0;
    }
    while (a->target_next == c->route->target_count)
        if (!cancelling_next_backend(c)) {
            exhausted(c);
            return;
        }
    c->target = &c->route->targets[a->target_next++];
    look_up_target(c);
}

void dialing_start(struct conversation *c)
{
    c->approach->dialing_us = now_us(c);
    if (!c->approach->is_cancel)
        looking_up_decide(c);
    if (c->approach->address_count == 0) {
        dialing_next_target(c);
        return;
    }
    /* a cancel request, whose session is there and nowhere else */
    c->approach->must_connect = true;
    conversation_move(c, CONVERSATION_RESOLVING);
    connect_next(c);
}

void dialing_forget(struct conversation *c)
{
    if (c->approach == NULL || !c->approach->resolving)
        return;
    c->approach->resolving = false;
    resolver_cancel(&c->approach->request);
}

/* The look-up takes too long. */
static void give_up_name(struct conversation *c)
{
    (void)fail(&c->approach->failure, FAIL_TIMEOUT,
               "could not look up \"%s\" within connect_timeout", c->target->host);
    dialing_forget(c);
    dialing_next_target(c);
}

/* An attempt failed: the next address is tried once this socket is closed. */
static void give_up_address(struct conversation *c, int error)
{
    char text[ADDRESS_TEXT];

    address_format(current_address(c), text);
    backoff_failed(&c->rw->backoff, current_address(c), now_us(c));
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
    struct log_line line;

    conversation_move(c, CONVERSATION_CANCELLING);
    c->approach->cancel_sent = true;
    if (report_begin(&line, c, EVENT_CANCEL)) {
        log_text(&line, "result", "forwarded");
        log_text(&line, "backend", c->target->text);
        log_end(&line);
    }
    if (pump_write(&c->backend, buf_bytes(&c->approach->pending)) != FAIL_NONE) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    pump_flush(&c->backend);
    pump_receive(&c->backend, 0);
}

/* Sends what the client said and the server has not got yet; where the login is bridged, the
 * startup packet alone. */
static void forward_pending(struct conversation *c)
{
    struct approach *a = c->approach;
    struct bytes     rest = buf_bytes(&a->pending);
    size_t           startup = opening_length(rest);

    if (a->bridge != NULL)
        rest = bytes_first(rest, startup);
    bytes_skip(&rest, a->forwarded);
    if (a->forwarded > 0)
        relay_from_client(&c->relay, rest);
    else /* the startup packet is in front */
        relay_from_client(&c->relay, bytes_of(rest.p + startup, rest.len - startup));
    a->forwarded += rest.len;
    if (pump_write(&c->backend, rest) != FAIL_NONE) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    pump_flush(&c->backend);
}

/* The server is committed to: nothing will have to be said again. */
static void stop_hesitating(struct conversation *c)
{
    struct approach *a = c->approach;

    struct bytes behind;

    a->hesitates = false;
    forward_pending(c);
    behind = buf_bytes(&a->pending);
    bytes_skip(&behind, a->forwarded);
    if (a->bridge != NULL && c->state == CONVERSATION_LOGIN && behind.len > 0)
        bridging_from_client(c, behind);
    buf_clear(&a->pending);
    if (c->state == CONVERSATION_LOGIN)
        pump_receive(&c->client, 0);
}

static void start_login(struct conversation *c)
{
    struct approach *a = c->approach;

    conversation_move(c, CONVERSATION_LOGIN);
    if (!bridging_start(c))
        return;
    relay_init(&c->relay);
    a->forwarded = 0;
    a->hesitates =
        backend_settings(c)->sslmode == SSLMODE_ALLOW && leg_facts(&c->backend.leg) == NULL;
    pump_receive(&c->backend, 0);
    if (a->hesitates)
        forward_pending(c);
    else
        stop_hesitating(c);
}

static void backend_is_ready(struct conversation *c)
{
    if (c->approach->is_cancel)
        send_cancel(c);
    else if (c->approach->looks_up)
        looking_up_start(c);
    else
        start_login(c);
}

/* Is TLS asked for on this connection? */
static bool asks_for_tls(const struct conversation *c)
{
    int mode = backend_settings(c)->sslmode;

    return mode == SSLMODE_ALLOW ? c->approach->plaintext_refused : mode != SSLMODE_DISABLE;
}

static void start_backend_tls(struct conversation *c)
{
    const struct tls_engine_options options = {
        .verify_name = c->target->verify_name,
        .sni = c->target->sni,
        .alpn = ALPN,
        .wall_s = loop_wall_s(c->rw->worker->loop),
    };
    struct bytes   nothing = { NULL, 0 };
    struct failure why = { 0 };

    buf_clear(&c->approach->held); /* said in plaintext, overtaken by TLS */
    conversation_move(c, CONVERSATION_BACKEND_TLS);
    if (pump_start_tls(&c->backend, route_worker_backend_context(c->rw, c->route), &options,
                       nothing, &why) != FAIL_NONE)
        handshake_failed(c, &why);
}

static struct proxy_end end_of(const struct address *address)
{
    struct proxy_end end = { 0 };

    end.ip_len = address_ip(address, end.ip, &end.port);
    return end;
}

/* What version 2 tells of the client's TLS; `names` owns the common name. */
static struct proxy_header_tls describe_tls(const struct conversation *c,
                                            struct certificate_names  *names)
{
    const struct tls_facts *facts = leg_facts(&c->client.leg);
    struct proxy_header_tls tls = { 0 };
    struct failure          ignored = { 0 };

    if (facts == NULL)
        return tls;
    tls.version = facts->version;
    tls.cipher = facts->cipher;
    tls.is_verified = facts->peer_verified;
    /* a name that hides a NUL is none */
    if (tls_engine_peer_names(c->client.leg.tls, CERTIFICATE_CN, names, &ignored) ==
            FAIL_NONE &&
        names->count > 0)
        tls.common_name = names->items[0];
    return tls;
}

/* Before everything else, TLS included. */
static void send_proxy_header(struct conversation *c)
{
    enum proxy_protocol      version = (enum proxy_protocol)backend_settings(c)->proxy_protocol;
    struct address           peer = address_lengthen(&c->peer);
    struct proxy_header      header = { .source = end_of(&peer) };
    struct certificate_names names = { 0 };
    struct proxy_header_tls  tls;
    struct address           own;

    if (version == PROXY_PROTOCOL_OFF)
        return;
    if (stream_local_address(&c->client.stream, &own))
        header.destination = end_of(&own);
    tls = describe_tls(c, &names);
    proxy_header_write(pump_out(&c->backend), version, &header, &tls);
    certificate_names_fini(&names);
    pump_flush(&c->backend);
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
    backoff_worked(&c->rw->backoff, current_address(c));
    if (report_begin(&line, c, EVENT_BACKEND_CONNECT_OK))
        log_end(&line);
    send_proxy_header(c);
    if (!asks_for_tls(c)) {
        backend_is_ready(c);
        return;
    }
    if (backend_settings(c)->sslnegotiation == NEGOTIATE_DIRECT) {
        start_backend_tls(c);
        pump_receive(pump, 0);
        return;
    }
    conversation_move(c, CONVERSATION_ASKING);
    dial_ask_for_tls(pump_out(pump));
    pump_flush(pump);
    pump_receive(pump, 1); /* not one byte more: CVE-2021-23222 */
}

static void report_refusal(const struct conversation *c)
{
    const struct login *login = &c->approach->login;
    struct failure      why = { 0 };

    (void)fail(&why, FAIL_REFUSED, "the server refused the login: %s %s",
               login->error_code[0] != '\0' ? login->error_code : "without a code",
               login->error_message);
    report_failure(c, EVENT_AUTH_FAILED, "login", &why);
}

/* The server refused plaintext, has no TLS either, and has said why in plaintext. */
static void pass_refusal_on(struct conversation *c)
{
    report_refusal(c);
    (void)!pump_write(&c->client, buf_bytes(&c->approach->held));
    conversation_end(c, END_AUTH_FAILED, true);
}

static void on_answer(struct conversation *c, uint8_t answer)
{
    int            mode = backend_settings(c)->sslmode;
    struct failure why = { 0 };

    if (answer == 'N' && mode == SSLMODE_PREFER)
        backend_is_ready(c);
    else if (answer == 'N' && mode == SSLMODE_ALLOW && !c->approach->is_cancel)
        pass_refusal_on(c);
    else if (dial_answer(answer, &why) == FAIL_NONE)
        start_backend_tls(c);
    else
        unreachable(c, &why);
}

/* In direct TLS a server that is not PostgreSQL's would be talked to unawares (libpq's rule).
 */
static bool lacks_alpn(const struct conversation *c)
{
    return backend_settings(c)->sslnegotiation == NEGOTIATE_DIRECT &&
           leg_facts(&c->backend.leg)->alpn == NULL;
}

static void on_secured(struct pump *pump)
{
    struct conversation *c = of_backend(pump);
    struct failure       why = { 0 };

    report_handshake(c, false);
    if (lacks_alpn(c)) {
        (void)fail(&why, FAIL_REFUSED,
                   "the server did not choose the ALPN protocol postgresql");
        fail_hint(&why, "direct TLS needs PostgreSQL 17 or later; set backend.sslnegotiation = "
                        "\"postgres\"");
        handshake_failed(c, &why);
        return;
    }
    backend_is_ready(c);
}

/* ---- the login ---- */

/* Said once a route: every further login would say the same. */
static void report_binding(struct conversation *c)
{
    struct failure why = { 0 };

    if (!c->approach->login.binding_refused ||
        atomic_exchange(&c->route->tally->binding_told, true))
        return;
    (void)fail(&why, FAIL_REFUSED,
               "the server refused SCRAM channel binding: the proxy's certificate is not the "
               "server's");
    fail_hint(
        &why,
        "let clients set channel_binding=disable, give the proxy verifiers (auth_file), or "
        "the server's own certificate and key, or a backend without TLS");
    report_failure(c, EVENT_CHANNEL_BINDING, "login", &why);
}

static void login_is_ready(struct conversation *c, struct bytes behind)
{
    struct log_line line;

    c->ready_us = loop_now_us(c->rw->worker->loop);
    if (report_begin(&line, c, EVENT_AUTH_OK)) {
        log_text(&line, "user", c->user);
        log_text(&line, "database", c->database);
        log_text(&line, "scram", c->approach->was_bridged ? "bridged" : NULL);
        log_end(&line);
    }
    cancelling_enter(c);
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

/* These say nothing about TLS: another attempt would only repeat them (WIRE T18). */
static bool is_about_tls(const char *sqlstate)
{
    static const char *const others[] = { "53300", "57P03", "3D000" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(sqlstate, others[i]) == 0)
            return false;
    return true;
}

/* sslmode allow: plaintext was refused, so the same address is asked again with TLS. */
static void try_again_with_tls(struct conversation *c)
{
    c->approach->plaintext_refused = true;
    c->approach->hesitates = false;
    c->approach->address_next--;
    c->approach->must_connect = true;
    conversation_move(c, CONVERSATION_CONNECTING);
    pump_close(&c->backend, false);
}

/* It talks to this client, TLS or not. */
static bool has_decided(const struct login *login, enum login_verdict verdict)
{
    return login->auth_seen || verdict == LOGIN_READY;
}

/* Hands on what the server said; under `allow`, only once it is clear that TLS need not be
 * tried. */
static enum fail pass_on(struct conversation *c, struct bytes said, enum login_verdict verdict)
{
    struct approach *a = c->approach;
    enum fail        rc;

    if (a->hesitates && !has_decided(&a->login, verdict) && !a->login.has_error) {
        buf_put(&a->held, said);
        return buf_ok(&a->held) ? FAIL_NONE : FAIL_LIMIT;
    }
    rc = a->held.len == 0 ? FAIL_NONE : pump_write(&c->client, buf_bytes(&a->held));
    buf_clear(&a->held);
    if (rc == FAIL_NONE && said.len > 0)
        rc = pump_write(&c->client, said);
    return rc;
}

void dialing_release_held(struct conversation *c)
{
    struct buf *held = &c->approach->held;

    if (held->len > 0)
        (void)!pump_write(&c->client, buf_bytes(held));
    buf_clear(held);
}

static bool must_try_tls(const struct conversation *c)
{
    const struct login *login = &c->approach->login;

    return c->approach->hesitates && login->has_error && !login->auth_seen &&
           is_about_tls(login->error_code);
}

static void on_login_bytes(struct conversation *c, struct bytes in)
{
    struct approach   *a = c->approach;
    struct buf         out = buffers_take(&c->rw->worker->buffers);
    enum login_verdict verdict = a->bridge != NULL ? bridging_from_server(c, &in, &out)
                                                   : login_feed(&a->login, &in, &out);
    bool               complete = buf_ok(&out);
    enum fail          rc = FAIL_NONE;

    if (must_try_tls(c))
        buf_put(&a->held, buf_bytes(&out));
    else
        rc = pass_on(c, buf_bytes(&out), verdict);
    buffers_give(&c->rw->worker->buffers, &out);
    report_binding(c);
    if (rc != FAIL_NONE || !complete) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    if (must_try_tls(c)) {
        try_again_with_tls(c);
        return;
    }
    if (!bridging_goes_on(c))
        return;
    if (a->hesitates && has_decided(&a->login, verdict))
        stop_hesitating(c);
    if (c->state != CONVERSATION_LOGIN)
        return;
    if (verdict == LOGIN_READY)
        login_is_ready(c, in);
    else if (verdict == LOGIN_BROKEN)
        login_is_broken(c);
}

void dialing_client_left(struct conversation *c)
{
    bool refused = c->state == CONVERSATION_LOGIN && c->approach->login.has_error;

    if (refused)
        report_refusal(c);
    conversation_close(c, refused ? END_AUTH_FAILED : END_CLIENT_CLOSED);
}

static void on_login_ended(struct conversation *c)
{
    const struct failure *tls = leg_failure(&c->backend.leg);
    struct failure        why = { 0 };

    /* TLS 1.3: a server tells that it refuses our certificate only after the handshake */
    if (tls != NULL && failed(tls) && c->backend.leg.state == LEG_BROKEN) {
        handshake_failed(c, tls);
        return;
    }
    if (c->approach->login.has_error) {
        report_refusal(c);
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
    case CONVERSATION_ASKING: on_answer(c, data.p[0]); break;
    case CONVERSATION_LOOKUP: looking_up_bytes(c, data); break;
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
    case CONVERSATION_LOOKUP:
        (void)fail(&why, FAIL_CLOSED, "auth_query: the server closed the connection");
        looking_up_failed(c, &why);
        break;
    case CONVERSATION_LOGIN: on_login_ended(c); break;
    case CONVERSATION_CANCELLING: leave_address(c); break;
    case CONVERSATION_RELAYING: relaying_server_ended(c); break;
    default: break;
    }
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
    uint64_t limit = c->route->settings->limits.login_timeout_us;

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
    } else if (c->state == CONVERSATION_RESOLVING) {
        give_up_name(c);
    } else if (c->state == CONVERSATION_CONNECTING) {
        give_up_address(c, 0);
    } else if (c->state == CONVERSATION_CANCELLING) {
        leave_address(c);
    } else if (c->state == CONVERSATION_LOOKUP) {
        (void)fail(&why, FAIL_TIMEOUT, "auth_query: no answer within connect_timeout");
        looking_up_failed(c, &why);
    } else if (c->state == CONVERSATION_BACKEND_TLS) {
        (void)fail(&why, FAIL_TIMEOUT,
                   "the handshake was not finished within handshake_timeout");
        handshake_failed(c, &why);
    } else {
        (void)fail(&why, FAIL_TIMEOUT, "no answer within %s",
                   conversation_state_limit(c->state));
        report_failure(c, EVENT_BACKEND_CONNECT_FAILED, state, &why);
        tell_client(c, END_BACKEND_UNREACHABLE);
    }
}

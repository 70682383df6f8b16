/* SPDX-License-Identifier: PostgreSQL */
/* A client that arrives, until its startup packet is accepted. */
#include "proxy/conversation_state.h"

#include "pg/opening.h"
#include "session/gate.h"

#include <stdlib.h>

#define ALPN "postgresql"

/* ---- limits ---- */

static void report_limit(const struct conversation *c, const char *limit, uint64_t value)
{
    struct log_line line;

    if (report_begin(&line, c, EVENT_LIMIT_REACHED)) {
        log_text(&line, "limit", limit);
        log_number(&line, "value", value);
        log_end(&line);
    }
}

/* One of handshakes_per_second. */
static bool take_handshake(struct conversation *c)
{
    uint64_t limit = c->route->settings->limits.handshakes_per_second;

    if (route_take_handshake(c->route, conversation_now_us(c)))
        return true;
    report_limit(c, "handshakes_per_second", limit);
    return false;
}

/* ---- verdicts of the gate ---- */

static void start_tls(struct conversation *c, enum negotiation negotiation)
{
    const struct tls_engine_options options = {
        .alpn = ALPN,
        .wall_s = loop_wall_s(c->rw->worker->loop),
    };
    /* Bytes that came early belong to TLS.  They leave `pending` first, since
     * plaintext is put there while they are read. */
    struct buf     early = c->approach->pending;
    struct failure why = { 0 };

    buf_init(&c->approach->pending, PENDING_LIMIT);
    c->negotiation = negotiation;
    conversation_move(c, CONVERSATION_CLIENT_TLS);
    if (pump_start_tls(&c->client, c->rw->client_context, &options, buf_bytes(&early), &why) !=
        FAIL_NONE) {
        report_handshake_failed(c, true, &why);
        conversation_close(c, END_CLIENT_TLS_FAILED);
    }
    buf_fini(&early);
}

static void refuse_tls(struct conversation *c, enum negotiation negotiation, const char *what,
                       const char *hint)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_REFUSED, "%s", what);
    fail_hint(&why, "%s", hint);
    c->negotiation = negotiation;
    report_handshake_failed(c, true, &why);
}

static void on_client_hello(struct conversation *c)
{
    if (c->route->settings->listener.direct_tls == DIRECT_TLS_REFUSE) {
        refuse_tls(c, NEGOTIATION_DIRECT,
                   "the client started TLS without SSLRequest (direct TLS), and "
                   "listener.direct_tls is refuse",
                   "set sslnegotiation=postgres at the client");
        conversation_end(c, END_DIRECT_TLS, false);
        return;
    }
    if (take_handshake(c))
        start_tls(c, NEGOTIATION_DIRECT);
    else /* it could not read an error in the clear */
        conversation_end(c, END_MAX_HANDSHAKES, false);
}

static bool take_session(struct conversation *c)
{
    const struct limit_settings *limits = &c->route->settings->limits;

    if (c->is_over) {
        report_limit(c, "max_connections_per_ip", limits->max_connections_per_ip);
        conversation_refuse(c, END_MAX_PER_IP, "53300",
                            "too many connections from your address",
                            "limits.max_connections_per_ip of the proxy is reached");
        return false;
    }
    c->holds_session = route_take_session(c->route);
    if (c->holds_session)
        return true;
    report_limit(c, "max_connections", limits->max_connections);
    conversation_refuse(c, END_MAX_CONNECTIONS, "53300", "sorry, too many clients already",
                        "limits.max_connections of the proxy is reached");
    return false;
}

/* `prefer` lets it, and says so. */
static void came_in_plaintext(struct conversation *c)
{
    struct log_line line;

    c->negotiation = NEGOTIATION_PLAINTEXT;
    if (c->route->settings->listener.sslmode == SSLMODE_PREFER &&
        report_begin(&line, c, EVENT_CLIENT_PLAINTEXT))
        log_end(&line);
}

static void on_startup(struct conversation *c)
{
    struct startup startup;
    struct failure why = { 0 };

    pending_prove(c);
    if (c->negotiation == NEGOTIATION_NONE)
        came_in_plaintext(c);
    if (startup_read(&startup, buf_bytes(&c->approach->pending), &why) != FAIL_NONE) {
        report_failure(c, EVENT_AUTH_FAILED, "startup", &why);
        conversation_refuse(c, END_PROTOCOL, startup_failure_code(&why), why.text, NULL);
        return;
    }
    c->user = strdup(startup.user);
    c->database = strdup(startup.database);
    if (c->user == NULL || c->database == NULL) {
        conversation_refuse(c, END_NO_MEMORY, "53200", "out of memory", NULL);
        return;
    }
    if (certificate_check(c) && take_session(c))
        dialing_start(c);
}

/* In the clear only where the route says so; with a certificate where one is demanded. */
static const char *why_no_cancel(const struct conversation *c)
{
    const struct listener_settings *listener = &c->route->settings->listener;
    const struct tls_facts         *facts = leg_facts(&c->client.leg);

    if (facts == NULL)
        return listener->cancel == CANCEL_TLS_ONLY
                   ? "in the clear, and listener.cancel is tls-only"
                   : NULL;
    if (listener->sslmode >= SSLMODE_VERIFY_CA && !facts->peer_presented)
        return "without a client certificate";
    return NULL;
}

static void on_cancel(struct conversation *c)
{
    struct buf     *pending = &c->approach->pending;
    const char     *no = why_no_cancel(c);
    struct log_line line;

    c->approach->is_cancel = true;
    if (c->negotiation == NEGOTIATION_NONE)
        c->negotiation = NEGOTIATION_PLAINTEXT;
    /* what stands behind it (a Terminate, say) is not forwarded */
    pending->len = opening_length(buf_bytes(pending));
    if (no == NULL)
        no = cancelling_start(c);
    if (no == NULL)
        return;
    if (report_begin(&line, c, EVENT_CANCEL)) {
        log_text(&line, "result", "refused");
        log_text(&line, "reason", no);
        log_end(&line);
    }
    conversation_end(c, END_CANCEL_REFUSED, true);
}

static void on_refused(struct conversation *c)
{
    report_failure(c, EVENT_AUTH_FAILED, "opening", gate_failure(&c->approach->gate));
    conversation_end(c, END_REFUSED, true);
}

/* Instead of S, the answer to SSLRequest may be an error. */
static bool may_start_tls(struct conversation *c)
{
    if (c->route->settings->listener.direct_tls == DIRECT_TLS_REQUIRE) {
        refuse_tls(c, NEGOTIATION_SSLREQUEST,
                   "the client asked for TLS with SSLRequest, and listener.direct_tls is "
                   "require",
                   "set sslnegotiation=direct at the client");
        conversation_refuse(c, END_REFUSED, "28000", "this listener takes direct TLS only",
                            "connect with sslnegotiation=direct");
        return false;
    }
    if (take_handshake(c))
        return true;
    conversation_refuse(c, END_MAX_HANDSHAKES, "53300", "too many TLS handshakes at once",
                        "limits.handshakes_per_second of the proxy is reached");
    return false;
}

/* Lets the gate look at what waits and acts on its verdict. */
static void ask_gate(struct conversation *c)
{
    struct approach  *a = c->approach;
    struct bytes      in = buf_bytes(&a->pending);
    struct buf        answer = BUF_LIMIT(2048);
    enum gate_verdict verdict = gate_feed(&a->gate, &in, &answer);

    if (verdict == GATE_START_TLS && !may_start_tls(c)) {
        buf_fini(&answer);
        return;
    }
    buf_skip(&a->pending, a->pending.len - in.len);
    if (!buf_ok(&answer) ||
        (answer.len > 0 && pump_write(&c->client, buf_bytes(&answer)) != FAIL_NONE)) {
        buf_fini(&answer);
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    buf_fini(&answer);
    switch (verdict) {
    case GATE_WANT_MORE: break;
    case GATE_START_TLS: start_tls(c, NEGOTIATION_SSLREQUEST); break;
    case GATE_START_DIRECT_TLS: on_client_hello(c); break;
    case GATE_STARTUP: on_startup(c); break;
    case GATE_CANCEL: on_cancel(c); break;
    case GATE_REFUSED: on_refused(c); break;
    case GATE_CLOSE_SILENTLY: conversation_close(c, END_NOT_POSTGRESQL); break;
    }
}

/* ---- what the client sends ---- */

/* From here on the client is the one that the proxy tells of. */
static void adopt_source(struct conversation *c, const struct proxy_end *source)
{
    struct address client;

    if (!address_from_ip(&client, source->ip, source->ip_len, source->port))
        return; /* a health check of the proxy itself */
    c->via = c->peer;
    c->peer = address_shorten(&client);
}

/* The header counts as no byte of the client: first_byte_timeout goes on behind it. */
static void read_proxy_header(struct conversation *c)
{
    struct approach    *a = c->approach;
    struct bytes        in = buf_bytes(&a->pending);
    struct proxy_header header;

    if (c->state != CONVERSATION_ACCEPTED)
        return;
    switch (proxy_header_read(
        &header, (enum proxy_protocol)c->route->settings->listener.proxy_protocol, &in)) {
    case PROXY_HEADER_WANT_MORE: return;
    case PROXY_HEADER_BAD: conversation_close(c, END_BAD_PROXY_HEADER); return;
    case PROXY_HEADER_DONE: break;
    }
    c->client.received_bytes = in.len; /* those of the client */
    buf_skip(&a->pending, a->pending.len - in.len);
    a->awaits_header = false;
    adopt_source(c, &header.source);
    if (!conversation_admit(c) || a->pending.len == 0)
        return;
    conversation_move(c, CONVERSATION_OPENING);
    ask_gate(c);
}

void arrival_bytes(struct conversation *c, struct bytes data)
{
    client_keep(c, data);
    if (c->state == CONVERSATION_ACCEPTED) {
        if (c->approach->awaits_header) {
            read_proxy_header(c);
            return;
        }
        conversation_move(c, CONVERSATION_OPENING);
    }
    if (c->state == CONVERSATION_OPENING)
        ask_gate(c);
}

/* ---- the handshake ---- */

/* The one that the ClientHello named: its rules and its server are those from here on. */
static void choose_host(struct conversation *c)
{
    int host = tls_engine_host(c->client.leg.tls);

    if (host >= 0)
        c->route = c->rw->route->hosts[host];
}

/* Direct TLS without our ALPN could be another protocol's: PostgreSQL finishes the handshake
 * and closes without a word, and so do we. */
static void demand_alpn(struct conversation *c)
{
    if (c->negotiation != NEGOTIATION_DIRECT || leg_facts(&c->client.leg)->alpn != NULL)
        return;
    refuse_tls(c, NEGOTIATION_DIRECT, "direct TLS without the ALPN protocol postgresql",
               "is this a PostgreSQL client?");
    conversation_end(c, END_DIRECT_TLS, true);
}

void arrival_secured(struct conversation *c)
{
    report_handshake(c, true);
    pending_prove(c);
    choose_host(c);
    gate_init(&c->approach->gate, c->route->gate_policy,
              c->negotiation == NEGOTIATION_DIRECT ? GATE_INSIDE_DIRECT_TLS
                                                   : GATE_INSIDE_NEGOTIATED_TLS);
    conversation_move(c, CONVERSATION_OPENING);
    demand_alpn(c);
}

void arrival_handshake_ended(struct conversation *c)
{
    struct failure why = { 0 };

    if (leg_failure(&c->client.leg) != NULL)
        why = *leg_failure(&c->client.leg);
    if (!failed(&why))
        (void)fail(&why, FAIL_CLOSED, "the client closed the connection during the handshake");
    report_handshake_failed(c, true, &why);
    conversation_end(c, END_CLIENT_TLS_FAILED, false);
}

void arrival_timed_out(struct conversation *c)
{
    struct failure why = { 0 };

    bool is_over = conversation_login_is_over(c); /* it includes the others */

    if (c->state == CONVERSATION_ACCEPTED) {
        conversation_close(c, is_over ? END_TIMEOUT_LOGIN : END_TIMEOUT_FIRST_BYTE);
        return;
    }
    if (c->state == CONVERSATION_CLIENT_TLS) {
        (void)fail(&why, FAIL_TIMEOUT, "the handshake was not finished within %s",
                   is_over ? "login_timeout" : "handshake_timeout");
        report_handshake_failed(c, true, &why);
        conversation_close(c, is_over ? END_TIMEOUT_LOGIN : END_TIMEOUT_HANDSHAKE);
        return;
    }
    (void)fail(&why, FAIL_TIMEOUT, "no whole startup packet within login_timeout");
    report_failure(c, EVENT_LIMIT_REACHED, "opening", &why);
    conversation_close(c, END_TIMEOUT_LOGIN);
}

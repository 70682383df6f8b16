/* SPDX-License-Identifier: PostgreSQL */
/* A login: the client's startup packet at the server, until ReadyForQuery. */
#include "proxy/conversation_state.h"

#include "pg/opening.h"

/* ---- the client's words ---- */

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
    struct bytes     behind;

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

void logging_in_start(struct conversation *c)
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

/* ---- what came of it ---- */

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

static void report_refusal(const struct conversation *c)
{
    const struct login *login = &c->approach->login;
    struct failure      why = { 0 };

    (void)fail(&why, FAIL_REFUSED, "the server refused the login: %s %s",
               login->error_code[0] != '\0' ? login->error_code : "without a code",
               login->error_message);
    report_failure(c, EVENT_AUTH_FAILED, "login", &why);
}

static void is_ready(struct conversation *c, struct bytes behind)
{
    struct log_line line;

    c->ready_us = conversation_now_us(c);
    if (report_begin(&line, c, EVENT_AUTH_OK)) {
        log_text(&line, "user", c->user);
        log_text(&line, "database", c->database);
        log_text(&line, "scram", c->approach->was_bridged ? "bridged" : NULL);
        log_end(&line);
    }
    cancelling_enter(c);
    relaying_start(c, behind);
}

static void is_broken(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_PROTOCOL, "the server broke the protocol: %s",
               c->approach->login.broken);
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, "login", &why);
    conversation_refuse(c, END_PROTOCOL, "08P01", "the database server broke the protocol",
                        NULL);
}

/* ---- sslmode allow ---- */

/* These say nothing about TLS: another attempt would only repeat them. */
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
    dialing_repeat(c);
}

void logging_in_begin_anew(struct approach *a)
{
    a->plaintext_refused = false;
    buf_clear(&a->held);
}

void logging_in_pass_refusal_on(struct conversation *c)
{
    report_refusal(c);
    (void)!pump_write(&c->client, buf_bytes(&c->approach->held));
    conversation_end(c, END_AUTH_FAILED, true);
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

void logging_in_release_held(struct conversation *c)
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

/* ---- the server's words ---- */

void logging_in_bytes(struct conversation *c, struct bytes in)
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
        is_ready(c, in);
    else if (verdict == LOGIN_BROKEN)
        is_broken(c);
}

/* It has asked for something that is to be answered behind ReadyForQuery. */
static bool has_asked(const struct conversation *c)
{
    struct bytes        said = buf_bytes(&c->approach->pending);
    struct frame_hopper asked = c->relay.client;

    if (said.len > 0) {
        bytes_skip(&said, opening_length(said));
        frame_hopper_init_client(&asked);
        (void)frame_hop(&asked, said);
    }
    return asked.count > 0;
}

/* A whole session may come in one flight: then the client has ended its direction only. */
static bool is_half_closed(const struct conversation *c)
{
    return c->client.leg.end == LEG_ENDED && c->approach->bridge == NULL &&
           c->state >= CONVERSATION_RESOLVING && has_asked(c);
}

void logging_in_client_left(struct conversation *c)
{
    bool refused = c->state == CONVERSATION_LOGIN && c->approach->login.has_error;

    if (!refused && is_half_closed(c))
        return; /* relaying_start() passes it on */
    if (!refused && conversation_client_is_broken(c))
        return;
    if (refused)
        report_refusal(c);
    conversation_close(c, refused ? END_AUTH_FAILED : END_CLIENT_CLOSED);
}

void logging_in_ended(struct conversation *c)
{
    const struct failure *tls = leg_failure(&c->backend.leg);
    struct failure        why = { 0 };

    /* TLS 1.3: a server tells that it refuses our certificate only after the handshake */
    if (tls != NULL && failed(tls) && c->backend.leg.state == LEG_BROKEN) {
        greeting_failed(c, tls);
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

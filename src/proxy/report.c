/* SPDX-License-Identifier: PostgreSQL */
/* The log lines of a conversation. */
#include "proxy/conversation_state.h"

#include "tls/kernel.h"

static const char *const negotiations[] = {
    [NEGOTIATION_NONE] = "none",
    [NEGOTIATION_PLAINTEXT] = "plaintext",
    [NEGOTIATION_SSLREQUEST] = "sslrequest",
    [NEGOTIATION_DIRECT] = "direct",
};

static void put_head(struct log_line *line, const struct conversation *c)
{
    struct address client = address_lengthen(&c->peer);
    struct address via = address_lengthen(&c->via);
    char           peer[ADDRESS_TEXT];

    log_text(line, "route", c->route->settings->name);
    log_number(line, "conn", c->id);
    log_text(line, "client", address_format(&client, peer));
    if (c->via.is_set)
        log_text(line, "client_via", address_format(&via, peer));
}

bool report_begin(struct log_line *line, const struct conversation *c, enum log_event event)
{
    if (!log_begin(line, c->rw->worker->log, event))
        return false;
    put_head(line, c);
    if (event == EVENT_BACKEND_CONNECT_OK || event == EVENT_BACKEND_CONNECT_FAILED)
        log_text(line, "backend", c->target != NULL ? c->target->text : NULL);
    return true;
}

static void put_certificate(struct log_line *line, const struct tls_facts *facts)
{
    log_text(line, "cert_subject", facts->peer_subject);
    log_text(line, "cert_serial", facts->peer_serial);
    log_text(line, "cert_fingerprint", facts->peer_fingerprint);
}

static void put_client_tls(struct log_line *line, const struct tls_facts *facts)
{
    if (facts == NULL)
        return;
    log_text(line, "sni", facts->sni);
    log_text(line, "alpn", facts->alpn);
    log_text(line, "tls_version", facts->version);
    log_text(line, "tls_cipher", facts->cipher);
    log_text(line, "tls_group", facts->group);
    log_flag(line, "tls_resumed", facts->resumed);
    put_certificate(line, facts);
}

static void put_backend_tls(struct log_line *line, const struct tls_facts *facts)
{
    if (facts != NULL) {
        log_text(line, "backend_tls_version", facts->version);
        log_text(line, "backend_tls_cipher", facts->cipher);
    }
    log_flag(line, "backend_verified", facts != NULL && facts->peer_verified);
}

static void put_session(struct log_line *line, const struct conversation *c, uint64_t now)
{
    char user[256], database[256];

    if (c->user != NULL && c->database != NULL) {
        text_escape(user, sizeof user, bytes_of_string(c->user));
        text_escape(database, sizeof database, bytes_of_string(c->database));
        log_text(line, "user", user);
        log_text(line, "database", database);
    }
    log_number(line, "queries", relay_queries(&c->relay));
    log_number(line, "bytes_in", c->client.received_bytes);
    log_number(line, "bytes_out", c->client.sent_bytes);
    if (c->ready_us != 0)
        log_number(line, "login_ms", (c->ready_us - c->accepted_us) / 1000);
    log_number(line, "duration_ms", (now - c->accepted_us) / 1000);
}

void report_end(const struct conversation *c)
{
    bool            empty = c->client.received_bytes == 0 && c->reason == END_CLIENT_CLOSED;
    struct log_line line;

    if (!log_begin_at(&line, c->rw->worker->log, EVENT_CONNECTION_END,
                      empty ? LOG_DEBUG : LOG_INFO))
        return;
    put_head(&line, c);
    log_text(&line, "negotiation", negotiations[c->negotiation]);
    put_client_tls(&line, leg_facts(&c->client.leg));
    if (c->holds_session) {
        log_text(&line, "backend", c->target != NULL ? c->target->text : NULL);
        put_backend_tls(&line, leg_facts(&c->backend.leg));
    }
    put_session(&line, c, conversation_now_us(c));
    log_text(&line, "reason", end_reason_row(c->reason)->name);
    log_end(&line);
}

/* By its source the server knows the session: client_port of pg_stat_activity. */
void report_connected(const struct conversation *c)
{
    struct address  source;
    struct log_line line;
    char            text[ADDRESS_TEXT];

    if (!report_begin(&line, c, EVENT_BACKEND_CONNECT_OK))
        return;
    if (stream_local_address(&c->backend.stream, &source) && !address_is_unix(&source))
        log_text(&line, "source", address_format(&source, text));
    log_end(&line);
}

void report_handshake(const struct conversation *c, bool is_client)
{
    const struct tls_facts *facts = leg_facts(is_client ? &c->client.leg : &c->backend.leg);
    struct log_line         line;

    if (facts == NULL || !report_begin(&line, c, EVENT_TLS_HANDSHAKE_OK))
        return;
    log_text(&line, "leg", is_client ? "client" : "backend");
    log_text(&line, "tls_version", facts->version);
    log_text(&line, "tls_cipher", facts->cipher);
    log_text(&line, "tls_group", facts->group);
    log_text(&line, "record_layer", facts->record_layer);
    put_certificate(&line, facts);
    log_end(&line);
}

/* The refusal once a route and leg: every connection would say the same. */
void report_kernel(const struct conversation *c, bool is_client, const struct failure *why)
{
    const struct leg *leg = is_client ? &c->client.leg : &c->backend.leg;
    const char       *layer = tls_engine_facts(leg->tls)->record_layer;
    bool              is_kernels = strcmp(layer, "kernel") == 0;
    struct log_line   line;

    if (is_kernels && report_begin(&line, c, EVENT_TLS_KERNEL)) {
        log_text(&line, "leg", is_client ? "client" : "backend");
        log_flag(&line, "receives", tls_kernel_receives(leg->tls));
        log_end(&line);
    }
    if (!failed(why) || atomic_exchange(&c->route->tally->kernel_told[is_client], true) ||
        !report_begin(&line, c, EVENT_RECORD_LAYER_REFUSED))
        return;
    log_text(&line, "leg", is_client ? "client" : "backend");
    log_text(&line, "record_layer", is_kernels ? "kernel, for sending" : layer);
    log_failure(&line, why);
    log_end(&line);
}

static void put_alerts(struct log_line *line, const struct tls_engine *engine)
{
    if (engine == NULL)
        return;
    log_text(line, "sni", tls_engine_facts(engine)->sni);
    log_text(line, "alert_sent", tls_alert_name(tls_engine_alert_sent(engine)));
    log_text(line, "alert_received", tls_alert_name(tls_engine_alert_received(engine)));
}

void report_handshake_failed(const struct conversation *c, bool is_client,
                             const struct failure *why)
{
    struct log_line line;

    if (!report_begin(&line, c, EVENT_TLS_HANDSHAKE_FAILED))
        return;
    log_text(&line, "leg", is_client ? "client" : "backend");
    log_text(&line, "phase", conversation_state_name(c->state));
    if (!is_client)
        log_text(&line, "backend", c->target != NULL ? c->target->text : NULL);
    put_alerts(&line, is_client ? c->client.leg.tls : c->backend.leg.tls);
    log_failure(&line, why);
    log_end(&line);
}

/* In the middle of a session. */
void report_tls_failed(const struct conversation *c, bool is_client)
{
    const struct leg *leg = is_client ? &c->client.leg : &c->backend.leg;
    struct log_line   line;

    if (!report_begin(&line, c, EVENT_TLS_FAILED))
        return;
    log_text(&line, "leg", is_client ? "client" : "backend");
    log_text(&line, "record_layer", tls_engine_facts(leg->tls)->record_layer);
    put_alerts(&line, leg->tls);
    log_failure(&line, leg_failure(leg));
    log_end(&line);
}

void report_failure(const struct conversation *c, enum log_event event, const char *phase,
                    const struct failure *why)
{
    const struct tls_facts *facts = leg_facts(&errand_asker(c)->client.leg);
    char                    user[256];
    struct log_line         line;

    if (!report_begin(&line, c, event))
        return;
    log_text(&line, "phase", phase);
    if (facts != NULL) {
        put_certificate(&line, facts);
        log_text(&line, "cert_issuer", facts->peer_issuer);
    }
    if (c->user != NULL) {
        text_escape(user, sizeof user, bytes_of_string(c->user));
        log_text(&line, "user", user);
    }
    log_failure(&line, why);
    log_end(&line);
}

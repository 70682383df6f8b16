/* SPDX-License-Identifier: PostgreSQL */
/*
 * What is said to a server before anything of the client's: the PROXY header, the question for
 * TLS, the handshake.
 */
#include "proxy/conversation_state.h"

#include "session/dial.h"

#define ALPN "postgresql"

static void on_ready(struct conversation *c)
{
    if (c->approach->is_cancel)
        errand_send(c);
    else if (c->approach->looks_up)
        looking_up_start(c);
    else
        logging_in_start(c);
}

/* ---- the PROXY header ---- */

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
    const struct leg       *leg = &errand_asker(c)->client.leg;
    const struct tls_facts *facts = leg_facts(leg);
    struct proxy_header_tls tls = { 0 };
    struct failure          ignored = { 0 };

    if (facts == NULL)
        return tls;
    tls.version = facts->version;
    tls.cipher = facts->cipher;
    tls.is_verified = facts->peer_verified;
    /* a name that hides a NUL is none */
    if (tls_engine_peer_names(leg->tls, CERTIFICATE_CN, names, &ignored) == FAIL_NONE &&
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
    if (stream_local_address(&errand_asker(c)->client.stream, &own))
        header.destination = end_of(&own);
    tls = describe_tls(c, &names);
    proxy_header_write(pump_out(&c->backend), version, &header, &tls);
    certificate_names_fini(&names);
    pump_flush(&c->backend);
}

/* ---- TLS ---- */

void greeting_failed(struct conversation *c, const struct failure *why)
{
    pump_flush(&c->backend); /* an alert may wait */
    report_handshake_failed(c, false, why);
    dialing_attempt_failed(c, END_BACKEND_TLS_FAILED);
}

enum tls_wish { TLS_UNWANTED, TLS_IF_OFFERED, TLS_DEMANDED };

/*
 * A cancel request goes the way that its session went: in plaintext it would show the key of
 * one in TLS.  Where that is not known the server is asked for TLS under allow, too; one that
 * has none has no session in TLS either.
 */
static enum tls_wish wish_of_errand(const struct errand *errand, int mode)
{
    if (errand->session == SESSION_IN_TLS || mode > SSLMODE_PREFER)
        return TLS_DEMANDED;
    return errand->session == SESSION_IN_CLEAR || mode == SSLMODE_DISABLE ? TLS_UNWANTED
                                                                          : TLS_IF_OFFERED;
}

static enum tls_wish wish_of(const struct conversation *c)
{
    int mode = backend_settings(c)->sslmode;

    if (c->approach->is_cancel)
        return wish_of_errand(&c->approach->errand, mode);
    switch (mode) {
    case SSLMODE_DISABLE: return TLS_UNWANTED;
    case SSLMODE_ALLOW: return c->approach->plaintext_refused ? TLS_IF_OFFERED : TLS_UNWANTED;
    case SSLMODE_PREFER: return TLS_IF_OFFERED;
    default: return TLS_DEMANDED;
    }
}

/* After a reload, of a session that began before it. */
static void lacks_tls(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_REFUSED,
               "the session to be cancelled is in TLS, and backend.sslmode is disable by now");
    dialing_unreachable(c, &why);
}

static void start_tls(struct conversation *c)
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
        greeting_failed(c, &why);
}

static void ask_for_tls(struct conversation *c)
{
    conversation_move(c, CONVERSATION_ASKING);
    dial_ask_for_tls(pump_out(&c->backend));
    pump_flush(&c->backend);
    pump_receive(&c->backend, 1); /* not one byte more: CVE-2021-23222 */
}

void greeting_start(struct conversation *c)
{
    enum tls_wish wish = wish_of(c);

    send_proxy_header(c);
    if (wish == TLS_UNWANTED) {
        on_ready(c);
    } else if (route_worker_backend_context(c->rw, c->route) == NULL) {
        lacks_tls(c);
    } else if (backend_settings(c)->sslnegotiation == NEGOTIATE_DIRECT) {
        start_tls(c);
        pump_receive(&c->backend, 0);
    } else {
        ask_for_tls(c);
    }
}

/* Under allow it was plaintext that the server refused, and it has no TLS either. */
static void on_no(struct conversation *c)
{
    if (backend_settings(c)->sslmode == SSLMODE_ALLOW && !c->approach->is_cancel)
        logging_in_pass_refusal_on(c);
    else
        on_ready(c);
}

void greeting_answered(struct conversation *c, struct bytes answer)
{
    struct failure why = { 0 };

    if (answer.p[0] == 'N' && wish_of(c) == TLS_IF_OFFERED)
        on_no(c);
    else if (dial_answer(answer.p[0], &why) == FAIL_NONE)
        start_tls(c);
    else
        dialing_unreachable(c, &why);
}

void greeting_not_answered(struct conversation *c)
{
    struct failure why = { 0 };

    (void)dial_no_answer(&why);
    dialing_unreachable(c, &why);
}

/* In direct TLS a server that is not PostgreSQL's would be talked to unawares (libpq's rule).
 */
static bool lacks_alpn(const struct conversation *c)
{
    return backend_settings(c)->sslnegotiation == NEGOTIATE_DIRECT &&
           leg_facts(&c->backend.leg)->alpn == NULL;
}

void greeting_secured(struct conversation *c)
{
    struct failure why = { 0 };

    report_handshake(c, false);
    if (lacks_alpn(c)) {
        (void)fail(&why, FAIL_REFUSED,
                   "the server did not choose the ALPN protocol postgresql");
        fail_hint(&why, "direct TLS needs PostgreSQL 17 or later; set backend.sslnegotiation = "
                        "\"postgres\"");
        greeting_failed(c, &why);
        return;
    }
    on_ready(c);
}

void greeting_ended(struct conversation *c)
{
    struct failure why = { 0 };

    if (leg_failure(&c->backend.leg) != NULL)
        why = *leg_failure(&c->backend.leg);
    if (!failed(&why))
        (void)fail(&why, FAIL_CLOSED, "the server closed the connection during the handshake");
    greeting_failed(c, &why);
}

void greeting_answer_timed_out(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_TIMEOUT, "no answer within handshake_timeout");
    dialing_unreachable(c, &why);
}

void greeting_handshake_timed_out(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_TIMEOUT, "the handshake was not finished within handshake_timeout");
    greeting_failed(c, &why);
}

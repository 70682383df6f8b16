/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/conversation_state.h"

#include "pg/error_response.h"

#include <assert.h>
#include <stdlib.h>

#define LINGER_US      (2 * 1000000u) /* for a client to read our last words */
#define LAST_LINGER_US (200 * 1000u)  /* the same when everything must end now */

/* ---- states ---- */

#define TO(state) (1u << CONVERSATION_##state)
#define ANY_END   (TO(ENDING) | TO(CLOSED))
#define LIMIT(x)  #x, offsetof(struct limit_settings, x##_us)
#define NO_LIMIT  NULL, 0

static const struct state_rule {
    const char *name; /* as seen in logs */
    unsigned    next; /* states it may move to */
    const char
          *limit; /* the setting that bounds the wait, beside login_timeout before RELAYING */
    size_t limit_at;
} rules[] = {
    [CONVERSATION_ACCEPTED] = { "accepted", TO(OPENING) | ANY_END, LIMIT(first_byte_timeout) },
    [CONVERSATION_OPENING] = { "opening",
                               TO(CLIENT_TLS) | TO(RESOLVING) | TO(CONNECTING) |
                                   TO(CANCELLING) | ANY_END,
                               LIMIT(login_timeout) },
    [CONVERSATION_CLIENT_TLS] = { "client-tls", TO(OPENING) | ANY_END,
                                  LIMIT(handshake_timeout) },
    [CONVERSATION_RESOLVING] = { "resolving", TO(RESOLVING) | TO(CONNECTING) | ANY_END,
                                 LIMIT(connect_timeout) },
    [CONVERSATION_CONNECTING] = { "connecting",
                                  TO(RESOLVING) | TO(CONNECTING) | TO(ASKING) |
                                      TO(BACKEND_TLS) | TO(LOOKUP) | TO(LOGIN) |
                                      TO(CANCEL_SENT) | ANY_END,
                                  LIMIT(connect_timeout) },
    [CONVERSATION_ASKING] = { "asking",
                              TO(CONNECTING) | TO(BACKEND_TLS) | TO(LOOKUP) | TO(LOGIN) |
                                  TO(CANCEL_SENT) | ANY_END,
                              LIMIT(handshake_timeout) },
    [CONVERSATION_BACKEND_TLS] = { "backend-tls",
                                   TO(CONNECTING) | TO(LOOKUP) | TO(LOGIN) | TO(CANCEL_SENT) |
                                       ANY_END,
                                   LIMIT(handshake_timeout) },
    [CONVERSATION_LOOKUP] = { "lookup", TO(CONNECTING) | ANY_END, LIMIT(connect_timeout) },
    [CONVERSATION_LOGIN] = { "login", TO(CONNECTING) | TO(RELAYING) | ANY_END,
                             LIMIT(login_timeout) },
    [CONVERSATION_CANCEL_SENT] = { "cancel-sent", TO(CONNECTING) | ANY_END,
                                   LIMIT(connect_timeout) },
    [CONVERSATION_CANCELLING] = { "cancelling", ANY_END, LIMIT(login_timeout) },
    [CONVERSATION_RELAYING] = { "relaying", ANY_END, LIMIT(idle_timeout) },
    [CONVERSATION_ENDING] = { "ending", TO(CLOSED), NO_LIMIT }, /* LINGER_US */
    [CONVERSATION_CLOSED] = { "closed", 0, NO_LIMIT },
};

const char *conversation_state_name(enum conversation_state state)
{
    return rules[state].name;
}

const char *conversation_state_limit(enum conversation_state state)
{
    return rules[state].limit;
}

static uint64_t now_us(const struct conversation *c)
{
    return loop_now_us(c->rw->worker->loop);
}

/* When the wait in this state is over; 0: never. */
static uint64_t deadline(const struct conversation *c)
{
    const struct limit_settings *limits = &c->route->settings->limits;
    uint64_t                     limit, at;

    if (c->state == CONVERSATION_ENDING)
        return c->entered_us + LINGER_US;
    if (rules[c->state].limit == NULL)
        return 0;
    memcpy(&limit, (const char *)limits + rules[c->state].limit_at, sizeof limit);
    at = limit != 0 ? c->entered_us + limit : 0;
    if (c->state < CONVERSATION_RELAYING && limits->login_timeout_us != 0) {
        uint64_t login = c->accepted_us + limits->login_timeout_us;

        if (at == 0 || login < at)
            at = login;
    }
    return at;
}

bool conversation_login_is_over(const struct conversation *c)
{
    uint64_t limit = c->route->settings->limits.login_timeout_us;

    return limit != 0 && now_us(c) >= c->accepted_us + limit;
}

/* ---- those that have not finished TLS ---- */

static void add_unproved(struct conversation *c)
{
    struct route_worker *rw = c->rw;

    c->unproved_link = rw->unproved_end;
    c->unproved_next = NULL;
    *rw->unproved_end = c;
    rw->unproved_end = &c->unproved_next;
}

void conversation_is_proved(struct conversation *c)
{
    if (c->unproved_link == NULL)
        return;
    *c->unproved_link = c->unproved_next;
    if (c->unproved_next != NULL)
        c->unproved_next->unproved_link = c->unproved_link;
    else
        c->rw->unproved_end = c->unproved_link;
    c->unproved_link = NULL;
}

/* It has logged in, or ended. */
static void stop_pending(struct conversation *c)
{
    conversation_is_proved(c);
    if (c->is_pending)
        atomic_fetch_sub(&c->route->tally->pending, 1);
    c->is_pending = false;
}

/* A flood has many victims; one line a second tells of it. */
static void report_flood(struct conversation *c)
{
    const struct limit_settings *limits = &c->route->settings->limits;
    struct log_line              line;

    if (c->rw->flood_told_us != 0 && now_us(c) - c->rw->flood_told_us < 1000000)
        return;
    c->rw->flood_told_us = now_us(c);
    if (report_begin(&line, c, EVENT_LIMIT_REACHED)) {
        log_text(&line, "limit", "max_pending_logins");
        log_number(&line, "value", limits->max_pending_logins);
        log_end(&line);
    }
}

/* One more that has not logged in: beyond the limit the oldest that has not proved itself by
 * finishing TLS gives way, which may be this one. */
static void start_pending(struct conversation *c)
{
    uint64_t limit = c->route->settings->limits.max_pending_logins;

    add_unproved(c);
    c->is_pending = true;
    if (atomic_fetch_add(&c->route->tally->pending, 1) < limit)
        return;
    report_flood(c);
    conversation_close(c->rw->unproved, END_MAX_PENDING);
}

void conversation_move(struct conversation *c, enum conversation_state next)
{
    uint64_t at;

    assert(rules[c->state].next & (1u << next));
    c->state = next;
    c->entered_us = now_us(c);
    if (next >= CONVERSATION_RELAYING)
        stop_pending(c);
    at = deadline(c);
    if (at == 0)
        loop_timer_stop(c->rw->worker->loop, &c->timer);
    else
        loop_timer_start(c->rw->worker->loop, &c->timer,
                         at > c->entered_us ? at - c->entered_us : 0);
}

bool conversation_client_takes(struct conversation *c)
{
    uint64_t before = c->taken;

    c->taken = pump_taken(&c->client);
    return !pump_is_drained(&c->client) && c->taken > before;
}

/* Our last words may stand behind much else: who goes on reading gets them. */
static void linger(struct conversation *c)
{
    if (!c->draining && conversation_client_takes(c))
        loop_timer_start(c->rw->worker->loop, &c->timer, LINGER_US);
    else
        conversation_close(c, c->reason);
}

static void on_timer(struct loop_timer *timer)
{
    struct conversation *c = container_of(timer, struct conversation, timer);

    if (c->state <= CONVERSATION_CLIENT_TLS)
        arrival_timed_out(c);
    else if (c->state < CONVERSATION_RELAYING)
        backend_timed_out(c);
    else if (c->state == CONVERSATION_RELAYING)
        relaying_timed_out(c);
    else if (c->state == CONVERSATION_ENDING)
        linger(c);
    else
        conversation_socket_closed(c);
}

/* ---- the ends ---- */

static void give_reason(struct conversation *c, enum end_reason reason)
{
    if (c->reason == END_NONE)
        c->reason = reason;
}

/* A socket tells that it is closed, and so the conversation ends; where there is none, a timer
 * does, since who is calling may have it in hand. */
static bool has_no_socket(const struct conversation *c)
{
    return c->client.state == PUMP_IDLE && c->backend.state == PUMP_IDLE;
}

void conversation_close(struct conversation *c, enum end_reason reason)
{
    if (c->state == CONVERSATION_CLOSED)
        return;
    give_reason(c, reason);
    dialing_forget(c);
    cancelling_stop(c);
    conversation_move(c, CONVERSATION_CLOSED);
    pump_close(&c->backend, false);
    pump_close(&c->client, false);
    if (has_no_socket(c))
        loop_timer_start(c->rw->worker->loop, &c->timer, 0);
}

void conversation_end(struct conversation *c, enum end_reason reason, bool clean)
{
    if (c->state == CONVERSATION_ENDING || c->state == CONVERSATION_CLOSED)
        return;
    if (errand_asker(c) != c) { /* it has nobody to say anything to */
        conversation_close(c, reason);
        return;
    }
    give_reason(c, reason);
    dialing_forget(c);
    cancelling_stop(c);
    pump_close(&c->backend, false);
    conversation_move(c, CONVERSATION_ENDING);
    pump_finish(&c->client, clean);
    c->taken = pump_taken(&c->client);
    if (!c->client.eof)
        pump_discard(&c->client);
    else if (pump_is_drained(&c->client))
        conversation_close(c, reason);
}

/* An ErrorResponse of ours would stand between two messages, and can be sent at all. */
static bool may_speak(const struct conversation *c)
{
    if (c->client.state != PUMP_OPEN || c->client.broken)
        return false;
    if (c->client.leg.state != LEG_CLEAR && c->client.leg.state != LEG_SECURE)
        return false;
    if (c->state == CONVERSATION_RELAYING)
        return relay_is_between(&c->relay) && c->relay.to_client.state == PIPE_FLOWING;
    return c->approach != NULL && !c->approach->is_cancel &&
           (c->state != CONVERSATION_LOGIN || login_is_between(&c->approach->login));
}

void conversation_refuse(struct conversation *c, enum end_reason reason, const char *sqlstate,
                         const char *message, const char *hint)
{
    const struct error_response error = {
        .severity = "FATAL",
        .code = sqlstate,
        .message = message,
        .hint = hint,
    };
    struct buf words = BUF_LIMIT(2048);
    bool       clean = false;

    if (c->state == CONVERSATION_LOGIN)
        logging_in_release_held(c);
    if (may_speak(c)) {
        error_response_write(&words, &error);
        clean = buf_ok(&words) && pump_write(&c->client, buf_bytes(&words)) == FAIL_NONE;
    }
    buf_fini(&words);
    conversation_end(c, reason, clean);
}

void conversation_drain(struct conversation *c)
{
    c->draining = true;
    if (c->state <= CONVERSATION_CLIENT_TLS)
        conversation_close(c, END_SHUTDOWN);
    else if (c->state == CONVERSATION_RELAYING)
        relaying_drain(c);
    else if (c->state < CONVERSATION_RELAYING && !c->approach->is_cancel)
        conversation_refuse(c, END_SHUTDOWN, "57P01", "the proxy is shutting down", NULL);
}

void conversation_stop(struct conversation *c)
{
    if (c->state == CONVERSATION_CLOSED)
        return;
    if (c->state == CONVERSATION_RELAYING && relay_is_between(&c->relay)) {
        conversation_refuse(c, END_SHUTDOWN, "57P01",
                            "terminating connection due to administrator command", NULL);
        if (c->state == CONVERSATION_ENDING)
            loop_timer_start(c->rw->worker->loop, &c->timer, LAST_LINGER_US);
        return;
    }
    conversation_close(c, END_SHUTDOWN);
}

static void free_conversation(struct conversation *c)
{
    approach_free(c->approach);
    free(c->user);
    free(c->database);
    slab_give(c);
}

static void unlink_and_free(struct conversation *c)
{
    pump_fini(&c->client);
    pump_fini(&c->backend);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    free_conversation(c);
}

/* Both sockets are closed: nothing refers to the conversation any more. */
static void finish(struct conversation *c)
{
    struct route_worker *rw = c->rw;
    struct address       peer = address_lengthen(&c->peer);

    report_end(c);
    cancelling_leave(c);
    if (c->holds_session)
        route_give_session(rw->route);
    if (c->is_counted)
        ip_counts_remove(rw->route->tally->by_ip, &peer);
    unlink_and_free(c);
    route_worker_lost_one(rw);
}

static void finish_errand(struct conversation *c)
{
    struct conversation *asker = c->approach->errand.asker;

    errand_over(c);
    unlink_and_free(c);
    cancelling_go_on(asker);
}

void conversation_socket_closed(struct conversation *c)
{
    if (c->state != CONVERSATION_CLOSED || !has_no_socket(c))
        return;
    if (errand_asker(c) != c)
        finish_errand(c);
    else if (c->approach == NULL || c->approach->cancelling.errand_count == 0)
        finish(c);
}

/* ---- the beginning ---- */

static struct conversation *new_conversation(struct route_worker  *rw,
                                             const struct address *peer)
{
    struct conversation *c = slab_take(&rw->worker->conversations, sizeof *c);

    if (c == NULL)
        return NULL;
    c->approach = slab_take(&rw->worker->approaches, sizeof *c->approach);
    if (c->approach == NULL) {
        slab_give(c);
        return NULL;
    }
    c->approach->conversation = c;
    c->rw = rw;
    c->route = rw->route;
    c->peer = address_shorten(peer);
    c->timer.expired = on_timer;
    c->accepted_us = now_us(c);
    buf_init(&c->approach->pending, PENDING_LIMIT);
    c->approach->awaits_header =
        rw->route->settings->listener.proxy_protocol != PROXY_PROTOCOL_OFF;
    buf_init(&c->approach->held, HELD_LIMIT);
    gate_init(&c->approach->gate, rw->route->gate_policy, GATE_CLEAR);
    pump_init(&c->client, &arrival_events, &rw->worker->buffers);
    pump_init(&c->backend, &backend_events, &rw->worker->buffers);
    return c;
}

static void link_conversation(struct conversation *c)
{
    struct conversation **head = &c->rw->conversations;

    c->next = *head;
    c->link = head;
    if (c->next != NULL)
        c->next->link = &c->next;
    *head = c;
}

/* Beyond the limit of its address it is told so after TLS; beyond twice that, closed. */
static bool is_flooding(struct conversation *c)
{
    uint64_t       limit = c->route->settings->limits.max_connections_per_ip;
    struct address peer = address_lengthen(&c->peer);
    uint64_t       count;

    if (limit == 0)
        return false;
    count = ip_counts_add(c->route->tally->by_ip, &peer);
    c->is_counted = count > 0;
    c->is_over = count > limit;
    return count > 2 * limit;
}

/* Others are closed without a word, and counted. */
static bool is_admitted(struct route_worker *rw, const struct address *client)
{
    switch (route_admits(rw->route, client)) {
    case NOT_ALLOWED: refusals_note(&rw->refusals, REFUSAL_ALLOW, client); return false;
    case DENIED: refusals_note(&rw->refusals, REFUSAL_DENY, client); return false;
    case ADMITTED: break;
    }
    return true;
}

bool conversation_admit(struct conversation *c)
{
    struct address peer = address_lengthen(&c->peer);

    if (!is_admitted(c->rw, &peer))
        conversation_close(c, END_DENIED);
    else if (is_flooding(c))
        conversation_close(c, END_MAX_PER_IP);
    return c->state != CONVERSATION_CLOSED;
}

static void begin(struct conversation *c)
{
    struct log_line line;

    c->id = worker_new_id(c->rw->worker);
    c->entered_us = c->accepted_us;
    c->state = CONVERSATION_ACCEPTED;
    if (deadline(c) != 0)
        loop_timer_start(c->rw->worker->loop, &c->timer, deadline(c) - c->entered_us);
    if (report_begin(&line, c, EVENT_CLIENT_ACCEPT))
        log_end(&line);
    pump_receive(&c->client, OPENING_RECEIVE);
    start_pending(c);
    /* behind a proxy it is the client that counts, and who that is comes with the header */
    if (c->state == CONVERSATION_ACCEPTED && !c->approach->awaits_header)
        conversation_admit(c);
}

/* At once, where nothing need be kept of those who are not. */
static bool is_let_in(struct route_worker *rw, const struct address *peer)
{
    if (rw->route->settings->listener.proxy_protocol == PROXY_PROTOCOL_OFF)
        return is_admitted(rw, peer);
    if (route_trusts(rw->route, peer))
        return true;
    refusals_note(&rw->refusals, REFUSAL_TRUSTED_PROXIES, peer);
    return false;
}

void conversation_start(struct route_worker *rw, struct loop_accepted accepted)
{
    struct conversation *c = NULL;
    struct failure       why = { 0 };

    if (is_let_in(rw, &accepted.peer))
        c = new_conversation(rw, &accepted.peer);
    if (c == NULL) {
        loop_discard(rw->worker->loop, accepted);
        return;
    }
    if (pump_accept(&c->client, rw->worker->loop, accepted, &why) != FAIL_NONE) {
        free_conversation(c); /* the peer is gone already */
        return;
    }
    link_conversation(c);
    begin(c);
}

struct conversation *conversation_new_errand(struct conversation *asker)
{
    struct address       peer = address_lengthen(&asker->peer);
    struct conversation *c = new_conversation(asker->rw, &peer);

    if (c == NULL)
        return NULL;
    c->id = asker->id;
    c->via = asker->via;
    c->accepted_us = asker->accepted_us;
    c->state = CONVERSATION_OPENING;
    link_conversation(c);
    return c;
}

struct conversation *conversation_next(const struct conversation *c)
{
    return c->next;
}

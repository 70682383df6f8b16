/* SPDX-License-Identifier: PostgreSQL */
/* How a conversation begins: with a client that may, or for a cancel request on its way. */
#include "proxy/conversation_state.h"

/* ---- who may ---- */

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

bool conversation_admit(struct conversation *c)
{
    struct address peer = address_lengthen(&c->peer);

    if (!is_admitted(c->rw, &peer))
        conversation_close(c, END_DENIED);
    else if (is_flooding(c))
        conversation_close(c, END_MAX_PER_IP);
    return c->state != CONVERSATION_CLOSED;
}

/* ---- one more ---- */

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
    c->timer.expired = conversation_timed_out;
    c->accepted_us = conversation_now_us(c);
    buf_init(&c->approach->pending, PENDING_LIMIT);
    c->approach->awaits_header =
        rw->route->settings->listener.proxy_protocol != PROXY_PROTOCOL_OFF;
    buf_init(&c->approach->held, HELD_LIMIT);
    gate_init(&c->approach->gate, rw->route->gate_policy, GATE_CLEAR);
    pump_init(&c->client, &client_events, &rw->worker->buffers);
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

static void begin(struct conversation *c)
{
    struct log_line line;

    c->id = worker_new_id(c->rw->worker);
    conversation_enter(c, CONVERSATION_ACCEPTED);
    if (report_begin(&line, c, EVENT_CLIENT_ACCEPT))
        log_end(&line);
    pump_receive(&c->client, OPENING_RECEIVE);
    pending_start(c);
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
        conversation_free(c); /* the peer is gone already */
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

/* SPDX-License-Identifier: PostgreSQL */
/* How a conversation ends: without a word, with last words, or with the proxy. */
#include "proxy/conversation_state.h"

#include "pg/error_response.h"

#include <stdlib.h>

#define LAST_LINGER_US (200 * 1000u) /* for last words when everything must end now */

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
    conversation_give_reason(c, reason);
    dialing_forget(c);
    cancelling_stop(c);
    conversation_move(c, CONVERSATION_CLOSED);
    pump_close(&c->backend, false);
    pump_close(&c->client, false);
    if (has_no_socket(c))
        loop_timer_start(c->rw->worker->loop, &c->timer, 0);
}

/* An alert may wait behind what is being sent, and a socket that is closed with unread bytes
 * takes it back: then it is closed with the client's. */
static void part_from_backend(struct conversation *c)
{
    if (c->backend.leg.state != LEG_BROKEN || c->backend.eof) {
        pump_close(&c->backend, false);
        return;
    }
    pump_finish(&c->backend, false);
    pump_discard(&c->backend);
}

void conversation_end(struct conversation *c, enum end_reason reason, bool clean)
{
    if (c->state == CONVERSATION_ENDING || c->state == CONVERSATION_CLOSED)
        return;
    if (errand_asker(c) != c) { /* it has nobody to say anything to */
        conversation_close(c, reason);
        return;
    }
    conversation_give_reason(c, reason);
    dialing_forget(c);
    cancelling_stop(c);
    part_from_backend(c);
    conversation_move(c, CONVERSATION_ENDING);
    pump_finish(&c->client, clean);
    c->taken = pump_taken(&c->client);
    if (!c->client.eof)
        pump_discard(&c->client);
    else if (pump_is_drained(&c->client))
        conversation_close(c, reason);
}

bool conversation_client_is_broken(struct conversation *c)
{
    if (c->client.leg.state != LEG_BROKEN)
        return false;
    report_tls_failed(c, true);
    conversation_end(c, END_CLIENT_LOST, false);
    return true;
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

/* ---- our last words ---- */

bool conversation_client_takes(struct conversation *c)
{
    uint64_t before = c->taken;

    c->taken = pump_taken(&c->client);
    return !pump_is_drained(&c->client) && c->taken > before;
}

/* Our last words may stand behind much else: who goes on reading gets them. */
void conversation_linger(struct conversation *c)
{
    if (!c->draining && conversation_client_takes(c))
        loop_timer_start(c->rw->worker->loop, &c->timer, LINGER_US);
    else
        conversation_close(c, c->reason);
}

/* ---- the end of the proxy ---- */

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

/* ---- when the sockets are closed ---- */

void conversation_free(struct conversation *c)
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
    conversation_free(c);
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

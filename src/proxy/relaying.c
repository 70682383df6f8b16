/* SPDX-License-Identifier: PostgreSQL */
/* A conversation after its login: bytes both ways, and how it ends. */
#include "proxy/conversation_state.h"

/* How long a client may go on sending once it has the end of file that its server sent, however
 * much that is. */
#define HALF_CLOSED_US (5 * 1000000u)
#define STALLED_US     (300 * UINT64_C(1000000)) /* behind the end, without idle_timeout */

static void shut_down(struct conversation *c)
{
    conversation_refuse(c, END_SHUTDOWN, "57P01",
                        "terminating connection due to administrator command", NULL);
}

/* Behind the server's end only what the client takes counts: relaying_timed_out(). */
static void note_activity(struct conversation *c)
{
    if (c->relay.to_client.state == PIPE_FLOWING)
        c->active_us = conversation_now_us(c);
}

void relaying_start(struct conversation *c, struct bytes behind)
{
    relay_logged_in(&c->relay, c->approach->login.status);
    leg_forget_peer(&c->client.leg);
    leg_forget_peer(&c->backend.leg);
    approach_free(c->approach);
    c->approach = NULL;
    c->active_us = c->ready_us;
    conversation_move(c, CONVERSATION_RELAYING);
    if (behind.len > 0)
        relaying_from_server(c, behind);
    else if (c->draining)
        relaying_drain(c);
    if (c->state == CONVERSATION_RELAYING && c->client.ended_told) /* during the login */
        relaying_client_ended(c);
}

/* Records can be made no more: the key is used up, and the kernel takes no other. */
static void cannot_write(struct conversation *c, struct pump *pump, enum fail why)
{
    if (why != FAIL_TLS) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    report_tls_failed(c, pump == &c->client);
    pump_flush(pump); /* an alert */
    if (pump == &c->client)
        conversation_end(c, END_CLIENT_LOST, false);
    else
        conversation_refuse(c, END_SERVER_LOST, "08006",
                            "the connection to the database server was lost", NULL);
}

void relaying_from_client(struct conversation *c, struct bytes data)
{
    enum fail rc;

    note_activity(c);
    relay_from_client(&c->relay, data);
    if ((rc = pump_write(&c->backend, data)) != FAIL_NONE)
        cannot_write(c, &c->backend, rc);
}

void relaying_from_server(struct conversation *c, struct bytes data)
{
    enum fail rc;

    note_activity(c);
    relay_from_server(&c->relay, data);
    if ((rc = pump_write(&c->client, data)) != FAIL_NONE)
        cannot_write(c, &c->client, rc);
    else if (c->draining)
        relaying_drain(c);
}

/* ---- ends ---- */

/*
 * Passes an end on behind all that came before it, as what it was: a close_notify as one, a
 * truncation as a truncation, since a cut answer must not look whole.  What is sent last goes
 * together with it.
 */
static void pass_end_on(struct pipe *pipe, const struct pump *source, struct pump *sink)
{
    if (pipe->state != PIPE_FLUSHING || stream_is_sending(&sink->stream))
        return;
    pipe_move(pipe, PIPE_FINISHED);
    pump_finish(sink, source->leg.end == LEG_ENDED);
}

/* Behind the server's end the client gets what waits for it as slowly as any client may.  There
 * is no session any more to wait for without a limit. */
static uint64_t limit_of(const struct conversation *c)
{
    uint64_t idle_us = c->route->settings->limits.idle_timeout_us;

    return idle_us == 0 && c->relay.to_client.state != PIPE_FLOWING ? STALLED_US : idle_us;
}

/* From when the client has all of it, and the server's end, it is to end, too. */
static void limit_time(struct conversation *c)
{
    struct loop *loop = c->rw->worker->loop;

    if (c->has_end || c->relay.to_client.state == PIPE_FLOWING)
        return;
    c->has_end = c->relay.to_client.state == PIPE_FINISHED && pump_is_drained(&c->client);
    if (c->has_end)
        loop_timer_start(loop, &c->timer, HALF_CLOSED_US);
    else if (!loop_timer_is_running(&c->timer))
        loop_timer_start(loop, &c->timer, limit_of(c));
}

static void pass_ends_on(struct conversation *c)
{
    pass_end_on(&c->relay.to_server, &c->client, &c->backend);
    pass_end_on(&c->relay.to_client, &c->backend, &c->client);
    limit_time(c);
    if (relay_is_finished(&c->relay) && pump_is_drained(&c->client) &&
        pump_is_drained(&c->backend))
        conversation_close(c, c->reason);
}

void relaying_client_ended(struct conversation *c)
{
    /* behind Terminate a client may hang up as it likes: Java's ends TLS without close_notify
     */
    conversation_give_reason(
        c, c->client.leg.end == LEG_ENDED || relay_client_is_done(&c->relay) ? END_CLIENT_CLOSED
                                                                             : END_CLIENT_LOST);
    if (c->client.reset) {
        conversation_close(c, END_CLIENT_LOST);
        return;
    }
    if (conversation_client_is_broken(c))
        return;
    pipe_move(&c->relay.to_server, PIPE_FLUSHING);
    pass_ends_on(c);
}

void relaying_server_ended(struct conversation *c)
{
    bool lost = c->backend.reset || c->backend.leg.state == LEG_BROKEN;

    if (c->backend.leg.state == LEG_BROKEN)
        report_tls_failed(c, false);
    if (relay_client_is_done(&c->relay)) /* the server only answers to that */
        conversation_give_reason(c, END_CLIENT_CLOSED);
    conversation_give_reason(c, c->backend.leg.end == LEG_ENDED ? END_SERVER_CLOSED
                                                                : END_SERVER_LOST);
    if (lost) {
        conversation_refuse(c, END_SERVER_LOST, "08006",
                            "the connection to the database server was lost", NULL);
        return;
    }
    pipe_move(&c->relay.to_client, PIPE_FLUSHING);
    pass_ends_on(c);
}

/* One side has taken all: the other may send more, and an end may follow. */
void relaying_drained(struct conversation *c)
{
    note_activity(c);
    pass_ends_on(c);
    if (c->state == CONVERSATION_RELAYING && c->draining)
        relaying_drain(c);
    if (c->state != CONVERSATION_RELAYING)
        return;
    if (pump_is_drained(&c->backend))
        pump_receive(&c->client, 0);
    if (pump_is_drained(&c->client))
        pump_receive(&c->backend, 0);
}

/* ---- time and drain ---- */

/* A query may run for as long as it likes.  A message that stays half sent is no query: in
 * front of one of the client's there is room for a word, where it is the server's there is
 * none. */
static bool may_end_idle(const struct conversation *c)
{
    return !relay_is_asked(&c->relay) || !relay_is_between(&c->relay);
}

void relaying_timed_out(struct conversation *c)
{
    uint64_t limit = limit_of(c), quiet;

    if (conversation_client_takes(c))
        c->active_us = conversation_now_us(c);
    quiet = conversation_now_us(c) - c->active_us;
    if (c->has_end || (quiet >= limit && c->relay.to_client.state != PIPE_FLOWING))
        conversation_close(c, c->reason);
    else if (quiet >= limit && may_end_idle(c))
        conversation_refuse(c, END_TIMEOUT_IDLE, "57P05",
                            "terminating connection due to idle-session timeout", NULL);
    else /* nothing is touched per message, so look again later */
        loop_timer_start(c->rw->worker->loop, &c->timer, quiet < limit ? limit - quiet : limit);
}

/* Not before the client has all that the server said: last words wait for a short time only. */
void relaying_drain(struct conversation *c)
{
    if (relay_is_idle(&c->relay) && pump_is_drained(&c->client))
        shut_down(c);
}

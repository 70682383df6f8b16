/* SPDX-License-Identifier: PostgreSQL */
/* Those that have not logged in: there is a limit, and beyond it an order in which they go. */
#include "proxy/conversation_state.h"

static struct pending_queue *queue_of(const struct conversation *c)
{
    return c->state == CONVERSATION_ENDING ? &c->rw->lingering : &c->rw->unproved;
}

static void join(struct conversation *c, struct pending_queue *queue)
{
    c->yielding_link = queue->end;
    c->yielding_next = NULL;
    *queue->end = c;
    queue->end = &c->yielding_next;
}

static void leave(struct conversation *c)
{
    if (c->yielding_link == NULL)
        return;
    *c->yielding_link = c->yielding_next;
    if (c->yielding_next != NULL)
        c->yielding_next->yielding_link = c->yielding_link;
    else
        queue_of(c)->end = c->yielding_link;
    c->yielding_link = NULL;
}

void pending_prove(struct conversation *c)
{
    leave(c);
}

void pending_stop(struct conversation *c)
{
    leave(c);
    if (c->is_pending)
        atomic_fetch_sub(&c->route->tally->pending, 1);
    c->is_pending = false;
}

/* It only has to read why it ends: until it has, it gives way before anybody else, TLS or not.
 */
void pending_linger(struct conversation *c)
{
    if (!c->is_pending)
        return;
    leave(c);
    join(c, &c->rw->lingering);
}

/* A flood has many victims; one line a second tells of it. */
static void report_flood(struct conversation *c)
{
    const struct limit_settings *limits = &c->route->settings->limits;
    struct log_line              line;

    if (c->rw->flood_told_us != 0 && conversation_now_us(c) - c->rw->flood_told_us < 1000000)
        return;
    c->rw->flood_told_us = conversation_now_us(c);
    if (report_begin(&line, c, EVENT_LIMIT_REACHED)) {
        log_text(&line, "limit", "max_pending_logins");
        log_number(&line, "value", limits->max_pending_logins);
        log_end(&line);
    }
}

/* One more that has not logged in: beyond the limit one gives way, the oldest that lingers or
 * else the oldest that has not proved itself by finishing TLS, which may be this one. */
void pending_start(struct conversation *c)
{
    uint64_t                    limit = c->route->settings->limits.max_pending_logins;
    const struct pending_queue *lingering = &c->rw->lingering;

    join(c, &c->rw->unproved);
    c->is_pending = true;
    if (atomic_fetch_add(&c->route->tally->pending, 1) < limit)
        return;
    report_flood(c);
    conversation_close(lingering->first != NULL ? lingering->first : c->rw->unproved.first,
                       END_MAX_PENDING);
}

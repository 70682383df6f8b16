/* SPDX-License-Identifier: PostgreSQL */
/* Those that have not logged in: there is a limit, and beyond it an order in which they go. */
#include "proxy/conversation_state.h"

static void add_unproved(struct conversation *c)
{
    struct route_worker *rw = c->rw;

    c->unproved_link = rw->unproved_end;
    c->unproved_next = NULL;
    *rw->unproved_end = c;
    rw->unproved_end = &c->unproved_next;
}

void pending_prove(struct conversation *c)
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

void pending_stop(struct conversation *c)
{
    pending_prove(c);
    if (c->is_pending)
        atomic_fetch_sub(&c->route->tally->pending, 1);
    c->is_pending = false;
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

/* One more that has not logged in: beyond the limit the oldest that has not proved itself by
 * finishing TLS gives way, which may be this one. */
void pending_start(struct conversation *c)
{
    uint64_t limit = c->route->settings->limits.max_pending_logins;

    add_unproved(c);
    c->is_pending = true;
    if (atomic_fetch_add(&c->route->tally->pending, 1) < limit)
        return;
    report_flood(c);
    conversation_close(c->rw->unproved, END_MAX_PENDING);
}

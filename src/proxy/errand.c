/* SPDX-License-Identifier: PostgreSQL */
/*
 * A cancel request on its way to one server.
 *
 * It dials and greets like a session and then says the request.  Where the name of the server
 * has several addresses, each gets it, and each by an errand of its own as long as there are
 * not too many: an address that is dead keeps it from no other one.
 */
#include "proxy/conversation_state.h"

static void link_errand(struct conversation *c, struct conversation *asker)
{
    struct cancelling *of = &asker->approach->cancelling;
    struct errand     *errand = &c->approach->errand;

    errand->asker = asker;
    errand->next = of->errands;
    errand->link = &of->errands;
    if (errand->next != NULL)
        errand->next->approach->errand.link = &errand->next;
    of->errands = c;
    of->errand_count++;
}

bool errand_start(struct conversation *asker, const struct errand_goal *goal)
{
    struct conversation *c = conversation_new_errand(asker);

    if (c == NULL)
        return false;
    link_errand(c, asker);
    c->route = goal->route;
    c->target = goal->target;
    c->approach->is_cancel = true;
    c->approach->errand.session = goal->session;
    buf_put(&c->approach->pending, buf_bytes(&asker->approach->pending));
    if (!buf_ok(&c->approach->pending))
        conversation_close(c, END_NO_MEMORY);
    else
        dialing_start_errand(c, goal->address);
    return true;
}

size_t errand_share(struct conversation *c, const struct address *addresses, size_t count)
{
    struct conversation *asker = c->approach->errand.asker;
    struct errand_goal   goal = { .route = c->route, .target = c->target };

    while (count > 1 && asker->approach->cancelling.errand_count < ERRANDS_AT_ONCE) {
        goal.address = &addresses[count - 1];
        if (!errand_start(asker, &goal))
            break;
        count--;
    }
    return count;
}

void errand_send(struct conversation *c)
{
    struct log_line line;

    conversation_move(c, CONVERSATION_CANCEL_SENT);
    c->approach->errand.is_sent = true;
    if (report_begin(&line, c, EVENT_CANCEL)) {
        log_text(&line, "result", "forwarded");
        log_text(&line, "backend", c->target->text);
        log_end(&line);
    }
    if (pump_write(&c->backend, buf_bytes(&c->approach->pending)) != FAIL_NONE) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    pump_flush(&c->backend);
    pump_receive(&c->backend, 0);
}

void errand_over(struct conversation *c)
{
    struct errand     *errand = &c->approach->errand;
    struct cancelling *of = &errand->asker->approach->cancelling;

    *errand->link = errand->next;
    if (errand->next != NULL)
        errand->next->approach->errand.link = errand->link;
    of->errand_count--;
    if (errand->is_sent)
        of->outcome = END_CANCEL_DONE;
    else if (of->outcome == END_NONE)
        of->outcome = c->reason;
}

const struct conversation *errand_asker(const struct conversation *c)
{
    return c->approach != NULL && c->approach->errand.asker != NULL ? c->approach->errand.asker
                                                                    : c;
}

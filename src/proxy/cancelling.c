/* SPDX-License-Identifier: PostgreSQL */
/*
 * Where cancel requests go, on a route whose backend is one of several.
 *
 * One inside TLS is for the host that it names, as its session was.  One in the clear names
 * none: the key says whose it is, for all hosts of the port.
 */
#include "proxy/conversation_state.h"

/* Process id and key behind the length and the code of a CancelRequest. */
#define KEY_AT 8

/* Is it open which server a session of this route is with? */
static bool is_ambiguous(const struct conversation *c)
{
    return c->rw->route->backend_count > 1 || walk_has_choice(&c->approach->walk);
}

void cancelling_enter(struct conversation *c)
{
    const struct login *login = &c->approach->login;
    struct cancel_place place = { .target = c->target->id,
                                  .address = *walk_address(&c->approach->walk) };

    if (login->key_len > 0 && is_ambiguous(c))
        c->entered = cancel_table_enter(c->route->tally->cancels,
                                        bytes_of(login->key, login->key_len), &place);
}

void cancelling_leave(struct conversation *c)
{
    if (c->entered != NULL)
        cancel_table_leave(c->route->tally->cancels, c->entered);
    c->entered = NULL;
}

static const struct route_target *target_of(const struct route *route, uint64_t id)
{
    for (size_t i = 0; i < route->target_count; i++)
        if (route->targets[i].id == id)
            return &route->targets[i];
    return NULL;
}

/* Whether the place is one of the route's; if so, it is what is tried. */
static bool take_place(struct conversation *c, const struct route *route,
                       const struct cancel_place *place)
{
    const struct route_target *target = target_of(route, place->target);

    if (target == NULL)
        return false;
    c->route = route;
    c->target = target;
    walk_begin_at(&c->approach->walk, target, &place->address);
    return true;
}

/* In the clear every host of the port may be meant. */
static bool find_place(struct conversation *c, const struct cancel_place *place)
{
    const struct route *port = c->rw->route;
    bool                is_found = take_place(c, c->route, place);

    for (size_t i = 0; leg_facts(&c->client.leg) == NULL && !is_found && i < port->host_count;
         i++)
        is_found = take_place(c, port->hosts[i], place);
    return is_found;
}

static bool find_session(struct conversation *c)
{
    struct bytes        key = buf_bytes(&c->approach->pending);
    struct cancel_place place;

    bytes_skip(&key, KEY_AT);
    /* where two servers gave the same key, each of the list gets it */
    return cancel_table_find(c->route->tally->cancels, key, &place, 1) == 1 &&
           find_place(c, &place);
}

/* Sets what is tried; or returns why nothing is. */
static const char *choose(struct conversation *c)
{
    const struct route *port = c->rw->route;
    struct address      peer;

    if (leg_facts(&c->client.leg) != NULL)
        return NULL;
    if (port->backend_count < 2) { /* the only one may be that of a host */
        c->approach->is_broadcast = port->target_count == 0;
        return NULL;
    }
    if (port->settings->listener.cancel_unknown == CANCEL_UNKNOWN_BROADCAST &&
        route_take_broadcast(port, loop_now_us(c->rw->worker->loop))) {
        c->approach->is_broadcast = true;
        return NULL;
    }
    peer = address_lengthen(&c->peer);
    refusals_note(&c->rw->refusals, REFUSAL_CANCEL_UNKNOWN, &peer);
    return port->settings->listener.cancel_unknown == CANCEL_UNKNOWN_REFUSE
               ? "no session has its key, and listener.cancel_unknown is refuse"
               : "no session has its key, and too many such requests came this second";
}

/* To every address of the route's backend, those that failed lately last; where it is for the
 * backends of all hosts, to each of those. */
static void walk_through(struct conversation *c)
{
    const struct approach *a = c->approach;

    walk_begin(&c->approach->walk, c->route->targets, c->route->target_count,
               a->is_broadcast ? NULL : &c->rw->backoff, loop_now_us(c->rw->worker->loop));
}

const char *cancelling_start(struct conversation *c)
{
    const char *no = NULL;

    if (!find_session(c)) {
        no = choose(c);
        walk_through(c);
    }
    if (no == NULL)
        dialing_go_on(c);
    return no;
}

bool cancelling_next_backend(struct conversation *c)
{
    const struct route *port = c->rw->route;
    size_t              next = c->route->place;

    while (next < port->host_count && !port->hosts[next]->settings->has_own_backend)
        next++;
    if (!c->approach->is_broadcast || next == port->host_count)
        return false;
    c->route = port->hosts[next];
    walk_through(c);
    return true;
}

void cancelling_send(struct conversation *c)
{
    struct log_line line;

    conversation_move(c, CONVERSATION_CANCELLING);
    c->approach->cancel_sent = true;
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

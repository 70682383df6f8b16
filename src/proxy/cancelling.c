/* SPDX-License-Identifier: PostgreSQL */
/*
 * Where cancel requests go.
 *
 * One inside TLS is for the host that it names, as its session was.  One in the clear names
 * none: the key says whose it is, for all hosts of the port.  Where no session has the key (it
 * may be one of another proxy before the same servers) each address that may be meant gets it;
 * all at once, so that one that is dead delays no other, up to ERRANDS_AT_ONCE.  The client
 * waits for the last of them, since to libpq the end of the connection says that the request
 * was carried out.
 */
#include "proxy/conversation_state.h"

/* As many as a broadcast may reach. */
_Static_assert(ERRANDS_AT_ONCE == MOST_BROADCAST, "a broadcast waits for nobody");

/* Process id and key behind the length and the code of a CancelRequest. */
#define KEY_AT 8

/* Is it open which server a session of this route is with, or which way it went there? */
static bool is_ambiguous(const struct conversation *c)
{
    int mode = c->route->settings->backend.sslmode;

    return c->rw->route->backend_count > 1 || walk_has_choice(&c->approach->walk) ||
           mode == SSLMODE_ALLOW || mode == SSLMODE_PREFER;
}

void cancelling_enter(struct conversation *c)
{
    const struct login *login = &c->approach->login;
    struct cancel_place place = { .target = c->target->id,
                                  .address = *walk_address(&c->approach->walk),
                                  .has_tls = leg_facts(&c->backend.leg) != NULL };

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

/* Whether the place is one of the route's; if so, that is where it goes. */
static bool take_place(struct conversation *c, const struct route *route,
                       const struct cancel_place *place)
{
    struct errand_goal goal = { route, target_of(route, place->target), &place->address,
                                place->has_tls ? SESSION_IN_TLS : SESSION_IN_CLEAR };

    if (goal.target == NULL)
        return false;
    if (!errand_start(c, &goal))
        conversation_close(c, END_NO_MEMORY);
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

/* Who guesses keys is kept from trying many; returns why. */
static const char *limit(struct conversation *c)
{
    struct address peer = address_lengthen(&c->peer);

    if (route_take_cancel(c->rw->route, &peer, conversation_now_us(c)))
        return NULL;
    refusals_note(&c->rw->refusals, REFUSAL_CANCELS, &peer);
    return "too many cancel requests came from its address this second";
}

/* Whether it goes to all hosts; or returns why it goes to nobody. */
static const char *choose(struct conversation *c)
{
    const struct route *port = c->rw->route;
    struct address      peer;

    if (leg_facts(&c->client.leg) != NULL)
        return NULL;
    if (port->backend_count < 2) { /* the only one may be that of a host */
        c->approach->cancelling.is_broadcast = port->target_count == 0;
        return NULL;
    }
    if (port->settings->listener.cancel_unknown == CANCEL_UNKNOWN_BROADCAST &&
        route_take_broadcast(port, conversation_now_us(c))) {
        c->approach->cancelling.is_broadcast = true;
        return NULL;
    }
    peer = address_lengthen(&c->peer);
    refusals_note(&c->rw->refusals, REFUSAL_CANCEL_UNKNOWN, &peer);
    return port->settings->listener.cancel_unknown == CANCEL_UNKNOWN_REFUSE
               ? "no session has its key, and listener.cancel_unknown is refuse"
               : "no session has its key, and too many such requests came this second";
}

/* Of a broadcast: the next host that has a backend of its own. */
static const struct route *next_host(const struct conversation *c)
{
    const struct route *port = c->rw->route;
    size_t              next = c->approach->cancelling.to->place;

    while (next < port->host_count && !port->hosts[next]->settings->has_own_backend)
        next++;
    return c->approach->cancelling.is_broadcast && next < port->host_count ? port->hosts[next]
                                                                           : NULL;
}

/* False: there is none. */
static bool next_goal(struct conversation *c, struct errand_goal *goal)
{
    struct cancelling *cancelling = &c->approach->cancelling;

    while (cancelling->to != NULL && cancelling->target_next == cancelling->to->target_count) {
        cancelling->to = next_host(c);
        cancelling->target_next = 0;
    }
    if (cancelling->to == NULL)
        return false;
    *goal = (struct errand_goal){
        .route = cancelling->to,
        .target = &cancelling->to->targets[cancelling->target_next++],
    };
    return true;
}

void cancelling_go_on(struct conversation *c)
{
    struct cancelling *cancelling = &c->approach->cancelling;
    struct errand_goal goal;

    if (c->state != CONVERSATION_CANCELLING) {
        conversation_socket_closed(c); /* it may have waited for its errands only */
        return;
    }
    while (cancelling->errand_count < ERRANDS_AT_ONCE && next_goal(c, &goal))
        if (!errand_start(c, &goal)) {
            conversation_close(c, END_NO_MEMORY);
            return;
        }
    if (cancelling->errand_count == 0)
        conversation_end(c, cancelling->outcome, true);
}

const char *cancelling_start(struct conversation *c)
{
    const char *no = NULL;

    conversation_move(c, CONVERSATION_CANCELLING);
    if (find_session(c))
        return NULL;
    if ((no = limit(c)) != NULL || (no = choose(c)) != NULL)
        return no;
    c->approach->cancelling.to = c->route;
    cancelling_go_on(c);
    return NULL;
}

void cancelling_stop(struct conversation *c)
{
    if (c->approach == NULL)
        return;
    for (struct conversation *errand = c->approach->cancelling.errands; errand != NULL;
         errand = errand->approach->errand.next)
        conversation_close(errand, END_SHUTDOWN);
}

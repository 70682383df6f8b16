/* SPDX-License-Identifier: PostgreSQL */
/* Where cancel requests go, on a route whose backend is one of several (WIRE.md section 5). */
#include "proxy/conversation_state.h"

#include <stdlib.h>

/* Process id and key behind the length and the code of a CancelRequest. */
#define KEY_AT 8

/* Is it open which server a session of this route is with? */
static bool is_ambiguous(const struct conversation *c)
{
    return c->rw->route->target_count > 1 || c->approach->address_count > 1;
}

void cancelling_enter(struct conversation *c)
{
    const struct approach *a = c->approach;
    struct entered_key    *entered;

    if (a->login.key_len == 0 || !is_ambiguous(c) ||
        (entered = malloc(sizeof *entered)) == NULL)
        return;
    entered->place.target = c->target->id;
    entered->place.address = a->addresses[a->address_next - 1];
    entered->key_len = a->login.key_len;
    memcpy(entered->key, a->login.key, entered->key_len);
    if (cancel_table_enter(c->rw->route->tally->cancels,
                           bytes_of(entered->key, entered->key_len), &entered->place))
        c->entered = entered;
    else
        free(entered);
}

void cancelling_leave(struct conversation *c)
{
    if (c->entered == NULL)
        return;
    cancel_table_leave(c->rw->route->tally->cancels,
                       bytes_of(c->entered->key, c->entered->key_len), &c->entered->place);
    explicit_bzero(c->entered->key, sizeof c->entered->key);
    free(c->entered);
    c->entered = NULL;
}

static const struct route_target *target_of(const struct route *route, uint64_t id)
{
    for (size_t i = 0; i < route->target_count; i++)
        if (route->targets[i].id == id)
            return &route->targets[i];
    return NULL;
}

bool cancelling_find(struct conversation *c)
{
    struct approach    *a = c->approach;
    struct bytes        key = buf_bytes(&a->pending);
    struct cancel_place place;

    bytes_skip(&key, KEY_AT);
    if (cancel_table_find(c->rw->route->tally->cancels, key, &place, 1) != 1)
        return false; /* none, or two servers gave the same key: each of the list gets it */
    c->target = target_of(c->rw->route, place.target);
    if (c->target == NULL)
        return false;
    a->addresses[0] = place.address;
    a->address_count = 1;
    a->target_next = c->rw->route->target_count; /* no other one */
    return true;
}

/* SPDX-License-Identifier: PostgreSQL */
/* The states, what each of them waits for at most, and who hears that it waited too long. */
#include "proxy/conversation_state.h"

#include <assert.h>

#define TO(state) (1u << CONVERSATION_##state)
#define ANY_END   (TO(ENDING) | TO(CLOSED))
#define LIMIT(x)  true, offsetof(struct limit_settings, x##_us)
#define NO_LIMIT  false, 0

static const struct state_rule {
    const char *name; /* as seen in logs */
    unsigned    next; /* states it may move to */
    bool        has_limit;
    size_t      limit_at; /* what bounds the wait, beside login_timeout before RELAYING */
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

/* When the wait in this state is over; 0: never. */
static uint64_t deadline(const struct conversation *c)
{
    const struct limit_settings *limits = &c->route->settings->limits;
    uint64_t                     limit, at;

    if (c->state == CONVERSATION_ENDING)
        return c->entered_us + LINGER_US;
    if (!rules[c->state].has_limit)
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

    return limit != 0 && conversation_now_us(c) >= c->accepted_us + limit;
}

void conversation_enter(struct conversation *c, enum conversation_state state)
{
    uint64_t at;

    c->state = state;
    c->entered_us = conversation_now_us(c);
    at = deadline(c);
    if (at == 0)
        loop_timer_stop(c->rw->worker->loop, &c->timer);
    else
        loop_timer_start(c->rw->worker->loop, &c->timer,
                         at > c->entered_us ? at - c->entered_us : 0);
}

void conversation_move(struct conversation *c, enum conversation_state next)
{
    assert(rules[c->state].next & (1u << next));
    if (next == CONVERSATION_ENDING)
        pending_linger(c);
    else if (next >= CONVERSATION_RELAYING)
        pending_stop(c);
    conversation_enter(c, next);
}

void conversation_timed_out(struct loop_timer *timer)
{
    struct conversation *c = container_of(timer, struct conversation, timer);

    if (c->state <= CONVERSATION_CLIENT_TLS)
        arrival_timed_out(c);
    else if (c->state < CONVERSATION_RELAYING)
        backend_timed_out(c);
    else if (c->state == CONVERSATION_RELAYING)
        relaying_timed_out(c);
    else if (c->state == CONVERSATION_ENDING)
        conversation_linger(c);
    else
        conversation_socket_closed(c);
}

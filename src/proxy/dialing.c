/* SPDX-License-Identifier: PostgreSQL */
/* Which server: the walk over the addresses of a backend, and a connection to one. */
#include "proxy/conversation_state.h"

#include <errno.h>
#include <stdio.h>

/* ---- failures ---- */

/* The client learns that it failed; where and why is for the log. */
static void tell_client(struct conversation *c, enum end_reason reason)
{
    char hint[96];

    snprintf(hint, sizeof hint, "the log of the proxy has the reason: connection %llu",
             (unsigned long long)c->id);
    conversation_refuse(c, reason, "08001", "could not connect to the database server", hint);
}

void dialing_leave(struct conversation *c)
{
    conversation_move(c, CONVERSATION_CONNECTING);
    pump_close(&c->backend, false);
}

void dialing_repeat(struct conversation *c)
{
    walk_repeat(&c->approach->walk);
    dialing_leave(c);
}

/*
 * A session ends with the first server that answers badly.  A cancel request goes on: which one
 * of several has the session is not known, and where it fits none it does nothing.
 */
void dialing_attempt_failed(struct conversation *c, enum end_reason reason)
{
    bool has_answered = c->state == CONVERSATION_ASKING || c->state == CONVERSATION_BACKEND_TLS;

    if (!c->approach->is_cancel || !has_answered) {
        tell_client(c, reason);
        return;
    }
    if (c->reason == END_NONE)
        c->reason = reason;
    dialing_leave(c);
}

void dialing_unreachable(struct conversation *c, const struct failure *why)
{
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, conversation_state_name(c->state), why);
    dialing_attempt_failed(c, END_BACKEND_UNREACHABLE);
}

/* Every address had its turn. */
static void exhausted(struct conversation *c)
{
    struct approach *a = c->approach;

    if (a->errand.is_sent || c->reason != END_NONE) { /* the latter was logged */
        conversation_end(c, END_CANCEL_DONE, true);
        return;
    }
    (void)fail(&a->failure, FAIL_IO, "every address of the backend failed a moment ago");
    dialing_unreachable(c, &a->failure);
}

/* ---- names ---- */

static void on_resolved(struct resolve_request *request, const struct address *addresses,
                        size_t count, const struct failure *why)
{
    struct approach *a = container_of(request, struct approach, request);

    a->resolving = false;
    if (count == 0 && !failed(&a->failure))
        a->failure = *why;
    if (a->is_cancel)
        count = errand_share(a->conversation, addresses, count);
    walk_found(&a->walk, addresses, count);
    dialing_go_on(a->conversation);
}

/* False: the answer is there already. */
static bool look_up(struct conversation *c)
{
    struct approach *a = c->approach;
    struct address   address;

    c->target = a->walk.target;
    conversation_move(c, CONVERSATION_RESOLVING);
    if (c->target->is_unix) {
        if (address_parse(&address, c->target->text, &a->failure) == FAIL_NONE)
            walk_found(&a->walk, &address, 1);
        return false;
    }
    if (address_from_numeric(&address, c->target->host, c->target->port)) {
        walk_found(&a->walk, &address, 1); /* and no turn of the loop goes by for the answer */
        return false;
    }
    a->resolving = true;
    a->request.resolved = on_resolved;
    resolver_start(c->rw->worker->resolver, &a->request, c->target->host, c->target->port);
    return true;
}

void dialing_forget(struct conversation *c)
{
    if (c->approach == NULL || !c->approach->resolving)
        return;
    c->approach->resolving = false;
    resolver_cancel(&c->approach->request);
}

void dialing_name_timed_out(struct conversation *c)
{
    (void)fail(&c->approach->failure, FAIL_TIMEOUT,
               "could not look up \"%s\" within connect_timeout", c->target->host);
    dialing_forget(c);
    dialing_go_on(c);
}

/* ---- addresses ---- */

/* False: that failed at once. */
static bool connect_to(struct conversation *c)
{
    struct approach      *a = c->approach;
    struct stream_options options = c->route->stream_options;

    options.source = route_source(c->route, walk_address(&a->walk));
    conversation_move(c, CONVERSATION_CONNECTING);
    return pump_connect(&c->backend, c->rw->worker->loop, walk_address(&a->walk), &options,
                        &a->failure) == FAIL_NONE;
}

void dialing_go_on(struct conversation *c)
{
    struct approach *a = c->approach;

    for (;;) {
        switch (walk_next(&a->walk, conversation_now_us(c))) {
        case WALK_LOOK_UP:
            if (look_up(c))
                return;
            break;
        case WALK_CONNECT:
            logging_in_begin_anew(a);
            if (connect_to(c))
                return;
            break;
        case WALK_CONNECT_AGAIN:
            if (connect_to(c))
                return;
            break;
        case WALK_OVER: exhausted(c); return;
        }
    }
}

void dialing_start(struct conversation *c)
{
    walk_begin(&c->approach->walk, c->route->targets, c->route->target_count, &c->rw->backoff,
               conversation_now_us(c));
    looking_up_decide(c);
    dialing_go_on(c);
}

/* All are tried at once, also those that failed lately. */
void dialing_start_errand(struct conversation *c, const struct address *address)
{
    if (address != NULL)
        walk_begin_at(&c->approach->walk, c->target, address);
    else
        walk_begin(&c->approach->walk, c->target, 1, NULL, conversation_now_us(c));
    dialing_go_on(c);
}

/* The next address is tried once this socket is closed. */
static void give_up(struct conversation *c, int error)
{
    const struct address *address = walk_address(&c->approach->walk);
    char                  text[ADDRESS_TEXT];

    address_format(address, text);
    backoff_failed(&c->rw->backoff, address, conversation_now_us(c));
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT)
        fail_hint(&c->approach->failure, "%s",
                  c->route->settings->backend.source_address.count > 0
                      ? "is source_address of this machine, and of the server's family?"
                      : "if the ports ran out, name several addresses in source_address");
    if (error != 0)
        (void)fail_errno(&c->approach->failure, error, "could not connect to %s", text);
    else
        (void)fail(&c->approach->failure, FAIL_TIMEOUT,
                   "could not connect to %s within connect_timeout", text);
    pump_close(&c->backend, true);
}

void dialing_address_timed_out(struct conversation *c)
{
    give_up(c, 0);
}

void dialing_connected(struct conversation *c, int error)
{
    if (error != 0) {
        give_up(c, error);
        return;
    }
    backoff_worked(&c->rw->backoff, walk_address(&c->approach->walk));
    report_connected(c);
    greeting_start(c);
}

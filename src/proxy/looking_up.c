/* SPDX-License-Identifier: PostgreSQL */
/*
 * The verifier of a user, asked of the server before the session's own connection to it: the
 * same address, the same TLS, another login.  What was found is remembered by the worker.
 */
#include "proxy/conversation_state.h"

#include "base/name.h"

#include <stdlib.h>
#include <string.h>

/* Would the login be bridged, if there were a verifier? */
static bool would_bridge(const struct conversation *c)
{
    int way = backend_settings(c)->scram;

    /* the server's leg has TLS: with `auto` and without TLS there is no auth_query */
    return way == SCRAM_BRIDGE || (way == SCRAM_AUTO && leg_facts(&c->client.leg) != NULL);
}

static void take(struct conversation *c, const struct scram_verifier *verifier)
{
    c->approach->has_verifier = verifier != NULL;
    if (verifier != NULL)
        c->approach->verifier = *verifier;
}

void looking_up_decide(struct conversation *c)
{
    const struct userlist       *users = c->route->users;
    struct verifier_cache       *cache = route_worker_lookup(c->rw, c->route)->cache;
    const struct scram_verifier *verifier;

    if (backend_settings(c)->auth_query == NULL || !would_bridge(c) ||
        strlen(c->user) > PG_LONGEST_NAME || /* nobody; and not to be remembered */
        (users != NULL && userlist_find(users, c->user) != NULL))
        return;
    if (cache != NULL && verifier_cache_find(cache, c->user, conversation_now_us(c), &verifier))
        take(c, verifier);
    else
        c->approach->looks_up = true;
}

void looking_up_forget(struct conversation *c)
{
    struct verifier_cache *cache = route_worker_lookup(c->rw, c->route)->cache;

    if (cache != NULL)
        verifier_cache_forget(cache, c->user);
}

void looking_up_stop(struct approach *a)
{
    if (a->query == NULL)
        return;
    auth_query_fini(a->query);
    free(a->query);
    a->query = NULL;
}

/* The session's own connection comes next, to the same address. */
static void go_on(struct conversation *c)
{
    struct approach *a = c->approach;

    looking_up_stop(a);
    a->looks_up = false;
    dialing_repeat(c);
}

/* Without an answer the user is one without a verifier: `auto` lets the login pass as it is. */
static void failed_to_look_up(struct conversation *c, const struct failure *why)
{
    report_failure(c, EVENT_AUTH_FAILED, "auth_query", why);
    if (backend_settings(c)->scram == SCRAM_AUTO) {
        go_on(c);
        return;
    }
    conversation_refuse(c, END_AUTH_FAILED, "28000",
                        "the proxy could not look up how to authenticate the user",
                        "the log of the proxy has the reason");
}

/* What was told as the verifier of nobody is told to the log only. */
static void remember(struct conversation *c, const struct scram_verifier *verifier,
                     const struct failure *why)
{
    struct verifier_cache *cache = route_worker_lookup(c->rw, c->route)->cache;

    if (failed(why))
        report_failure(c, EVENT_AUTH_FAILED, "auth_query", why);
    if (cache != NULL)
        verifier_cache_put(cache, c->user, conversation_now_us(c), verifier);
    take(c, verifier);
    go_on(c);
}

static bool send_out(struct conversation *c, struct buf *out)
{
    bool sent = buf_ok(out) && pump_write(&c->backend, buf_bytes(out)) == FAIL_NONE;

    pump_flush(&c->backend);
    return sent;
}

void looking_up_start(struct conversation *c)
{
    struct approach               *a = c->approach;
    const struct backend_settings *backend = backend_settings(c);
    const struct tls_facts        *facts = leg_facts(&c->backend.leg);
    struct auth_query_options      options = {
             .role = backend->auth_query_user,
             .database =
            backend->auth_query_database != NULL ? backend->auth_query_database : "postgres",
             .statement = backend->auth_query,
             .user = c->user,
             .keys = &route_worker_lookup(c->rw, c->route)->keys,
    };
    struct buf out = buffers_take(&c->rw->worker->buffers);

    if (c->route->query_password != NULL)
        options.password = secret_bytes(c->route->query_password);
    if (facts != NULL && facts->peer_endpoint != NULL)
        options.server_hash = endpoint_hash_bytes(facts->peer_endpoint);
    options.may_be_else = facts != NULL && !facts->peer_verified;
    conversation_move(c, CONVERSATION_LOOKUP);
    looking_up_stop(a);
    a->query = calloc(1, sizeof *a->query);
    if (a->query != NULL) {
        auth_query_init(a->query, &options);
        auth_query_start(a->query, &out);
    }
    if (a->query == NULL || !send_out(c, &out))
        conversation_close(c, END_NO_MEMORY);
    else
        pump_receive(&c->backend, 0);
    buffers_give(&c->rw->worker->buffers, &out);
}

void looking_up_bytes(struct conversation *c, struct bytes in)
{
    struct auth_query      *query = c->approach->query;
    struct buf              out = buffers_take(&c->rw->worker->buffers);
    enum auth_query_verdict verdict = auth_query_feed(query, in, &out);
    bool                    sent = out.len == 0 || send_out(c, &out);
    struct failure          why = query->why;

    buffers_give(&c->rw->worker->buffers, &out);
    if (c->rw->state != ROUTE_SERVING) /* it was told to forget them */
        route_worker_forget_keys(c->rw, c->route);
    if (!sent)
        conversation_close(c, END_NO_MEMORY);
    else if (verdict == AUTH_QUERY_FOUND)
        remember(c, &query->verifier, &why);
    else if (verdict == AUTH_QUERY_NOBODY)
        remember(c, NULL, &why);
    else if (verdict == AUTH_QUERY_FAILED)
        failed_to_look_up(c, &why);
}

void looking_up_ended(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_CLOSED, "auth_query: the server closed the connection");
    failed_to_look_up(c, &why);
}

void looking_up_timed_out(struct conversation *c)
{
    struct failure why = { 0 };

    (void)fail(&why, FAIL_TIMEOUT, "auth_query: no answer within connect_timeout");
    failed_to_look_up(c, &why);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route_worker.h"

#include "base/secret.h"
#include "proxy/conversation.h"

#include <stdlib.h>
#include <string.h>

static void on_drain_deadline(struct loop_timer *timer)
{
    route_worker_stop(container_of(timer, struct route_worker, drain_deadline));
}

static struct tls_context *share(struct route_worker *rw, struct tls_context *context)
{
    if (context != NULL)
        tls_context_share(context, rw->worker->aeads);
    return context;
}

static enum fail make_client_context(struct route_worker *rw, struct trust_pool *pool,
                                     struct failure *why)
{
    const struct route *route = rw->route;

    if (route->names != NULL)
        rw->client_context = share(rw, tls_context_new_for_hosts(route->names, pool, why));
    else if (route->client_policy != NULL)
        rw->client_context = share(rw, tls_context_new_in(route->client_policy, pool, why));
    return failed(why) ? why->kind : FAIL_NONE;
}

/* A host without a backend of its own has no context of its own either. */
static enum fail make_backend_context(struct route_worker *rw, const struct route *route,
                                      struct trust_pool *pool, struct failure *why)
{
    bool is_shared = route->place > 0 && !route->settings->has_own_backend;

    if (route->backend_policy != NULL && !is_shared)
        rw->backend_contexts[route->place] =
            share(rw, tls_context_new_in(route->backend_policy, pool, why));
    return failed(why) ? why->kind : FAIL_NONE;
}

static enum fail make_contexts(struct route_worker *rw, struct trust_pool *pool,
                               struct failure *why)
{
    const struct route *route = rw->route;
    enum fail           rc;

    rw->backend_contexts = calloc(1 + route->host_count, sizeof(struct tls_context *));
    if (rw->backend_contexts == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if ((rc = make_client_context(rw, pool, why)) == FAIL_NONE)
        rc = make_backend_context(rw, route, pool, why);
    for (size_t i = 0; rc == FAIL_NONE && i < route->host_count; i++)
        rc = make_backend_context(rw, route->hosts[i], pool, why);
    return rc;
}

static enum fail make_lookup(struct route_worker *rw, const struct route *route,
                             struct failure *why)
{
    const struct backend_settings *backend = &route->settings->backend;
    struct route_lookup           *lookup = &rw->lookups[route->place];

    if (backend->auth_query == NULL || backend->auth_query_cache_us == 0)
        return FAIL_NONE;
    lookup->cache = verifier_cache_new((size_t)backend->auth_query_cache_users,
                                       backend->auth_query_cache_us);
    return lookup->cache != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

static enum fail make_lookups(struct route_worker *rw, struct failure *why)
{
    enum fail rc;

    rw->lookups = calloc(1 + rw->route->host_count, sizeof *rw->lookups);
    if (rw->lookups == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    rc = make_lookup(rw, rw->route, why);
    for (size_t i = 0; rc == FAIL_NONE && i < rw->route->host_count; i++)
        if (rw->route->hosts[i]->settings->has_own_backend)
            rc = make_lookup(rw, rw->route->hosts[i], why);
    return rc;
}

/* Nobody logs in here any more but those who have begun, and sessions may live on for months.
 */
static void forget_lookups(struct route_worker *rw)
{
    for (size_t i = 0; rw->lookups != NULL && i <= rw->route->host_count; i++) {
        verifier_cache_free(rw->lookups[i].cache);
        secret_wipe(&rw->lookups[i], sizeof rw->lookups[i]);
    }
}

struct route_lookup *route_worker_lookup(const struct route_worker *rw,
                                         const struct route        *route)
{
    return &rw->lookups[route->settings->has_own_backend ? route->place : 0];
}

void route_worker_forget_keys(struct route_worker *rw, const struct route *route)
{
    struct auth_query_keys *keys = &route_worker_lookup(rw, route)->keys;

    secret_wipe(keys, sizeof *keys);
}

struct tls_context *route_worker_backend_context(const struct route_worker *rw,
                                                 const struct route        *route)
{
    return rw->backend_contexts[route->settings->has_own_backend ? route->place : 0];
}

struct route_worker *route_worker_new(const struct route_worker_options *options,
                                      struct failure                    *why)
{
    const struct route_settings *settings = options->route->settings;
    struct route_worker         *rw = calloc(1, sizeof *rw);

    if (rw == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    rw->worker = options->worker;
    rw->generation = generation_hold(options->generation);
    rw->route = options->route;
    rw->lingering.end = &rw->lingering.first;
    rw->unproved.end = &rw->unproved.first;
    rw->drain_deadline.expired = on_drain_deadline;
    refusals_init(&rw->refusals, rw->worker->loop, rw->worker->log, settings->name);
    rw->listeners = calloc(settings->listener.bind_address.count, sizeof *rw->listeners);
    if (rw->listeners == NULL)
        (void)fail(why, FAIL_MEMORY, "out of memory");
    else if (make_contexts(rw, options->pool, why) == FAIL_NONE &&
             make_lookups(rw, why) == FAIL_NONE)
        return rw;
    route_worker_free(rw);
    return NULL;
}

void route_worker_free(struct route_worker *rw)
{
    route_worker_stop_listening(rw);
    loop_timer_stop(rw->worker->loop, &rw->drain_deadline);
    refusals_fini(&rw->refusals);
    forget_lookups(rw);
    free(rw->lookups);
    tls_context_release(rw->client_context);
    for (size_t i = 0; rw->backend_contexts != NULL && i <= rw->route->host_count; i++)
        tls_context_release(rw->backend_contexts[i]);
    free(rw->backend_contexts);
    generation_release(rw->generation);
    free(rw->listeners);
    free(rw);
}

static void on_accepted(struct loop_listener *listener, struct loop_accepted accepted)
{
    struct route_listener *rl = container_of(listener, struct route_listener, listener);

    conversation_start(rl->route_worker, accepted);
}

static void on_paused(struct loop_listener *listener, int error)
{
    struct route_listener *rl = container_of(listener, struct route_listener, listener);
    struct route_worker   *rw = rl->route_worker;
    struct log_line        line;

    if (log_begin(&line, rw->worker->log, EVENT_LISTENER_PAUSED)) {
        log_text(&line, "route", rw->route->settings->name);
        log_text(&line, "reason", strerror(error));
        log_end(&line);
    }
}

enum fail route_worker_listen(struct route_worker *rw, int fd, bool shared, struct failure *why)
{
    struct route_listener *rl = &rw->listeners[rw->listener_count];
    enum fail              rc;

    *rl = (struct route_listener){
        .listener = { .accepted = on_accepted,
                      .paused = on_paused,
                      .options = rw->route->stream_options },
        .route_worker = rw,
    };
    rc = loop_listener_start(rw->worker->loop, &rl->listener, fd, shared, why);
    if (rc == FAIL_NONE)
        rw->listener_count++;
    return rc;
}

void route_worker_stop_listening(struct route_worker *rw)
{
    while (rw->listener_count > 0)
        loop_listener_stop(&rw->listeners[--rw->listener_count].listener);
}

/* Conversations leave the list later, never from within `act`. */
static void for_each_conversation(struct route_worker *rw, void (*act)(struct conversation *))
{
    struct conversation *next;

    for (struct conversation *c = rw->conversations; c != NULL; c = next) {
        next = conversation_next(c);
        act(c);
    }
}

void route_worker_lost_one(struct route_worker *rw)
{
    if (rw->state != ROUTE_SERVING && rw->conversations == NULL)
        rw->emptied(rw);
}

void route_worker_retire(struct route_worker *rw)
{
    route_worker_stop_listening(rw);
    forget_lookups(rw);
    rw->state = ROUTE_RETIRED;
    route_worker_lost_one(rw);
}

void route_worker_drain(struct route_worker *rw)
{
    if (rw->state == ROUTE_DRAINING)
        return;
    route_worker_stop_listening(rw);
    forget_lookups(rw);
    rw->state = ROUTE_DRAINING;
    loop_timer_start(rw->worker->loop, &rw->drain_deadline,
                     rw->route->settings->limits.drain_timeout_us);
    for_each_conversation(rw, conversation_drain);
    route_worker_lost_one(rw);
}

void route_worker_stop(struct route_worker *rw)
{
    loop_timer_stop(rw->worker->loop, &rw->drain_deadline);
    for_each_conversation(rw, conversation_stop);
}

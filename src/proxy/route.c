/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route.h"

#include "io/address.h"
#include "proxy/conversation.h"
#include "x509/certificate.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- loading ---- */

static void tell(struct conf_problems *problems, const struct route_settings *settings,
                 const char *setting, const struct failure *why)
{
    settings_problem(problems, false, settings, setting, "%s%s%s", why->text,
                     why->hint[0] != '\0' ? "; " : "", why->hint);
}

static struct identity *load_identity(const struct route_settings *settings,
                                      const char *setting, const char *cert, const char *key,
                                      struct conf_problems *problems)
{
    struct identity_files files = { .cert = cert, .key = key };
    struct failure        why = { 0 };
    struct identity      *identity = identity_load(&files, &why);

    if (identity == NULL)
        tell(problems, settings, setting, &why);
    return identity;
}

static struct trust *load_trust(const struct route_settings *settings, const char *setting,
                                const char *file, struct conf_problems *problems)
{
    struct failure why = { 0 };
    struct trust  *trust = trust_load(file, &why);

    if (trust == NULL)
        tell(problems, settings, setting, &why);
    return trust;
}

/* Makes the policy and lets go of what it holds by itself now. */
static struct tls_policy *make_policy(const struct route_settings     *settings,
                                      const char                      *setting,
                                      const struct tls_policy_options *options, bool complete,
                                      struct conf_problems *problems)
{
    struct failure     why = { 0 };
    struct tls_policy *policy = NULL;

    if (complete) {
        policy = tls_policy_new(options, &why);
        if (policy == NULL)
            tell(problems, settings, setting, &why);
    }
    identity_release(options->identity);
    trust_release(options->trust);
    return policy;
}

static struct tls_policy *load_client_policy(const struct route_settings *settings,
                                             struct conf_problems        *problems)
{
    const struct listener_settings *listener = &settings->listener;
    bool                            asks = listener->client_ca != NULL;
    struct tls_policy_options       options = {
              .role = TLS_SERVER,
              .peer_check = asks ? TLS_PEER_CHAIN : TLS_PEER_ANY,
              .max_record_bytes = listener->max_record_bytes,
              .identity = load_identity(settings, "listener.server_cert", listener->server_cert,
                                        listener->server_key, problems),
              .trust = asks
                           ? load_trust(settings, "listener.client_ca", listener->client_ca, problems)
                           : NULL,
    };

    return make_policy(settings, "listener.server_cert", &options,
                       options.identity != NULL && (options.trust != NULL || !asks), problems);
}

static struct tls_policy *load_backend_policy(const struct route_settings *settings,
                                              struct conf_problems        *problems)
{
    const struct backend_settings *backend = &settings->backend;
    bool                           verifies = backend->root_ca != NULL;
    bool                           shows = backend->client_cert != NULL;
    struct tls_policy_options      options = {
             .role = TLS_CLIENT,
             .peer_check = !verifies                                 ? TLS_PEER_ANY
                           : backend->sslmode == SSLMODE_VERIFY_FULL ? TLS_PEER_NAME
                                                                     : TLS_PEER_CHAIN,
    };

    if (verifies)
        options.trust = load_trust(settings, "backend.root_ca", backend->root_ca, problems);
    if (shows)
        options.identity = load_identity(settings, "backend.client_cert", backend->client_cert,
                                         backend->client_key, problems);
    return make_policy(
        settings, "backend.sslmode", &options,
        (options.trust != NULL || !verifies) && (options.identity != NULL || !shows), problems);
}

static void set_stream_options(struct route *route)
{
    const struct limit_settings *limits = &route->settings->limits;

    route->stream_options = (struct stream_options){
        .no_delay = true,
        .keepalive_s = (unsigned)((limits->tcp_keepalive_us + 999999) / 1000000),
        .user_timeout_ms = (unsigned)(limits->tcp_user_timeout_us / 1000),
    };
}

struct route *route_new(const struct route_settings *settings, struct conf_problems *problems)
{
    struct route  *route = calloc(1, sizeof *route);
    size_t         errors = problems->error_count;
    struct failure why = { 0 };

    if (route == NULL) {
        conf_problem_add(problems, false, settings->line, "route \"%s\": out of memory",
                         settings->name);
        return NULL;
    }
    route->settings = settings;
    route->gate_policy = GATE_TLS_NEVER;
    if (settings->listener.sslmode != SSLMODE_DISABLE) {
        route->gate_policy = GATE_TLS_REQUIRED;
        route->client_policy = load_client_policy(settings, problems);
    }
    if (settings->backend.sslmode != SSLMODE_DISABLE)
        route->backend_policy = load_backend_policy(settings, problems);
    if (address_split(settings->backend.address, route->backend_host,
                      sizeof route->backend_host, &route->backend_port, &route->backend_is_unix,
                      &why) != FAIL_NONE)
        tell(problems, settings, "backend.address", &why);
    set_stream_options(route);
    if (problems->error_count > errors) {
        route_free(route);
        return NULL;
    }
    if (route->client_policy != NULL)
        route->own_leaf = identity_leaf_der(tls_policy_options(route->client_policy)->identity);
    return route;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    tls_policy_release(route->client_policy);
    tls_policy_release(route->backend_policy);
    free(route);
}

bool route_take_session(struct route *route)
{
    if (atomic_fetch_add(&route->sessions, 1) < route->settings->limits.max_connections)
        return true;
    atomic_fetch_sub(&route->sessions, 1);
    return false;
}

void route_give_session(struct route *route)
{
    atomic_fetch_sub(&route->sessions, 1);
}

/* ---- a worker's part ---- */

static void stop_listening(struct route_worker *rw);

static void on_drain_deadline(struct loop_timer *timer)
{
    route_worker_stop(container_of(timer, struct route_worker, drain_deadline));
}

enum fail route_worker_init(struct route_worker *rw, struct route *route, struct worker *worker,
                            struct failure *why)
{
    *rw = (struct route_worker){
        .worker = worker,
        .route = route,
        .drain_deadline.expired = on_drain_deadline,
        .emptied = rw->emptied,
    };
    if (route->client_policy != NULL) {
        rw->client_context = tls_context_new(route->client_policy, why);
        if (rw->client_context == NULL)
            return why->kind;
    }
    if (route->backend_policy != NULL) {
        rw->backend_context = tls_context_new(route->backend_policy, why);
        if (rw->backend_context == NULL)
            return why->kind;
    }
    return FAIL_NONE;
}

void route_worker_fini(struct route_worker *rw)
{
    stop_listening(rw);
    loop_timer_stop(rw->worker->loop, &rw->drain_deadline);
    tls_context_release(rw->client_context);
    tls_context_release(rw->backend_context);
    free(rw->listeners);
    *rw = (struct route_worker){ 0 };
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

enum fail route_worker_expect_listeners(struct route_worker *rw, size_t count,
                                        struct failure *why)
{
    rw->listeners = calloc(count, sizeof *rw->listeners);
    return rw->listeners != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");
}

enum fail route_worker_listen(struct route_worker *rw, int fd, bool shared, struct failure *why)
{
    struct route_listener *rl = &rw->listeners[rw->listener_count];
    enum fail              rc;

    *rl = (struct route_listener){
        .listener = { .accepted = on_accepted, .paused = on_paused },
        .route_worker = rw,
    };
    rc = loop_listener_start(rw->worker->loop, &rl->listener, fd, shared, why);
    if (rc == FAIL_NONE)
        rw->listener_count++;
    return rc;
}

static void stop_listening(struct route_worker *rw)
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

void route_worker_drain(struct route_worker *rw)
{
    stop_listening(rw);
    rw->draining = true;
    if (rw->conversations == NULL) {
        rw->emptied(rw);
        return;
    }
    loop_timer_start(rw->worker->loop, &rw->drain_deadline,
                     rw->route->settings->limits.drain_timeout_us);
    for_each_conversation(rw, conversation_drain);
}

void route_worker_stop(struct route_worker *rw)
{
    loop_timer_stop(rw->worker->loop, &rw->drain_deadline);
    for_each_conversation(rw, conversation_stop);
}

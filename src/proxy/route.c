/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route.h"

#include "io/address.h"

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

static struct route_tally *hold_tally(const struct route *before)
{
    struct route_tally *tally = before != NULL ? before->tally : calloc(1, sizeof *tally);

    if (tally != NULL)
        atomic_fetch_add(&tally->holders, 1);
    return tally;
}

struct route *route_new(const struct route_settings *settings, const struct route *before,
                        struct conf_problems *problems)
{
    struct route  *route = calloc(1, sizeof *route);
    size_t         errors = problems->error_count;
    struct failure why = { 0 };

    if (route == NULL || (route->tally = hold_tally(before)) == NULL) {
        free(route);
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
    if (atomic_fetch_sub(&route->tally->holders, 1) == 1)
        free(route->tally);
    free(route);
}

bool route_take_session(const struct route *route)
{
    if (atomic_fetch_add(&route->tally->sessions, 1) < route->settings->limits.max_connections)
        return true;
    atomic_fetch_sub(&route->tally->sessions, 1);
    return false;
}

void route_give_session(const struct route *route)
{
    atomic_fetch_sub(&route->tally->sessions, 1);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/generation.h"

#include "io/clock.h"
#include "proxy/settings_paths.h"
#include "x509/certificate.h"

#include <stdlib.h>
#include <string.h>

static void free_generation(struct generation *generation)
{
    for (size_t i = 0; generation->routes != NULL && i < generation->settings->route_count; i++)
        route_free(generation->routes[i]);
    free(generation->routes);
    settings_paths_fini(&generation->files);
    settings_free(generation->settings);
    free(generation);
}

/* Before they are read, so that what changes meanwhile is seen as a change. */
static void list_files(struct generation *generation, struct conf_problems *problems)
{
    if (!settings_paths(generation->settings, &generation->files))
        conf_problem_add(problems, false, 0, "out of memory");
    else
        (void)file_list_digest(&generation->files, &generation->digest);
}

static void load_routes(struct generation *generation, const struct generation *before,
                        struct conf_problems *problems)
{
    const struct proxy_settings *settings = generation->settings;
    struct trust_pool           *pool = trust_pool_new();

    generation->routes = calloc(settings->route_count, sizeof *generation->routes);
    if (generation->routes == NULL || pool == NULL)
        conf_problem_add(problems, false, 0, "out of memory");
    for (size_t i = 0; generation->routes != NULL && i < settings->route_count; i++)
        generation->routes[i] = route_new(
            &settings->routes[i],
            before != NULL ? generation_route(before, settings->routes[i].name) : NULL, pool,
            problems);
    trust_pool_free(pool);
}

/* ---- certificates that take the place of others ---- */

/* One of several is enough: it is what some of the peers are shown. */
static bool has_expired(const struct tls_policy *policy, int64_t now)
{
    const struct identity *identity;

    for (size_t i = 0; policy != NULL && i < TLS_MOST_IDENTITIES; i++)
        if ((identity = tls_policy_identity(policy, i)) != NULL &&
            identity_facts(identity)->not_after < now)
            return true;
    return false;
}

static bool is_valid(const struct tls_policy *policy, int64_t now)
{
    return policy != NULL && tls_policy_identity(policy, 0) != NULL &&
           !has_expired(policy, now);
}

static void refuse_expired(const struct route *before, const struct route *route,
                           struct conf_problems *problems)
{
    static const char *const text =
        "the certificate has expired, and the one that is served has not; renew it";
    int64_t now = (int64_t)(clock_wall_us() / 1000000);

    if (is_valid(before->client_policy, now) && has_expired(route->client_policy, now))
        settings_problem(problems, false, route->settings, "listener.server_cert", "%s", text);
    if (is_valid(before->backend_policy, now) && has_expired(route->backend_policy, now))
        settings_problem(problems, false, route->settings, "backend.client_cert", "%s", text);
}

static bool has_ended_list(const struct trust *trust, int64_t now)
{
    for (size_t i = 0; i < trust_crl_count(trust); i++)
        if (trust_crl_has_ended(trust, i, now))
            return true;
    return false;
}

static const struct trust *trust_of(const struct tls_policy *policy)
{
    return policy != NULL ? tls_policy_options(policy)->trust : NULL;
}

/* With a list that has ended everybody would be refused, and nobody is now. */
static bool ends_lists(const struct tls_policy *before, const struct tls_policy *policy,
                       int64_t now)
{
    const struct trust *served = trust_of(before), *trust = trust_of(policy);

    return served != NULL && trust != NULL && !has_ended_list(served, now) &&
           has_ended_list(trust, now);
}

static void refuse_ended_lists(const struct route *before, const struct route *route,
                               struct conf_problems *problems)
{
    static const char *const text =
        "a revocation list has expired, and all that its authority signed would be refused, "
        "which is not so now; get a new one";
    const struct route_settings *settings = route->settings;
    int64_t                      now = (int64_t)(clock_wall_us() / 1000000);

    if (ends_lists(before->client_policy, route->client_policy, now))
        settings_problem(problems, false, settings,
                         settings->listener.client_crl_file != NULL ? "listener.client_crl_file"
                                                                    : "listener.client_crl_dir",
                         "%s", text);
    if (ends_lists(before->backend_policy, route->backend_policy, now))
        settings_problem(problems, false, settings,
                         settings->backend.crl_file != NULL ? "backend.crl_file"
                                                            : "backend.crl_dir",
                         "%s", text);
}

/* Hosts are the same where their first name is. */
static const struct route *same_host(const struct route *port, const struct route *host)
{
    const char *name = host->settings->listener.names.items[0];

    for (size_t i = 0; i < port->host_count; i++)
        if (strcmp(port->hosts[i]->settings->listener.names.items[0], name) == 0)
            return port->hosts[i];
    return NULL;
}

static void refuse_expired_hosts(const struct route *before, const struct route *route,
                                 struct conf_problems *problems)
{
    for (size_t i = 0; i < route->host_count; i++) {
        const struct route *served = same_host(before, route->hosts[i]);

        if (served != NULL) {
            refuse_expired(served, route->hosts[i], problems);
            refuse_ended_lists(served, route->hosts[i], problems);
        }
    }
}

static void refuse_to_expire(const struct generation *generation,
                             const struct generation *before, struct conf_problems *problems)
{
    for (size_t i = 0; i < generation->settings->route_count; i++) {
        const struct route *route = generation->routes[i];
        const struct route *served = generation_route(before, route->settings->name);

        if (served == NULL)
            continue;
        refuse_expired(served, route, problems);
        refuse_ended_lists(served, route, problems);
        refuse_expired_hosts(served, route, problems);
    }
}

struct generation *generation_new(struct proxy_settings   *settings,
                                  const struct generation *before,
                                  struct conf_problems    *problems)
{
    struct generation *generation = calloc(1, sizeof *generation);

    if (generation == NULL) {
        settings_free(settings);
        conf_problem_add(problems, false, 0, "out of memory");
        return NULL;
    }
    generation->holders = 1;
    generation->number = before != NULL ? before->number + 1 : 1;
    generation->settings = settings;
    list_files(generation, problems);
    load_routes(generation, before, problems);
    if (before != NULL && problems->error_count == 0)
        refuse_to_expire(generation, before, problems);
    if (problems->error_count == 0)
        return generation;
    free_generation(generation);
    return NULL;
}

struct generation *generation_load(const struct settings_source *source,
                                   const struct generation      *before,
                                   struct conf_problems         *problems)
{
    struct proxy_settings *settings = settings_load(source, problems);

    return settings != NULL ? generation_new(settings, before, problems) : NULL;
}

struct generation *generation_renew(const struct generation *before,
                                    struct conf_problems    *problems)
{
    problems->file = before->settings->file;
    return generation_new(settings_hold(before->settings), before, problems);
}

struct generation *generation_hold(struct generation *generation)
{
    atomic_fetch_add(&generation->holders, 1);
    return generation;
}

void generation_release(struct generation *generation)
{
    if (generation != NULL && atomic_fetch_sub(&generation->holders, 1) == 1)
        free_generation(generation);
}

const struct route *generation_route(const struct generation *generation, const char *name)
{
    for (size_t i = 0; i < generation->settings->route_count; i++)
        if (strcmp(generation->settings->routes[i].name, name) == 0)
            return generation->routes[i];
    return NULL;
}

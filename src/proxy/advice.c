/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/advice.h"

#include "io/clock.h"
#include "x509/certificate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct advice {
    struct conf_problems *problems;
    struct trust_pool    *pool;
    struct trust         *system; /* NULL: there is none */
};

/* One certificate with its chain, and who names it. */
struct subject {
    const struct route    *route;
    const char            *setting;
    const struct identity *identity;
    struct advice         *advice;
};

static void advise(const struct subject *about, const char *what, const char *hint)
{
    settings_problem(about->advice->problems, true, about->route->settings, about->setting,
                     "%s: %s; %s", identity_file(about->identity), what, hint);
}

/* ---- what it is for ---- */

static void look_at_purpose(const struct subject *about, bool is_server)
{
    if (is_server && !identity_has_server_auth(about->identity))
        advise(about,
               "the certificate is not for servers and clients that verify will refuse it",
               "issue one with the extended key usage serverAuth");
    if (!is_server && !identity_has_client_auth(about->identity))
        advise(about,
               "the certificate is not for clients and servers that verify will refuse it",
               "issue one with the extended key usage clientAuth");
}

/* ---- whether its chain is whole ---- */

static struct trust *trust_of(const struct tls_policy *policy)
{
    return policy != NULL ? tls_policy_options(policy)->trust : NULL;
}

static enum identity_end end_in(const struct subject *about, struct trust *trust)
{
    return trust != NULL ? identity_end(about->identity, about->advice->pool, trust)
                         : IDENTITY_ENDS_UNKNOWN;
}

static enum identity_end end_of(const struct subject *about)
{
    const enum identity_end ends[] = {
        end_in(about, trust_of(about->route->client_policy)),
        end_in(about, trust_of(about->route->backend_policy)),
        end_in(about, about->advice->system),
    };
    enum identity_end end = IDENTITY_ENDS_UNKNOWN;

    for (size_t i = 0; i < sizeof ends / sizeof *ends && end != IDENTITY_ENDS_AT_ROOT; i++)
        if (ends[i] != IDENTITY_ENDS_UNKNOWN)
            end = ends[i];
    return end;
}

static void look_at_chain(const struct subject *about)
{
    size_t            length = identity_chain_length(about->identity);
    enum identity_end end = end_of(about);
    char              what[300];

    snprintf(what, sizeof what, "the chain stops below \"%.180s\"",
             identity_chain_facts(about->identity, length - 1)->issuer);
    if (end == IDENTITY_LACKS_ITS_LINK)
        advise(about, what, "that is no root: append its certificate to the file");
    else if (end == IDENTITY_ENDS_UNKNOWN && length == 1)
        advise(about, what,
               "unless that is a root, which is not known here, append its certificate to the "
               "file");
}

/* ---- dates; of the leaf the load itself warns ---- */

static bool has_expired(const struct certificate_facts *facts)
{
    return facts->not_after < (int64_t)(clock_wall_us() / 1000000);
}

static void look_at_dates(const struct subject *about)
{
    for (size_t i = 1; i < identity_chain_length(about->identity); i++) {
        const struct certificate_facts *facts = identity_chain_facts(about->identity, i);
        char                            what[300];

        if (!has_expired(facts))
            continue;
        snprintf(what, sizeof what, "\"%.200s\" of the chain has expired", facts->subject);
        advise(about, what, "replace it by the one that its authority issues now");
    }
}

static void look_at_authorities(const struct route *route, const char *setting,
                                const struct tls_policy *policy, struct conf_problems *problems)
{
    const struct trust *trust = trust_of(policy);

    for (size_t i = 0; trust != NULL && i < trust_count(trust); i++)
        if (has_expired(trust_facts(trust, i)))
            settings_problem(problems, true, route->settings, setting,
                             "%s: \"%.200s\" has expired, and nothing that it signed is taken; "
                             "put its successor there",
                             trust_source(trust), trust_facts(trust, i)->subject);
}

/* ---- all ---- */

static void look_at_policy(const struct route *route, const char *setting,
                           const struct tls_policy *policy, struct advice *advice)
{
    for (size_t i = 0; policy != NULL && i < TLS_MOST_IDENTITIES; i++) {
        const struct subject about = { route, setting, tls_policy_identity(policy, i), advice };

        if (about.identity == NULL)
            continue;
        look_at_purpose(&about, policy == route->client_policy);
        look_at_chain(&about);
        look_at_dates(&about);
    }
}

/* A client that verifies would refuse the host by that name. */
static void look_at_names(const struct route *host, struct advice *advice)
{
    const struct conf_strings *names = &host->settings->listener.names;

    for (size_t n = 0; n < names->count; n++) {
        const char *name = names->items[n];

        if (strcmp(name, TLS_HOST_DEFAULT) == 0 || strcmp(name, TLS_HOST_NO_SNI) == 0)
            continue;
        for (size_t i = 0; i < TLS_MOST_IDENTITIES; i++) {
            const struct subject about = { host, "listener.server_cert",
                                           tls_policy_identity(host->client_policy, i),
                                           advice };
            char                 what[300];

            if (about.identity == NULL || identity_covers_name(about.identity, name))
                continue;
            snprintf(what, sizeof what, "the certificate is not for the host name \"%.250s\"",
                     name);
            advise(&about, what, "clients with verify-full will refuse it; add the name to it");
        }
    }
}

/* unix_socket_directories of PostgreSQL has the folder, and the socket is in it. */
static void look_at_sockets(const struct route *route, struct advice *advice)
{
    const struct conf_strings *list = &route->settings->backend.addresses;
    struct stat                st;

    for (size_t i = 0; i < list->count; i++) {
        const char *address = list->items[i];

        if (strncmp(address, "unix:", 5) == 0 && stat(address + 5, &st) == 0 &&
            S_ISDIR(st.st_mode))
            settings_problem(advice->problems, true, route->settings, "backend.address",
                             "\"%s\" is a folder; name the socket in it, such as "
                             "\"%s/.s.PGSQL.5432\"",
                             address, address);
    }
}

static void look_at_route(const struct route *route, struct advice *advice)
{
    look_at_policy(route, "listener.server_cert", route->client_policy, advice);
    look_at_authorities(route, "listener.client_ca", route->client_policy, advice->problems);
    if (route->place == 0 || route->settings->has_own_backend) {
        look_at_policy(route, "backend.client_cert", route->backend_policy, advice);
        look_at_authorities(route, "backend.root_ca", route->backend_policy, advice->problems);
        look_at_sockets(route, advice);
    }
    for (size_t i = 0; i < route->host_count; i++) {
        look_at_route(route->hosts[i], advice);
        look_at_names(route->hosts[i], advice);
    }
}

void advice_give(const struct generation *generation, struct conf_problems *problems)
{
    struct advice advice = { .problems = problems,
                             .pool = trust_pool_new(),
                             .system = trust_load(TRUST_SYSTEM, NULL) };

    for (size_t i = 0; i < generation->settings->route_count; i++)
        look_at_route(generation->routes[i], &advice);
    trust_release(advice.system);
    trust_pool_free(advice.pool);
}

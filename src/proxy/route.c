/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route.h"

#include "io/address.h"
#include "proxy/route_policy.h"

#include <stdlib.h>

#define CANCELS_MOST ((size_t)1000000)

/* ---- loading ---- */

struct loading {
    struct trust_pool    *pool;
    struct conf_problems *problems;
};

static void tell(struct conf_problems *problems, const struct route_settings *settings,
                 const char *setting, const struct failure *why)
{
    settings_problem(problems, false, settings, setting, "%s%s%s", why->text,
                     why->hint[0] != '\0' ? "; " : "", why->hint);
}

struct stream_options route_stream_options(const struct route_settings *settings)
{
    const struct limit_settings *limits = &settings->limits;

    return (struct stream_options){
        .no_delay = true,
        .keepalive_s = (unsigned)((limits->tcp_keepalive_us + 999999) / 1000000),
        .user_timeout_ms = (unsigned)(limits->tcp_user_timeout_us / 1000),
    };
}

/* ---- addresses ---- */

/* Two hosts may reach the same server in different ways. */
static uint64_t target_id(const struct route_settings *settings, const char *text)
{
    uint64_t id = BYTES_HASH_START;

    if (settings->has_own_backend)
        id = bytes_hash(id, bytes_of_string(settings->listener.names.items[0]));
    return bytes_hash(id, bytes_of_string(text));
}

/* Certificates have no dot at the end, and SNI may not (RFC 6066 section 3). */
static void set_name(struct route_target *target)
{
    size_t len = strlen(target->host);

    if (len > 0 && target->host[len - 1] == '.')
        len--;
    memcpy(target->name, target->host, len);
    target->name[len] = '\0';
}

static void set_target(struct route *route, struct route_target *target, const char *text,
                       struct conf_problems *problems)
{
    const struct backend_settings *backend = &route->settings->backend;
    struct failure                 why = { 0 };

    target->text = text;
    target->id = target_id(route->settings, text);
    if (address_split(text, target->host, sizeof target->host, &target->port, &target->is_unix,
                      &why) != FAIL_NONE)
        tell(problems, route->settings, "backend.address", &why);
    set_name(target);
    target->verify_name = backend->verify_name != NULL ? backend->verify_name : target->name;
    target->sni = backend->sni != NULL ? backend->sni : target->name;
}

static bool parse_networks(struct network **out, const struct conf_strings *list)
{
    struct failure ignored = { 0 }; /* proved by settings_check */

    *out = calloc(list->count + 1, sizeof **out);
    for (size_t i = 0; *out != NULL && i < list->count; i++)
        if (network_parse(&(*out)[i], list->items[i], &ignored) != FAIL_NONE)
            return false;
    return *out != NULL;
}

static bool parse_sources(struct route *route, const struct conf_strings *list)
{
    route->sources = calloc(list->count + 1, sizeof *route->sources);
    for (size_t i = 0; route->sources != NULL && i < list->count; i++)
        if (!address_from_numeric(&route->sources[i], list->items[i], 0))
            return false;
    return route->sources != NULL;
}

static bool set_addresses(struct route *route, struct conf_problems *problems)
{
    const struct route_settings *settings = route->settings;
    const struct conf_strings   *addresses = &settings->backend.addresses;

    route->targets = calloc(addresses->count + 1, sizeof *route->targets);
    if (route->targets == NULL)
        return false;
    route->target_count = addresses->count;
    for (size_t i = 0; i < addresses->count; i++)
        set_target(route, &route->targets[i], addresses->items[i], problems);
    return parse_networks(&route->allow, &settings->listener.allow) &&
           parse_networks(&route->deny, &settings->listener.deny) &&
           parse_networks(&route->trusted, &settings->listener.trusted_proxies) &&
           parse_sources(route, &settings->backend.source_address);
}

/* ---- tallies ---- */

static void free_tally(struct route_tally *tally)
{
    ip_counts_free(tally->by_ip);
    cancel_table_free(tally->cancels);
    free(tally);
}

static struct route_tally *new_tally(void)
{
    struct route_tally *tally = calloc(1, sizeof *tally);

    if (tally == NULL)
        return NULL;
    source_rate_init(&tally->cancels_by_source);
    tally->by_ip = ip_counts_new();
    tally->cancels = cancel_table_new(CANCELS_MOST);
    if (tally->by_ip != NULL && tally->cancels != NULL)
        return tally;
    free_tally(tally);
    return NULL;
}

static struct route_tally *hold_tally(const struct route *before)
{
    struct route_tally *tally = before != NULL ? before->tally : new_tally();

    if (tally != NULL)
        atomic_fetch_add(&tally->holders, 1);
    return tally;
}

static void release_tally(struct route_tally *tally)
{
    if (tally == NULL || atomic_fetch_sub(&tally->holders, 1) > 1)
        return;
    free_tally(tally);
}

/* ---- routes ---- */

static enum gate_policy gate_policy(int sslmode)
{
    switch (sslmode) {
    case SSLMODE_DISABLE: return GATE_TLS_NEVER;
    case SSLMODE_ALLOW:
    case SSLMODE_PREFER: return GATE_TLS_OPTIONAL;
    default: return GATE_TLS_REQUIRED;
    }
}

/* RFC 5929 has no hash for it: clients that require channel binding are refused then. */
static void warn_of_binding(const struct route_settings *settings,
                            const struct identity *identity, struct conf_problems *problems)
{
    const struct endpoint_hash *hash = identity_endpoint_hash(identity);

    if (hash->len == 0)
        settings_problem(problems, true, settings, "listener.server_cert",
                         "the certificate is signed with %s, for which channel binding is not "
                         "defined, and SCRAM-SHA-256-PLUS is not offered to clients; take one "
                         "signed with RSA or ECDSA",
                         hash->signature);
}

/* A port with hosts shows no certificate of its own. */
static void load_client_side(struct route *route, const struct loading *loading)
{
    const struct route_settings *settings = route->settings;
    struct buf                   map_text = BUF_LIMIT(0);

    if (settings->host_count > 0 || settings->listener.sslmode == SSLMODE_DISABLE)
        return;
    route->map = settings_load_map(settings, &map_text, loading->problems);
    route->client_policy = route_policy_of_clients(settings, buf_bytes(&map_text),
                                                   loading->pool, loading->problems);
    buf_fini(&map_text);
    if (route->client_policy != NULL && settings->backend.scram == SCRAM_BRIDGE)
        warn_of_binding(settings, tls_policy_options(route->client_policy)->identity,
                        loading->problems);
}

static void load_backend_side(struct route *route, const struct route *port,
                              const struct loading *loading)
{
    const struct route_settings *settings = route->settings;

    if (port != NULL && !settings->has_own_backend) {
        route->backend_policy =
            port->backend_policy != NULL ? tls_policy_hold(port->backend_policy) : NULL;
        route->users = port->users;
        route->query_password = port->query_password;
        return;
    }
    if (!settings_has_backend(settings))
        return;
    if (settings->backend.sslmode != SSLMODE_DISABLE)
        route->backend_policy =
            route_policy_of_backend(settings, loading->pool, loading->problems);
    route->users = route->own_users = settings_load_users(settings, loading->problems);
    route->own_query_password = settings_load_query_password(settings, loading->problems);
    route->query_password = &route->own_query_password;
}

/* `port`: of a host.  Takes the tally over. */
static struct route *load_route(const struct route_settings *settings,
                                struct route_tally *tally, const struct route *port,
                                const struct loading *loading)
{
    struct route *route = calloc(1, sizeof *route);

    if (route == NULL) {
        release_tally(tally);
    } else {
        route->settings = settings;
        route->tally = tally;
        route->gate_policy = gate_policy(settings->listener.sslmode);
        load_client_side(route, loading);
        load_backend_side(route, port, loading);
        route->stream_options = route_stream_options(route->settings);
    }
    if (route == NULL || tally == NULL || !set_addresses(route, loading->problems))
        conf_problem_add(loading->problems, false, settings->line,
                         "route \"%s\": out of memory", settings->name);
    return route;
}

/* ---- hosts ---- */

static void name_hosts(struct route *port, struct conf_problems *problems)
{
    struct tls_host *hosts = calloc(port->host_count, sizeof *hosts);
    struct failure   why = { 0 };

    for (size_t i = 0; hosts != NULL && i < port->host_count; i++) {
        const struct conf_strings *names = &port->hosts[i]->settings->listener.names;

        hosts[i] = (struct tls_host){ (const char *const *)names->items, names->count,
                                      port->hosts[i]->client_policy };
    }
    if (hosts == NULL)
        (void)fail(&why, FAIL_MEMORY, "out of memory");
    else
        port->names = tls_hosts_new(hosts, port->host_count, &why);
    if (port->names == NULL)
        tell(problems, port->hosts[0]->settings, "listener.names", &why);
    free(hosts);
}

static void load_hosts(struct route *port, const struct loading *loading)
{
    const struct route_settings *settings = port->settings;
    bool                         are_good = true;

    port->hosts = calloc(settings->host_count + 1, sizeof(struct route *));
    if (port->hosts == NULL) {
        conf_problem_add(loading->problems, false, settings->line,
                         "route \"%s\": out of memory", settings->name);
        return;
    }
    for (size_t i = 0; i < settings->host_count; i++) {
        struct route *host = load_route(&settings->hosts[i], hold_tally(port), port, loading);

        are_good = are_good && host != NULL && host->client_policy != NULL;
        if (host == NULL)
            continue;
        host->place = i + 1;
        port->backend_count += host->settings->has_own_backend;
        port->hosts[port->host_count++] = host;
    }
    if (are_good && port->host_count > 0)
        name_hosts(port, loading->problems);
}

struct route *route_new(const struct route_settings *settings, const struct route *before,
                        struct trust_pool *pool, struct conf_problems *problems)
{
    const struct loading loading = { pool, problems };
    size_t               errors = problems->error_count;
    struct route        *route = load_route(settings, hold_tally(before), NULL, &loading);

    if (route != NULL) {
        route->backend_count = settings_has_backend(settings);
        load_hosts(route, &loading);
    }
    if (problems->error_count == errors)
        return route;
    route_free(route);
    return NULL;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    for (size_t i = 0; i < route->host_count; i++)
        route_free(route->hosts[i]);
    free(route->hosts);
    tls_hosts_release(route->names);
    tls_policy_release(route->client_policy);
    tls_policy_release(route->backend_policy);
    ident_map_free(route->map);
    userlist_free(route->own_users);
    secret_fini(&route->own_query_password);
    release_tally(route->tally);
    free(route->targets);
    free(route->allow);
    free(route->deny);
    free(route->trusted);
    free(route->sources);
    free(route);
}

/* ---- limits ---- */

static bool is_in(const struct network *networks, size_t count, const struct address *client)
{
    for (size_t i = 0; i < count; i++)
        if (network_contains(&networks[i], client))
            return true;
    return false;
}

bool route_trusts(const struct route *route, const struct address *peer)
{
    return address_is_unix(peer) ||
           is_in(route->trusted, route->settings->listener.trusted_proxies.count, peer);
}

enum admission route_admits(const struct route *route, const struct address *client)
{
    const struct listener_settings *listener = &route->settings->listener;

    if (address_is_unix(client))
        return ADMITTED;
    if (listener->allow.count > 0 && !is_in(route->allow, listener->allow.count, client))
        return NOT_ALLOWED;
    return is_in(route->deny, listener->deny.count, client) ? DENIED : ADMITTED;
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

bool route_take_handshake(const struct route *route, uint64_t now_us)
{
    uint64_t limit = route->settings->limits.handshakes_per_second;

    return limit == 0 || rate_take(&route->tally->handshakes, limit, now_us);
}

bool route_take_broadcast(const struct route *route, uint64_t now_us)
{
    return rate_take(&route->tally->broadcasts, BROADCASTS_PER_SECOND, now_us);
}

bool route_take_cancel(const struct route *route, const struct address *client, uint64_t now_us)
{
    return source_rate_take(&route->tally->cancels_by_source, client, CANCELS_PER_SECOND,
                            now_us);
}

/* How many of the sources a connection to that address may come from. */
static size_t count_sources(const struct route *route, const struct address *to)
{
    size_t count = 0;

    for (size_t i = 0; i < route->settings->backend.source_address.count; i++)
        count += route->sources[i].length == to->length;
    return count;
}

const struct address *route_source(const struct route *route, const struct address *to)
{
    size_t                count = count_sources(route, to), turn;
    const struct address *source = route->sources;

    if (route->settings->backend.source_address.count == 0)
        return NULL;
    if (count == 0)
        return source; /* connecting from it fails, and says so */
    turn = atomic_fetch_add(&route->tally->next_source, 1) % count;
    for (;; source++)
        if (source->length == to->length && turn-- == 0)
            return source;
}

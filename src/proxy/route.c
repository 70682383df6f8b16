/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/route.h"

#include "io/address.h"
#include "proxy/route_policy.h"

#include <stdlib.h>

#define CANCELS_MOST ((size_t)1000000)

/* ---- loading ---- */

static void tell(struct conf_problems *problems, const struct route_settings *settings,
                 const char *setting, const struct failure *why)
{
    settings_problem(problems, false, settings, setting, "%s%s%s", why->text,
                     why->hint[0] != '\0' ? "; " : "", why->hint);
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

/* ---- addresses ---- */

static uint64_t text_id(const char *text)
{
    uint64_t id = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *text != '\0'; text++)
        id = (id ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return id;
}

static void set_target(struct route *route, struct route_target *target, const char *text,
                       struct conf_problems *problems)
{
    const struct backend_settings *backend = &route->settings->backend;
    struct failure                 why = { 0 };

    target->text = text;
    target->id = text_id(text);
    if (address_split(text, target->host, sizeof target->host, &target->port, &target->is_unix,
                      &why) != FAIL_NONE)
        tell(problems, route->settings, "backend.address", &why);
    target->verify_name = backend->verify_name != NULL ? backend->verify_name : target->host;
    target->sni = backend->sni != NULL ? backend->sni : target->host;
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

    route->targets = calloc(addresses->count, sizeof *route->targets);
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

static void load_policies(struct route *route, struct conf_problems *problems)
{
    const struct route_settings *settings = route->settings;
    struct buf                   map_text = BUF_LIMIT(0);

    route->gate_policy = gate_policy(settings->listener.sslmode);
    route->map = settings_load_map(settings, &map_text, problems);
    if (settings->listener.sslmode != SSLMODE_DISABLE)
        route->client_policy =
            route_policy_of_clients(settings, buf_bytes(&map_text), problems);
    if (settings->backend.sslmode != SSLMODE_DISABLE)
        route->backend_policy = route_policy_of_backend(settings, problems);
    buf_fini(&map_text);
}

struct route *route_new(const struct route_settings *settings, const struct route *before,
                        struct conf_problems *problems)
{
    struct route *route = calloc(1, sizeof *route);
    size_t        errors = problems->error_count;

    if (route != NULL) {
        route->settings = settings;
        route->tally = hold_tally(before);
        load_policies(route, problems);
        set_stream_options(route);
    }
    if (route == NULL || route->tally == NULL || !set_addresses(route, problems))
        conf_problem_add(problems, false, settings->line, "route \"%s\": out of memory",
                         settings->name);
    if (problems->error_count == errors)
        return route;
    route_free(route);
    return NULL;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    tls_policy_release(route->client_policy);
    tls_policy_release(route->backend_policy);
    ident_map_free(route->map);
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

bool route_admits(const struct route *route, const struct address *client)
{
    const struct listener_settings *listener = &route->settings->listener;

    if (address_is_unix(client))
        return true;
    if (listener->allow.count > 0 && !is_in(route->allow, listener->allow.count, client))
        return false;
    return !is_in(route->deny, listener->deny.count, client);
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
    uint64_t      limit = route->settings->limits.handshakes_per_second;
    uint64_t      second = now_us / 1000000 << 32;
    uint_fast64_t seen = atomic_load(&route->tally->handshakes);
    uint_fast64_t next;

    if (limit == 0)
        return true;
    do {
        uint64_t begun = seen >> 32 == second >> 32 ? (uint32_t)seen : 0;

        if (begun >= limit)
            return false;
        next = second | (begun + 1);
    } while (!atomic_compare_exchange_weak(&route->tally->handshakes, &seen, next));
    return true;
}

const struct address *route_source(const struct route *route)
{
    size_t count = route->settings->backend.source_address.count;

    if (count == 0)
        return NULL;
    return &route->sources[atomic_fetch_add(&route->tally->next_source, 1) % count];
}

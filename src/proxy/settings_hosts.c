/* SPDX-License-Identifier: PostgreSQL */
/* What [[proxy.host]] says about its port, and hosts about each other. */
#include "proxy/settings_check.h"
#include "proxy/settings_claims.h"
#include "proxy/settings_rule.h"
#include "proxy/spelling.h"

#include "tls/hosts.h"

#include <stdlib.h>

bool settings_hosts_have_backends(const struct route_settings *route)
{
    size_t count = 0;

    while (count < route->host_count && route->hosts[count].has_own_backend)
        count++;
    return count > 0 && count == route->host_count;
}

/* ---- one host by itself ---- */

static void check_name(const struct check *check, const char *name)
{
    struct failure why = { 0 };

    if (tls_host_name_check(name, &why) != FAIL_NONE)
        rule_refuse_for(check, "listener.names", &why);
}

static bool is_inherited(const struct check *check, const char *setting)
{
    return rule_has(check, setting) && !settings_says(check->route, setting);
}

/* Only TLS has names: of a port that takes plaintext too, a host gets what is left. */
static void work_out_mode(const struct check *check)
{
    struct listener_settings *listener = &check->route->listener;
    bool                      is_inherited_mode = is_inherited(check, "listener.sslmode");

    if (is_inherited_mode && listener->sslmode != SSLMODE_UNSET &&
        listener->sslmode < SSLMODE_REQUIRE)
        listener->sslmode = SSLMODE_REQUIRE;
    settings_check_mtls(check);
    if (listener->sslmode == SSLMODE_UNSET && !rule_has(check, "listener.sslmode"))
        listener->sslmode = listener->mtls == 1 || rule_has(check, "listener.client_ca")
                                ? SSLMODE_VERIFY_CA
                                : SSLMODE_REQUIRE;
}

static void check_client_side(const struct check *check)
{
    struct listener_settings *listener = &check->route->listener;

    for (size_t i = 0; i < listener->names.count; i++)
        check_name(check, listener->names.items[i]);
    work_out_mode(check);
    if (listener->sslmode == SSLMODE_UNSET)
        return; /* badly written */
    if (listener->sslmode < SSLMODE_REQUIRE)
        rule_refuse(check, "listener.sslmode",
                    "\"%s\" is for ports, since a client without TLS announces no name; write "
                    "\"require\" or stronger",
                    sslmode_name((enum sslmode)listener->sslmode));
    else
        settings_check_client_tls(check, rule_has(check, "listener.sslmode")
                                             ? "listener.sslmode"
                                         : rule_has(check, "listener.mtls") ? "listener.mtls"
                                                                            : "listener.names");
}

/* That of the port was checked there; here only what is left unsaid is worked out again. */
static void check_backend_of_port(const struct check *check)
{
    struct conf_problems quiet = { .file = "" };
    struct check         silent = { check->route, &quiet };

    settings_check_backend(&silent);
    conf_problems_fini(&quiet);
}

void settings_check_hosts(const struct check *check)
{
    for (size_t i = 0; i < check->route->host_count; i++) {
        struct check own = { &check->route->hosts[i], check->problems };

        check_client_side(&own);
        if (!own.route->has_own_backend) {
            check_backend_of_port(&own);
            continue;
        }
        settings_check_backend(&own);
        settings_check_scram(&own);
    }
}

/* ---- hosts beside each other ---- */

static void put_server(struct claim *claim, const char *address)
{
    spelling_of_server(address, claim->text);
}

static size_t claim_list(struct claim *claims, const struct route_settings *route,
                         const struct conf_strings *list, size_t order,
                         void (*put)(struct claim *claim, const char *text))
{
    for (size_t i = 0; i < list->count; i++) {
        claims[i].route = route;
        claims[i].order = order;
        claims[i].written = list->items[i];
        put(&claims[i], list->items[i]);
    }
    return list->count;
}

static void refuse_double_names(const struct check *check, struct claim *claims)
{
    const struct route_settings *port = check->route;
    size_t                       count = 0;

    for (size_t i = 0; i < port->host_count; i++)
        count += claim_list(&claims[count], &port->hosts[i], &port->hosts[i].listener.names, i,
                            claim_put_name);
    claims_sort(claims, count);
    for (size_t i = 1; i < count; i++) {
        char place[SETTINGS_PLACE];

        if (strcmp(claims[i - 1].text, claims[i].text) == 0)
            settings_problem(
                check->problems, false, claims[i].route, "listener.names",
                "\"%s\" is taken in %s; each name leads to one host", claims[i].text,
                settings_place(claims[i - 1].route, "listener.names", claims[i].route, place));
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What is demanded of client certificates, where one is demanded at all. */
static bool same_rules(const struct route_settings *a, const struct route_settings *b)
{
    const struct listener_settings *x = &a->listener, *y = &b->listener;

    if (!rule_verifies(x->sslmode) && !rule_verifies(y->sslmode))
        return true;
    return x->sslmode == y->sslmode && same_text(x->client_ca, y->client_ca) &&
           same_text(x->client_crl_file, y->client_crl_file) &&
           same_text(x->client_crl_dir, y->client_crl_dir) &&
           (x->sslmode != SSLMODE_VERIFY_FULL ||
            (x->client_name == y->client_name && same_text(x->ident_file, y->ident_file) &&
             same_text(x->ident_map, y->ident_map)));
}

static void refuse_laxer_way(const struct check *check, const struct claim *first,
                             const struct claim *second)
{
    bool is_host = first->route->is_host;
    bool is_spelt_alike = strcmp(first->written, second->written) == 0;
    char place[SETTINGS_PLACE];

    settings_problem(
        check->problems, false, second->route, "listener.names",
        "leads to backend \"%s\" as %s in %s does%s%s%s, but demands other client "
        "certificates, and a client would choose the laxer way; give both the same sslmode, "
        "client_ca, lists, client_name and map",
        second->written, is_host ? "the host" : "the listener, which takes plaintext,",
        settings_place(first->route, is_host ? "listener.names" : "listener.sslmode",
                       second->route, place),
        is_spelt_alike ? "" : ", where it is \"", is_spelt_alike ? "" : first->written,
        is_spelt_alike ? "" : "\"");
}

/* Of two ways to one backend a client would choose the laxer one. */
static void refuse_laxer_ways(const struct check *check, struct claim *claims)
{
    const struct route_settings *port = check->route;
    size_t                       count = 0;

    if (settings_takes_plaintext(port))
        count += claim_list(claims, port, &port->backend.addresses, 0, put_server);
    for (size_t i = 0; i < port->host_count; i++)
        count += claim_list(&claims[count], &port->hosts[i], &port->hosts[i].backend.addresses,
                            i + 1, put_server);
    claims_sort(claims, count);
    for (size_t i = 1; i < count; i++) {
        const struct claim *first = &claims[i - 1], *second = &claims[i];

        if (strcmp(first->text, second->text) == 0 && !same_rules(first->route, second->route))
            refuse_laxer_way(check, first, second);
    }
}

/* ---- the port's own backend, and cancels ---- */

static void check_own_backend(const struct check *check)
{
    struct route_settings *port = check->route;

    if (!settings_hosts_have_backends(port))
        return;
    if (settings_takes_plaintext(port) && !settings_has_backend(port))
        rule_refuse(check, "backend.address",
                    "missing; the listener takes plaintext clients, who announce no host");
    else if (!settings_takes_plaintext(port))
        rule_refuse_useless(check, "backend.address",
                            "has no effect; every host has a backend of its own, and the "
                            "listener takes no plaintext");
}

static void check_unknown_cancels(const struct check *check)
{
    const struct route_settings *port = check->route;
    size_t                       backends = settings_has_backend(port);
    size_t                       addresses = port->backend.addresses.count;

    for (size_t i = 0; i < port->host_count; i++)
        if (port->hosts[i].has_own_backend) {
            backends++;
            addresses += port->hosts[i].backend.addresses.count;
        }
    if (backends < 2)
        rule_refuse_useless(check, "listener.cancel_unknown",
                            "has no effect; it is for hosts with several backends");
    else if (port->listener.cancel_unknown == CANCEL_UNKNOWN_BROADCAST &&
             addresses > MOST_BROADCAST)
        rule_refuse(
            check, "listener.cancel_unknown",
            "\"broadcast\" would reach %zu servers, and the most is %d; write \"refuse\"",
            addresses, MOST_BROADCAST);
}

static size_t count_claims(const struct route_settings *port)
{
    size_t names = 0, addresses = port->backend.addresses.count;

    for (size_t i = 0; i < port->host_count; i++) {
        names += port->hosts[i].listener.names.count;
        addresses += port->hosts[i].backend.addresses.count;
    }
    return names > addresses ? names : addresses;
}

void settings_check_hosts_together(const struct check *check)
{
    struct claim *claims;

    check_unknown_cancels(check);
    if (check->route->host_count == 0)
        return;
    rule_refuse_what_no_host_inherits(check);
    check_own_backend(check);
    claims = calloc(count_claims(check->route) + 1, sizeof *claims);
    if (claims == NULL) {
        conf_problem_add(check->problems, false, 0, "out of memory");
        return;
    }
    refuse_double_names(check, claims);
    refuse_laxer_ways(check, claims);
    free(claims);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rule.h"

#include "io/address.h"

/* The kinds of addresses that a listener binds. */
struct address_kinds {
    const char *unix_socket; /* one of them, or NULL */
    bool        has_remote;  /* one is reachable from other machines */
    bool        has_ip;      /* one is not a Unix socket */
};

static struct address_kinds check_bind_addresses(const struct check *check)
{
    const struct conf_strings *list = &check->route->listener.bind_address;
    struct address_kinds       kinds = { NULL, false, false };

    for (size_t i = 0; i < list->count; i++) {
        struct failure why = { 0 };
        struct address address;

        if (!rule_is_good_port(check, "listener.bind_address", list->items[i]))
            continue;
        if (address_parse(&address, list->items[i], &why) != FAIL_NONE) {
            rule_refuse_for(check, "listener.bind_address", &why);
            continue;
        }
        if (address_is_unix(&address))
            kinds.unix_socket = list->items[i];
        else
            kinds.has_ip = true;
        kinds.has_remote = kinds.has_remote || !address_is_loopback(&address);
    }
    return kinds;
}

/* The setting that made the mode what it is: where problems with it are told. */
static const char *listener_mode_setting(const struct check *check)
{
    return !rule_has(check, "listener.sslmode") && rule_has(check, "listener.mtls")
               ? "listener.mtls"
               : "listener.sslmode";
}

static bool names_certificates(const struct check *check)
{
    return rule_has(check, "listener.server_cert") || rule_has(check, "listener.server_key") ||
           rule_has(check, "listener.client_ca");
}

/* What the defaults say of certificates is not for a Unix socket. */
static void drop_defaults_of_unix_socket(const struct check *check, struct address_kinds kinds)
{
    static const char *const settings[] = { "listener.server_cert", "listener.server_key",
                                            "listener.client_ca", "listener.mtls", NULL };

    if (kinds.unix_socket == NULL || kinds.has_ip || rule_has(check, "listener.sslmode"))
        return;
    for (size_t i = 0; settings[i] != NULL; i++)
        settings_drop_default(check->route, settings[i]);
}

/* The mode of a listener that does not say one; UNSET after a problem. */
static int default_listener_mode(const struct check *check, struct address_kinds kinds)
{
    if (check->route->listener.mtls == 1)
        return SSLMODE_VERIFY_CA;
    if (rule_has(check, "listener.client_ca"))
        return SSLMODE_VERIFY_CA;
    if (names_certificates(check) || check->route->host_count > 0)
        return SSLMODE_REQUIRE;
    if (!kinds.has_remote)
        return SSLMODE_DISABLE;
    rule_refuse(
        check, "listener.sslmode",
        "missing; without server_cert clients would connect in plaintext: set server_cert and "
        "server_key, or write sslmode = \"disable\"");
    return SSLMODE_UNSET;
}

static void check_plaintext_listener(const struct check *check)
{
    static const char *const why =
        "has no effect with sslmode \"disable\"; leave it out, or write sslmode "
        "\"require\" or stronger";

    if (check->route->host_count > 0)
        rule_refuse(
            check, "listener.sslmode",
            "\"disable\" leaves the hosts without clients, since a name is announced in "
            "TLS only; write \"require\" or stronger");
    rule_refuse_client_tls(check, why);
    rule_refuse_useless(check, "listener.direct_tls", "%s", why);
    if (check->route->listener.cancel == CANCEL_TLS_ONLY)
        rule_refuse_useless(
            check, "listener.cancel",
            "\"tls-only\" would refuse every cancel request with sslmode \"disable\"; leave it "
            "out");
}

static void check_tls_listener(const struct check *check, struct address_kinds kinds)
{
    const char *setting = listener_mode_setting(check);

    if (kinds.unix_socket != NULL)
        rule_refuse(
            check, "listener.bind_address",
            "\"%s\" takes no TLS, but sslmode is \"%s\"; give it a route of its own with "
            "sslmode = \"disable\"",
            kinds.unix_socket, sslmode_name((enum sslmode)check->route->listener.sslmode));
    /* hosts inherit what the port says, and it shows no certificate of its own then */
    if (check->route->host_count == 0)
        settings_check_client_tls(check, setting);
}

static void check_proxy_protocol(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;
    bool                            is_off = listener->proxy_protocol == PROXY_PROTOCOL_OFF;

    rule_networks(check, "listener.trusted_proxies", &listener->trusted_proxies);
    if (is_off)
        rule_refuse_useless(check, "listener.trusted_proxies",
                            "has no effect with proxy_protocol \"off\"; leave it out");
    if (!is_off && listener->trusted_proxies.count == 0)
        rule_refuse(check, "listener.proxy_protocol",
                    "needs trusted_proxies; name the addresses of the proxies in front");
}

/* The port, or one of its hosts: a cancel request in the clear says of none which it is for. */
static bool demands_certificates(const struct route_settings *route)
{
    for (size_t i = 0; i < route->host_count; i++)
        if (rule_verifies(route->hosts[i].listener.sslmode))
            return true;
    return rule_verifies(route->listener.sslmode);
}

static void check_mode(const struct check *check)
{
    static const char *const  for_unix_sockets[] = { "listener.unix_socket_mode",
                                                     "listener.unix_socket_group", NULL };
    struct listener_settings *listener = &check->route->listener;
    struct address_kinds      kinds = check_bind_addresses(check);

    drop_defaults_of_unix_socket(check, kinds);
    settings_check_mtls(check);
    if (kinds.unix_socket == NULL)
        rule_refuse_each(check, for_unix_sockets,
                         "has no effect; no bind_address is a Unix socket");
    if (listener->sslmode == SSLMODE_UNSET && rule_has(check, "listener.sslmode"))
        return; /* badly written: nothing can be said about the rest */
    if (listener->sslmode == SSLMODE_UNSET && rule_has(check, "listener.bind_address"))
        listener->sslmode = default_listener_mode(check, kinds);
    if (listener->sslmode == SSLMODE_DISABLE)
        check_plaintext_listener(check);
    else if (listener->sslmode != SSLMODE_UNSET)
        check_tls_listener(check, kinds);
    if (listener->cancel == CANCEL_UNSET)
        listener->cancel = demands_certificates(check->route) ? CANCEL_TLS_ONLY : CANCEL_ALLOW;
}

void settings_check_listener(const struct check *check)
{
    check_mode(check);
    rule_networks(check, "listener.allow", &check->route->listener.allow);
    rule_networks(check, "listener.deny", &check->route->listener.deny);
    check_proxy_protocol(check);
}

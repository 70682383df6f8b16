/* SPDX-License-Identifier: PostgreSQL */
/* Limits that could not take effect, alone or beside other settings of the route. */
#include "proxy/settings_paths.h"
#include "proxy/settings_rule.h"

#define US_PER_MS 1000
#define US_PER_S  1000000

static bool has_ip(const struct conf_strings *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (strncmp(addresses->items[i], "unix:", 5) != 0)
            return true;
    return false;
}

/* A client of a Unix socket has an address only where a PROXY header tells one. */
static bool clients_have_addresses(const struct route_settings *route)
{
    return has_ip(&route->listener.bind_address) ||
           route->listener.proxy_protocol != PROXY_PROTOCOL_OFF;
}

static bool servers_have_ip(const struct route_settings *route)
{
    bool have = has_ip(&route->backend.addresses);

    for (size_t i = 0; i < route->host_count; i++)
        have = have || has_ip(&route->hosts[i].backend.addresses);
    return have;
}

/* Of a port whose clients have no addresses. */
static void refuse_rules_about_addresses(const struct check *check)
{
    static const char *const settings[] = { "listener.allow", "listener.deny",
                                            "limits.max_connections_per_ip", NULL };

    if (!clients_have_addresses(check->route))
        rule_refuse_each(check, settings,
                         "has no effect: clients of a Unix socket have no address; leave it "
                         "out, or set unix_socket_mode");
}

static void refuse_limits_of_tcp(const struct check *check)
{
    static const char *const settings[] = { "limits.tcp_keepalive", "limits.tcp_user_timeout",
                                            NULL };

    if (!has_ip(&check->route->listener.bind_address) && !servers_have_ip(check->route))
        rule_refuse_each(check, settings, "has no effect: all addresses are Unix sockets");
}

static void refuse_limits_of_tls(const struct check *check)
{
    const struct route_settings *route = check->route;

    if (route->listener.sslmode != SSLMODE_DISABLE)
        return;
    rule_refuse_useless(check, "limits.handshakes_per_second",
                        "has no effect: no client starts TLS with sslmode \"disable\"");
    if (route->backend.sslmode == SSLMODE_DISABLE)
        rule_refuse_useless(check, "limits.handshake_timeout",
                            "has no effect with sslmode \"disable\" on both sides");
}

/* They are parts of the time until the login is done. */
static void refuse_longer_than_login(const struct check *check)
{
    const struct limit_settings *limits = &check->route->limits;
    const struct {
        const char *setting;
        uint64_t    us;
    } parts[] = {
        { "limits.first_byte_timeout", limits->first_byte_timeout_us },
        { "limits.handshake_timeout", limits->handshake_timeout_us },
        { "limits.connect_timeout", limits->connect_timeout_us },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].us > limits->login_timeout_us)
            rule_refuse_useless(check, parts[i].setting,
                                "has no effect: login_timeout is shorter and includes it");
}

/* The kernel would round these, down to "never" at worst. */
static void check_units(const struct check *check)
{
    const struct limit_settings *limits = &check->route->limits;

    if (limits->tcp_keepalive_us % US_PER_S != 0)
        rule_refuse(check, "limits.tcp_keepalive", "is not whole seconds; write \"60s\"");
    if (limits->tcp_user_timeout_us % US_PER_MS != 0)
        rule_refuse(check, "limits.tcp_user_timeout",
                    "is not whole milliseconds; write \"30s\"");
}

/* Looking at all files costs something. */
static void check_refresh(const struct check *check)
{
    uint64_t interval = check->route->listener.cert_refresh_interval_us;

    if (interval > 0 && interval < US_PER_S)
        rule_refuse(check, "listener.cert_refresh_interval",
                    "is shorter than a second; write \"1s\", or \"0s\" for never");
    else if (!settings_route_names_files(check->route))
        rule_refuse_useless(check, "listener.cert_refresh_interval",
                            "has no effect: the route names no file; leave it out");
}

void settings_check_limits(const struct check *check)
{
    check_units(check);
    check_refresh(check);
    if (rule_has(check, "listener.bind_address"))
        refuse_rules_about_addresses(check);
    if (rule_has(check, "listener.bind_address") && rule_has(check, "backend.address"))
        refuse_limits_of_tcp(check);
    refuse_limits_of_tls(check);
    refuse_longer_than_login(check);
}

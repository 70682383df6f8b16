/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_check.h"

#include "io/network.h"
#include "proxy/settings_table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LONGEST_HOST 256
#define US_PER_MS    1000
#define US_PER_S     1000000

/* One route on its way through the rules. */
struct check {
    struct route_settings *route;
    struct conf_problems  *problems;
};

static void refuse(const struct check *check, const char *setting, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(const struct check *check, const char *setting, const char *format, ...)
{
    char    text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    settings_problem(check->problems, false, check->route, setting, "%s", text);
}

static void warn(const struct check *check, const char *setting, const char *text)
{
    settings_problem(check->problems, true, check->route, setting, "%s", text);
}

static bool has(const struct check *check, const char *setting)
{
    return settings_has(check->route, setting);
}

/* "TEXT" or "TEXT; HINT", as the failure has it. */
static void refuse_for(const struct check *check, const char *setting,
                       const struct failure *why)
{
    refuse(check, setting, "%s%s%s", why->text, why->hint[0] == '\0' ? "" : "; ", why->hint);
}

/* A setting that would not take effect is a mistake, and `format` says why; but one that comes
 * from the defaults is for other routes. */
static void refuse_useless(const struct check *check, const char *setting, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));

static void refuse_useless(const struct check *check, const char *setting, const char *format,
                           ...)
{
    char    text[400];
    va_list args;

    if (!has(check, setting) || settings_drop_default(check->route, setting))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    refuse(check, setting, "%s", text);
}

static void refuse_each(const struct check *check, const char *const *settings, const char *why)
{
    for (; *settings != NULL; settings++)
        refuse_useless(check, *settings, "%s", why);
}

/* Of two settings that contradict each other, the one that the route says itself wins. */
static bool drop_weaker_default(const struct check *check, const char *one, const char *other)
{
    if (settings_says(check->route, one))
        return settings_drop_default(check->route, other);
    return settings_says(check->route, other) && settings_drop_default(check->route, one);
}

static bool verifies(int sslmode)
{
    return sslmode == SSLMODE_VERIFY_CA || sslmode == SSLMODE_VERIFY_FULL;
}

/* ---- addresses ---- */

/* The kinds of addresses that a listener binds. */
struct address_kinds {
    const char *unix_socket; /* one of them, or NULL */
    bool        has_remote;  /* one is reachable from other machines */
    bool        has_ip;      /* one is not a Unix socket */
};

static bool is_good_port(const struct check *check, const char *setting, const char *text)
{
    struct failure why = { 0 };
    char           host[LONGEST_HOST];
    uint16_t       port;
    bool           is_unix;

    if (address_split(text, host, sizeof host, &port, &is_unix, &why) != FAIL_NONE) {
        refuse_for(check, setting, &why);
        return false;
    }
    if (is_unix || port != 0)
        return true;
    refuse(check, setting, "\"%s\" has no port; write one from 1 to 65535", text);
    return false;
}

static struct address_kinds check_bind_addresses(const struct check *check)
{
    const struct conf_strings *list = &check->route->listener.bind_address;
    struct address_kinds       kinds = { NULL, false, false };

    for (size_t i = 0; i < list->count; i++) {
        struct failure why = { 0 };
        struct address address;

        if (!is_good_port(check, "listener.bind_address", list->items[i]))
            continue;
        if (address_parse(&address, list->items[i], &why) != FAIL_NONE) {
            refuse_for(check, "listener.bind_address", &why);
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

/* ---- listener ---- */

/* The setting that made the mode what it is: where problems with it are told. */
static const char *listener_mode_setting(const struct check *check)
{
    return !has(check, "listener.sslmode") && has(check, "listener.mtls") ? "listener.mtls"
                                                                          : "listener.sslmode";
}

static bool names_certificates(const struct check *check)
{
    return has(check, "listener.server_cert") || has(check, "listener.server_key") ||
           has(check, "listener.client_ca");
}

/* What the defaults say of certificates is not for a Unix socket. */
static void drop_defaults_of_unix_socket(const struct check *check, struct address_kinds kinds)
{
    static const char *const settings[] = { "listener.server_cert", "listener.server_key",
                                            "listener.client_ca", "listener.mtls", NULL };

    if (kinds.unix_socket == NULL || kinds.has_ip || has(check, "listener.sslmode"))
        return;
    for (size_t i = 0; settings[i] != NULL; i++)
        settings_drop_default(check->route, settings[i]);
}

static bool mtls_contradicts_mode(const struct listener_settings *listener)
{
    return listener->sslmode != SSLMODE_UNSET && listener->mtls != -1 &&
           (listener->mtls == 1) != verifies(listener->sslmode);
}

static void drop_defaults_of_mtls(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;

    if (mtls_contradicts_mode(listener))
        drop_weaker_default(check, "listener.sslmode", "listener.mtls");
    if (listener->mtls == 0 && listener->sslmode == SSLMODE_UNSET &&
        has(check, "listener.client_ca"))
        drop_weaker_default(check, "listener.mtls", "listener.client_ca");
}

static void check_mtls(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;

    drop_defaults_of_mtls(check);
    if (mtls_contradicts_mode(listener) && listener->mtls == 1)
        refuse(
            check, "listener.mtls",
            "true contradicts sslmode \"%s\"; write \"verify-ca\" or \"verify-full\", or leave "
            "one of the two out",
            sslmode_name((enum sslmode)listener->sslmode));
    else if (mtls_contradicts_mode(listener))
        refuse(check, "listener.mtls",
               "false contradicts sslmode \"%s\"; leave one of the two out",
               sslmode_name((enum sslmode)listener->sslmode));
    else if (listener->mtls == 0 && listener->sslmode == SSLMODE_UNSET &&
             has(check, "listener.client_ca"))
        refuse(check, "listener.mtls",
               "false contradicts client_ca; write sslmode = \"require\" for certificates that "
               "are "
               "optional");
}

/* The mode of a listener that does not say one; UNSET after a problem. */
static int default_listener_mode(const struct check *check, struct address_kinds kinds)
{
    if (check->route->listener.mtls == 1)
        return SSLMODE_VERIFY_CA;
    if (has(check, "listener.client_ca"))
        return SSLMODE_VERIFY_CA;
    if (names_certificates(check))
        return SSLMODE_REQUIRE;
    if (!kinds.has_remote)
        return SSLMODE_DISABLE;
    refuse(
        check, "listener.sslmode",
        "missing; without server_cert clients would connect in plaintext: set server_cert and "
        "server_key, or write sslmode = \"disable\"");
    return SSLMODE_UNSET;
}

static void check_plaintext_listener(const struct check *check)
{
    static const char *const useless[] = { "listener.server_cert",
                                           "listener.server_key",
                                           "listener.client_ca",
                                           "listener.client_name",
                                           "listener.max_record_size",
                                           "listener.direct_tls",
                                           NULL };

    refuse_each(check, useless,
                "has no effect with sslmode \"disable\"; leave it out, or write sslmode "
                "\"require\" or stronger");
    if (check->route->listener.cancel == CANCEL_TLS_ONLY)
        refuse_useless(
            check, "listener.cancel",
            "\"tls-only\" would refuse every cancel request with sslmode \"disable\"; leave it "
            "out");
}

static void check_tls_listener(const struct check *check, struct address_kinds kinds)
{
    const struct listener_settings *listener = &check->route->listener;
    const char                     *setting = listener_mode_setting(check);
    const char                     *mode = sslmode_name((enum sslmode)listener->sslmode);

    if (kinds.unix_socket != NULL)
        refuse(check, "listener.bind_address",
               "\"%s\" takes no TLS, but sslmode is \"%s\"; give it a route of its own with "
               "sslmode = \"disable\"",
               kinds.unix_socket, mode);
    if (!has(check, "listener.server_cert"))
        refuse(check, setting, "\"%s\" needs server_cert; name the server's certificate file",
               mode);
    if (!has(check, "listener.server_key"))
        refuse(check, setting, "\"%s\" needs server_key; name the key file of server_cert",
               mode);
    if (verifies(listener->sslmode) && !has(check, "listener.client_ca"))
        refuse(check, setting,
               "\"%s\" needs client_ca; name the file of the authorities that sign client "
               "certificates",
               mode);
    if (!verifies(listener->sslmode) && has(check, "listener.client_ca"))
        warn(check, "listener.client_ca",
             "client certificates are optional with sslmode \"require\" and weaker; write "
             "\"verify-ca\" or \"verify-full\" to demand them");
    if (listener->sslmode != SSLMODE_VERIFY_FULL)
        refuse_useless(check, "listener.client_name",
                       "has no effect with sslmode \"%s\"; only \"verify-full\" compares names",
                       mode);
}

static void check_listener(const struct check *check)
{
    static const char *const  for_unix_sockets[] = { "listener.unix_socket_mode",
                                                     "listener.unix_socket_group", NULL };
    struct listener_settings *listener = &check->route->listener;
    struct address_kinds      kinds = check_bind_addresses(check);

    drop_defaults_of_unix_socket(check, kinds);
    check_mtls(check);
    if (kinds.unix_socket == NULL)
        refuse_each(check, for_unix_sockets, "has no effect; no bind_address is a Unix socket");
    if (listener->sslmode == SSLMODE_UNSET && has(check, "listener.sslmode"))
        return; /* badly written: nothing can be said about the rest */
    if (listener->sslmode == SSLMODE_UNSET && has(check, "listener.bind_address"))
        listener->sslmode = default_listener_mode(check, kinds);
    if (listener->sslmode == SSLMODE_DISABLE)
        check_plaintext_listener(check);
    else if (listener->sslmode != SSLMODE_UNSET)
        check_tls_listener(check, kinds);
    if (listener->cancel == CANCEL_UNSET)
        listener->cancel = verifies(listener->sslmode) ? CANCEL_TLS_ONLY : CANCEL_ALLOW;
}

/* ---- backend ---- */

static bool is_host_name(const char *name)
{
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr("-._", *name) == NULL)
            return false;
    return true;
}

/* What the addresses of the backend are. */
struct backend_places {
    const char *unix_socket; /* one of them, or NULL */
    bool        are_good;
    bool        are_local; /* all of them */
    bool        have_ip;   /* one is not a Unix socket */
};

static void look_at_place(const struct check *check, const char *text,
                          struct backend_places *places)
{
    char           host[LONGEST_HOST];
    struct address address;
    uint16_t       port;
    bool           is_unix = false, is_ip;

    if (!is_good_port(check, "backend.address", text) ||
        address_split(text, host, sizeof host, &port, &is_unix, NULL) != FAIL_NONE) {
        places->are_good = false;
        return;
    }
    is_ip = address_parse(&address, text, NULL) == FAIL_NONE && !is_unix;
    if (!is_ip && !is_unix && !is_host_name(host)) {
        refuse(check, "backend.address", "\"%s\" is not a host name", host);
        places->are_good = false;
    }
    if (is_unix)
        places->unix_socket = text;
    else
        places->have_ip = true;
    if (!is_unix && !(is_ip && address_is_loopback(&address)) && strcmp(host, "localhost") != 0)
        places->are_local = false;
}

static struct backend_places backend_places(const struct check *check)
{
    const struct conf_strings *list = &check->route->backend.addresses;
    struct backend_places      places = { .are_good = list->count > 0, .are_local = true };

    for (size_t i = 0; i < list->count; i++)
        look_at_place(check, list->items[i], &places);
    return places;
}

static const char *backend_mode_setting(const struct check *check)
{
    return !has(check, "backend.sslmode") && has(check, "backend.tls_enabled")
               ? "backend.tls_enabled"
               : "backend.sslmode";
}

static void drop_defaults_of_unix_backend(const struct check          *check,
                                          const struct backend_places *places)
{
    static const char *const settings[] = { "backend.root_ca", "backend.tls_enabled", NULL };

    if (places->unix_socket == NULL || places->have_ip || has(check, "backend.sslmode"))
        return;
    for (size_t i = 0; settings[i] != NULL; i++)
        settings_drop_default(check->route, settings[i]);
}

static void check_tls_enabled(const struct check *check)
{
    const struct backend_settings *backend = &check->route->backend;
    enum sslmode meant = backend->tls_enabled == 1 ? SSLMODE_VERIFY_FULL : SSLMODE_DISABLE;

    if (backend->tls_enabled == -1 || backend->sslmode == SSLMODE_UNSET ||
        backend->sslmode == (int)meant)
        return;
    if (!drop_weaker_default(check, "backend.sslmode", "backend.tls_enabled"))
        refuse(check, "backend.tls_enabled",
               "%s means sslmode \"%s\" and contradicts \"%s\"; leave one of the two out",
               meant == SSLMODE_DISABLE ? "false" : "true", sslmode_name(meant),
               sslmode_name((enum sslmode)backend->sslmode));
}

static int default_backend_mode(const struct check *check, const struct backend_places *places)
{
    const struct backend_settings *backend = &check->route->backend;

    if (backend->tls_enabled != -1)
        return backend->tls_enabled == 1 ? SSLMODE_VERIFY_FULL : SSLMODE_DISABLE;
    if (has(check, "backend.root_ca"))
        return SSLMODE_VERIFY_FULL;
    if (places->are_local)
        return SSLMODE_DISABLE;
    refuse(check, "backend.sslmode",
           "missing; set root_ca for \"verify-full\", or write sslmode = \"disable\" for "
           "plaintext to the server");
    return SSLMODE_UNSET;
}

static void check_plaintext_backend(const struct check *check)
{
    static const char *const useless[] = { "backend.root_ca",
                                           "backend.client_cert",
                                           "backend.client_key",
                                           "backend.verify_name",
                                           "backend.sni",
                                           "backend.sslnegotiation",
                                           NULL };

    refuse_each(check, useless,
                "has no effect with sslmode \"disable\"; leave it out, or write sslmode "
                "\"verify-full\"");
}

static void check_tls_backend(const struct check *check, const struct backend_places *places)
{
    const struct backend_settings *backend = &check->route->backend;
    const char                    *mode = sslmode_name((enum sslmode)backend->sslmode);

    if (places->unix_socket != NULL)
        refuse(check, "backend.address",
               "\"%s\" takes no TLS, but sslmode is \"%s\"; write sslmode = \"disable\"",
               places->unix_socket, mode);
    if (verifies(backend->sslmode) && !has(check, "backend.root_ca"))
        refuse(check, backend_mode_setting(check),
               "\"%s\" needs root_ca; name the file of the authorities that sign the server's "
               "certificate, or \"system\"",
               mode);
    if (backend->sslnegotiation == NEGOTIATE_DIRECT && backend->sslmode < SSLMODE_REQUIRE)
        refuse_useless(
            check, "backend.sslnegotiation",
            "\"direct\" leaves no room for plaintext, but sslmode is \"%s\"; write \"require\" "
            "or stronger",
            mode);
    if (backend->sslmode == SSLMODE_ALLOW || backend->sslmode == SSLMODE_PREFER)
        warn(check, "backend.sslmode",
             "\"allow\" and \"prefer\" go on in plaintext where the server, or whoever answers "
             "in its place, says so; set root_ca and write \"verify-full\"");
    if (backend->sslmode == SSLMODE_REQUIRE && !has(check, "backend.root_ca"))
        warn(check, "backend.sslmode",
             "\"require\" without root_ca encrypts but does not authenticate the server; set "
             "root_ca and write \"verify-full\"");
    if (backend->sslmode != SSLMODE_VERIFY_FULL)
        refuse_useless(check, "backend.verify_name",
                       "has no effect with sslmode \"%s\"; only \"verify-full\" compares names",
                       mode);
    if (has(check, "backend.client_cert") != has(check, "backend.client_key"))
        refuse(check,
               has(check, "backend.client_cert") ? "backend.client_cert" : "backend.client_key",
               "client_cert and client_key belong together; set both or neither");
}

/* RFC 6066 section 3: names only, no addresses. */
static void check_sni(const struct check *check)
{
    const char    *sni = check->route->backend.sni;
    struct address address;

    if (sni != NULL && (!is_host_name(sni) || address_from_numeric(&address, sni, 0)))
        refuse(check, "backend.sni", "\"%s\" is not a host name; \"\" announces none", sni);
}

/* ---- networks and addresses of clients and ours ---- */

static void check_networks(const struct check *check, const char *setting,
                           const struct conf_strings *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct failure why = { 0 };
        struct network network;

        if (network_parse(&network, list->items[i], &why) != FAIL_NONE)
            refuse_for(check, setting, &why);
    }
}

static void check_proxy_protocol(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;
    bool                            is_off = listener->proxy_protocol == PROXY_PROTOCOL_OFF;

    check_networks(check, "listener.trusted_proxies", &listener->trusted_proxies);
    if (is_off)
        refuse_useless(check, "listener.trusted_proxies",
                       "has no effect with proxy_protocol \"off\"; leave it out");
    if (!is_off && listener->trusted_proxies.count == 0)
        refuse(check, "listener.proxy_protocol",
               "needs trusted_proxies; name the addresses of the proxies in front");
}

static void check_sources(const struct check *check, const struct backend_places *places)
{
    const struct conf_strings *list = &check->route->backend.source_address;

    for (size_t i = 0; i < list->count; i++) {
        struct address address;

        if (!address_from_numeric(&address, list->items[i], 0))
            refuse(check, "backend.source_address",
                   "\"%s\" is not an IP address; write one of this machine, without a port",
                   list->items[i]);
    }
    if (places->unix_socket != NULL)
        refuse_useless(check, "backend.source_address",
                       "has no effect with the Unix socket \"%s\"; leave it out",
                       places->unix_socket);
}

static void check_backend(const struct check *check)
{
    struct backend_settings *backend = &check->route->backend;
    struct backend_places    places = backend_places(check);

    drop_defaults_of_unix_backend(check, &places);
    check_tls_enabled(check);
    check_sources(check, &places);
    if (!places.are_good ||
        (backend->sslmode == SSLMODE_UNSET && has(check, "backend.sslmode")))
        return;
    if (backend->sslmode == SSLMODE_UNSET)
        backend->sslmode = default_backend_mode(check, &places);
    if (backend->sslmode == SSLMODE_DISABLE)
        check_plaintext_backend(check);
    else if (backend->sslmode != SSLMODE_UNSET)
        check_tls_backend(check, &places);
    check_sni(check);
}

/* ---- limits ---- */

/* The kernel would round these, down to "never" at worst. */
static void check_limits(const struct check *check)
{
    const struct limit_settings *limits = &check->route->limits;

    if (limits->tcp_keepalive_us % US_PER_S != 0)
        refuse(check, "limits.tcp_keepalive", "is not whole seconds; write \"60s\"");
    if (limits->tcp_user_timeout_us % US_PER_MS != 0)
        refuse(check, "limits.tcp_user_timeout", "is not whole milliseconds; write \"30s\"");
}

void settings_check_route(struct route_settings *route, struct conf_problems *problems)
{
    struct check check = { route, problems };

    check_listener(&check);
    check_networks(&check, "listener.allow", &route->listener.allow);
    check_networks(&check, "listener.deny", &route->listener.deny);
    check_proxy_protocol(&check);
    check_backend(&check);
    check_limits(&check);
}

/* ---- routes beside each other ---- */

/* A name or an address, and whose it is; sorted, doubles are neighbours. */
struct claim {
    const struct route_settings *route;
    size_t                       order; /* of its route: the later one is told */
    char                         text[ADDRESS_TEXT];
};

static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int                 texts = strcmp(x->text, y->text);

    return texts != 0 ? texts : (x->order > y->order) - (x->order < y->order);
}

static size_t claim_names(const struct proxy_settings *settings, struct claim *claims)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        if (settings->routes[i].name != NULL) {
            claims[count] = (struct claim){ &settings->routes[i], i, "" };
            snprintf(claims[count++].text, ADDRESS_TEXT, "%s", settings->routes[i].name);
        }
    return count;
}

/* In their written-out form, so that "[0::1]:5" and "[::1]:5" are one. */
static size_t claim_addresses(const struct proxy_settings *settings, struct claim *claims)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++) {
        const struct conf_strings *list = &settings->routes[i].listener.bind_address;

        for (size_t n = 0; n < list->count; n++) {
            struct address address;

            if (address_parse(&address, list->items[n], NULL) != FAIL_NONE)
                continue;
            claims[count] = (struct claim){ &settings->routes[i], i, "" };
            address_format(&address, claims[count++].text);
        }
    }
    return count;
}

static size_t count_addresses(const struct proxy_settings *settings)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        count += settings->routes[i].listener.bind_address.count;
    return count;
}

static void refuse_doubles(struct claim *claims, size_t count, const char *setting,
                           struct conf_problems *problems)
{
    qsort(claims, count, sizeof *claims, compare_claims);
    for (size_t i = 1; i < count; i++) {
        const struct claim *first = &claims[i - 1], *second = &claims[i];
        char                place[SETTINGS_PLACE];

        if (strcmp(first->text, second->text) != 0)
            continue;
        if (first->route == second->route)
            settings_problem(problems, false, second->route, setting,
                             "\"%s\" is in the list twice", second->text);
        else
            settings_problem(problems, false, second->route, setting,
                             "\"%s\" is taken by route \"%s\" in %s", second->text,
                             first->route->name,
                             settings_place(first->route, setting, second->route, place));
    }
}

void settings_check_routes(const struct proxy_settings *settings,
                           struct conf_problems        *problems)
{
    struct claim *claims =
        calloc(settings->route_count + count_addresses(settings), sizeof *claims);

    if (claims == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return;
    }
    refuse_doubles(claims, claim_names(settings, claims), "name", problems);
    refuse_doubles(claims, claim_addresses(settings, claims), "listener.bind_address",
                   problems);
    free(claims);
}

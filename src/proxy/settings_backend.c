/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_rule.h"

#include "io/address.h"
#include "proxy/spelling.h"

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

    if (!rule_is_good_port(check, "backend.address", text) ||
        address_split(text, host, sizeof host, &port, &is_unix, NULL) != FAIL_NONE) {
        places->are_good = false;
        return;
    }
    is_ip = address_parse(&address, text, NULL) == FAIL_NONE && !is_unix;
    if (!is_ip && !is_unix && !rule_is_host_name(host)) {
        rule_refuse(check, "backend.address", "\"%s\" is not a host name", host);
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
    return !rule_has(check, "backend.sslmode") && rule_has(check, "backend.tls_enabled")
               ? "backend.tls_enabled"
               : "backend.sslmode";
}

static void drop_defaults_of_unix_backend(const struct check          *check,
                                          const struct backend_places *places)
{
    static const char *const settings[] = { "backend.root_ca", "backend.tls_enabled", NULL };

    if (places->unix_socket == NULL || places->have_ip || rule_has(check, "backend.sslmode"))
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
    if (!rule_drop_weaker_default(check, "backend.sslmode", "backend.tls_enabled"))
        rule_refuse(check, "backend.tls_enabled",
                    "%s means sslmode \"%s\" and contradicts \"%s\"; leave one of the two out",
                    meant == SSLMODE_DISABLE ? "false" : "true", sslmode_name(meant),
                    sslmode_name((enum sslmode)backend->sslmode));
}

static int default_backend_mode(const struct check *check, const struct backend_places *places)
{
    const struct backend_settings *backend = &check->route->backend;

    if (backend->tls_enabled != -1)
        return backend->tls_enabled == 1 ? SSLMODE_VERIFY_FULL : SSLMODE_DISABLE;
    if (rule_has(check, "backend.root_ca"))
        return SSLMODE_VERIFY_FULL;
    if (places->are_local)
        return SSLMODE_DISABLE;
    rule_refuse(check, "backend.sslmode",
                "missing; set root_ca for \"verify-full\", or write sslmode = \"disable\" for "
                "plaintext to the server");
    return SSLMODE_UNSET;
}

static void check_plaintext_backend(const struct check *check)
{
    static const char *const useless[] = { "backend.root_ca",
                                           "backend.crl_file",
                                           "backend.crl_dir",
                                           "backend.client_cert",
                                           "backend.client_key",
                                           "backend.key_passphrase_command",
                                           "backend.min_protocol_version",
                                           "backend.max_protocol_version",
                                           "backend.ciphers",
                                           "backend.ciphersuites",
                                           "backend.groups",
                                           "backend.verify_name",
                                           "backend.sni",
                                           "backend.sslnegotiation",
                                           "backend.record_layer",
                                           NULL };

    rule_refuse_each(check, useless,
                     "has no effect with sslmode \"disable\"; leave it out, or write sslmode "
                     "\"verify-full\"");
}

static void check_backend_files(const struct check *check)
{
    static const char *const lists[] = { "backend.crl_file", "backend.crl_dir", NULL };
    bool                     has_cert = rule_has(check, "backend.client_cert");

    if (has_cert != rule_has(check, "backend.client_key"))
        rule_refuse(check, has_cert ? "backend.client_cert" : "backend.client_key",
                    "client_cert and client_key belong together; set both or neither");
    if (!has_cert)
        rule_refuse_useless(check, "backend.key_passphrase_command",
                            "has no effect without client_key; leave it out");
    if (!rule_has(check, "backend.root_ca"))
        rule_refuse_each(check, lists,
                         "has no effect without root_ca; name the authorities that sign the "
                         "server's certificate, or leave it out");
}

static void check_tls_backend(const struct check *check, const struct backend_places *places)
{
    const struct backend_settings *backend = &check->route->backend;
    const char                    *mode = sslmode_name((enum sslmode)backend->sslmode);

    if (places->unix_socket != NULL)
        rule_refuse(check, "backend.address",
                    "\"%s\" takes no TLS, but sslmode is \"%s\"; write sslmode = \"disable\"",
                    places->unix_socket, mode);
    if (rule_verifies(backend->sslmode) && !rule_has(check, "backend.root_ca"))
        rule_refuse(
            check, backend_mode_setting(check),
            "\"%s\" needs root_ca; name the file of the authorities that sign the server's "
            "certificate%s",
            mode, backend->sslmode == SSLMODE_VERIFY_FULL ? ", or \"system\"" : "");
    /* libpq's rule for sslrootcert=system: anybody gets a certificate from those */
    if (backend->sslmode != SSLMODE_VERIFY_FULL && backend->root_ca != NULL &&
        strcmp(backend->root_ca, "system") == 0)
        rule_refuse(
            check, "backend.root_ca",
            "\"system\" trusts whoever has a public certificate, but sslmode is \"%s\"; "
            "write \"verify-full\"",
            mode);
    if (backend->sslnegotiation == NEGOTIATE_DIRECT && backend->sslmode < SSLMODE_REQUIRE)
        rule_refuse_useless(
            check, "backend.sslnegotiation",
            "\"direct\" leaves no room for plaintext, but sslmode is \"%s\"; write \"require\" "
            "or stronger",
            mode);
    if (backend->sslmode == SSLMODE_ALLOW || backend->sslmode == SSLMODE_PREFER)
        rule_warn(
            check, "backend.sslmode",
            "\"allow\" and \"prefer\" go on in plaintext where the server, or whoever answers "
            "in its place, says so; set root_ca and write \"verify-full\"");
    if (backend->sslmode == SSLMODE_REQUIRE && !rule_has(check, "backend.root_ca"))
        rule_warn(
            check, "backend.sslmode",
            "\"require\" without root_ca encrypts but does not authenticate the server; set "
            "root_ca and write \"verify-full\"");
    if (backend->sslmode != SSLMODE_VERIFY_FULL)
        rule_refuse_useless(
            check, "backend.verify_name",
            "has no effect with sslmode \"%s\"; only \"verify-full\" compares names", mode);
    check_backend_files(check);
}

/* RFC 6066 section 3: names only, no addresses, and no dot at the end. */
static void check_sni(const struct check *check)
{
    const char    *sni = check->route->backend.sni;
    size_t         len = sni != NULL ? strlen(sni) : 0;
    struct address address;

    if (len > 0 && (!rule_is_host_name(sni) || sni[len - 1] == '.' ||
                    address_from_numeric(&address, sni, 0)))
        rule_refuse(check, "backend.sni", "\"%s\" is not a host name; \"\" announces none",
                    sni);
}

/* A name may stand for addresses of both families. */
static bool fits_one(const struct address *source, const struct conf_strings *addresses)
{
    bool fits = false;

    for (size_t i = 0; i < addresses->count; i++) {
        struct address address;

        fits = fits || address_parse(&address, addresses->items[i], NULL) != FAIL_NONE ||
               address.length == source->length;
    }
    return fits;
}

static void check_sources(const struct check *check, const struct backend_places *places)
{
    const struct backend_settings *backend = &check->route->backend;
    const struct conf_strings     *list = &backend->source_address;

    for (size_t i = 0; i < list->count; i++) {
        struct address address;

        if (!address_from_numeric(&address, list->items[i], 0))
            rule_refuse(
                check, "backend.source_address",
                "\"%s\" is not an IP address; write one of this machine, without a port",
                list->items[i]);
        else if (places->are_good && places->unix_socket == NULL &&
                 !fits_one(&address, &backend->addresses))
            rule_refuse_useless(check, "backend.source_address",
                                "\"%s\" has no effect: no address of the backend is of its "
                                "family; leave it out",
                                list->items[i]);
    }
    if (places->unix_socket != NULL)
        rule_refuse_useless(check, "backend.source_address",
                            "has no effect with the Unix socket \"%s\"; leave it out",
                            places->unix_socket);
}

/* A route that leads to its own port would call itself until no connection is left. */
static void check_leads_elsewhere(const struct check *check)
{
    const struct conf_strings *own = &check->route->listener.bind_address;
    const struct conf_strings *list = &check->route->backend.addresses;

    for (size_t i = 0; i < own->count; i++)
        for (size_t n = 0; n < list->count; n++) {
            char here[SPELLING_MOST], there[SPELLING_MOST];

            spelling_of_server(own->items[i], here);
            spelling_of_server(list->items[n], there);
            if (strcmp(here, there) == 0)
                rule_refuse(check, "backend.address",
                            "\"%s\" is this route's own bind_address; write the address of the "
                            "server",
                            list->items[n]);
        }
}

void settings_check_backend(const struct check *check)
{
    struct backend_settings *backend = &check->route->backend;
    struct backend_places    places = backend_places(check);

    drop_defaults_of_unix_backend(check, &places);
    check_tls_enabled(check);
    check_sources(check, &places);
    check_leads_elsewhere(check);
    if (!places.are_good ||
        (backend->sslmode == SSLMODE_UNSET && rule_has(check, "backend.sslmode")))
        return;
    if (backend->sslmode == SSLMODE_UNSET)
        backend->sslmode = default_backend_mode(check, &places);
    if (backend->sslmode == SSLMODE_DISABLE)
        check_plaintext_backend(check);
    else if (backend->sslmode != SSLMODE_UNSET)
        check_tls_backend(check, &places);
    check_sni(check);
}

/* SPDX-License-Identifier: PostgreSQL */
/* What the settings of TLS towards clients say about each other. */
#include "proxy/settings_rows.h"
#include "proxy/settings_rule.h"
#include "tls/policy.h"

#include <stdio.h>

#define LONGEST_NAME 64

/* "listener.NAME", the name of the n-th row; NULL behind the last. */
static const char *row_setting(size_t n, char out[static LONGEST_NAME])
{
    const char *name = settings_client_tls_rows[n].name;

    if (name == NULL)
        return NULL;
    snprintf(out, LONGEST_NAME, "listener.%s", name);
    return out;
}

static bool is_about_mode(const char *setting)
{
    return strcmp(setting, "listener.sslmode") == 0 || strcmp(setting, "listener.mtls") == 0;
}

void rule_refuse_client_tls(const struct check *check, const char *why)
{
    char        name[LONGEST_NAME];
    const char *setting;

    for (size_t n = 0; (setting = row_setting(n, name)) != NULL; n++)
        if (!is_about_mode(setting))
            rule_refuse_useless(check, setting, "%s", why);
}

/* Hosts that had no use for it have dropped it. */
static bool is_inherited(const struct route_settings *port, const char *setting)
{
    for (size_t i = 0; i < port->host_count; i++)
        if (settings_has(&port->hosts[i], setting) && !settings_says(&port->hosts[i], setting))
            return true;
    return false;
}

void rule_refuse_what_no_host_inherits(const struct check *check)
{
    char        name[LONGEST_NAME];
    const char *setting;

    for (size_t n = 0; (setting = row_setting(n, name)) != NULL; n++)
        if (settings_says(check->route, setting) && !is_about_mode(setting) &&
            !is_inherited(check->route, setting))
            rule_refuse(check, setting,
                        "has no effect: the listener has it for its hosts, and every host says "
                        "its own or has no use for it; leave it out");
}

static void check_certificate(const struct check *check, const char *setting, const char *mode)
{
    const struct listener_settings *listener = &check->route->listener;

    if (!rule_has(check, "listener.server_cert"))
        rule_refuse(check, setting,
                    "\"%s\" needs server_cert; name the server's certificate file", mode);
    if (!rule_has(check, "listener.server_key"))
        rule_refuse(check, setting, "\"%s\" needs server_key; name the key file of server_cert",
                    mode);
    if (listener->server_cert.count > 0 && listener->server_key.count > 0 &&
        listener->server_cert.count != listener->server_key.count)
        rule_refuse(
            check, "listener.server_key",
            "has %zu keys for the %zu certificates of server_cert; write as many, in the "
            "same order",
            listener->server_key.count, listener->server_cert.count);
    if (listener->server_cert.count > TLS_MOST_IDENTITIES)
        rule_refuse(check, "listener.server_cert", "has %zu certificates; the most is %d",
                    listener->server_cert.count, TLS_MOST_IDENTITIES);
}

static void check_authorities(const struct check *check, const char *setting, const char *mode)
{
    static const char *const lists[] = { "listener.client_crl_file", "listener.client_crl_dir",
                                         NULL };
    bool                     verifies = rule_verifies(check->route->listener.sslmode);
    bool                     has_ca = rule_has(check, "listener.client_ca");

    if (verifies && !has_ca)
        rule_refuse(check, setting,
                    "\"%s\" needs client_ca; name the file of the authorities that sign client "
                    "certificates",
                    mode);
    if (!verifies && has_ca)
        rule_warn(check, "listener.client_ca",
                  "client certificates are optional with sslmode \"require\" and weaker; write "
                  "\"verify-ca\" or \"verify-full\" to demand them");
    if (!has_ca)
        rule_refuse_each(
            check, lists,
            "has no effect without client_ca; name the authorities that sign client "
            "certificates, or leave it out");
}

static void check_names(const struct check *check, const char *mode)
{
    static const char *const settings[] = { "listener.client_name", "listener.ident_file",
                                            "listener.ident_map", NULL };
    bool                     has_file = rule_has(check, "listener.ident_file");

    for (size_t i = 0;
         check->route->listener.sslmode != SSLMODE_VERIFY_FULL && settings[i] != NULL; i++)
        rule_refuse_useless(
            check, settings[i],
            "has no effect with sslmode \"%s\"; only \"verify-full\" compares names", mode);
    if (check->route->listener.sslmode == SSLMODE_VERIFY_FULL &&
        has_file != rule_has(check, "listener.ident_map"))
        rule_refuse(check, has_file ? "listener.ident_file" : "listener.ident_map",
                    "ident_file and ident_map belong together; set both or neither");
}

/* ---- mtls ---- */

static bool mtls_contradicts_mode(const struct listener_settings *listener)
{
    return listener->sslmode != SSLMODE_UNSET && listener->mtls != -1 &&
           (listener->mtls == 1) != rule_verifies(listener->sslmode);
}

static void drop_defaults_of_mtls(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;

    if (mtls_contradicts_mode(listener))
        rule_drop_weaker_default(check, "listener.sslmode", "listener.mtls");
    if (listener->mtls == 0 && listener->sslmode == SSLMODE_UNSET &&
        rule_has(check, "listener.client_ca"))
        rule_drop_weaker_default(check, "listener.mtls", "listener.client_ca");
}

void settings_check_mtls(const struct check *check)
{
    const struct listener_settings *listener = &check->route->listener;

    drop_defaults_of_mtls(check);
    if (mtls_contradicts_mode(listener) && listener->mtls == 1)
        rule_refuse(
            check, "listener.mtls",
            "true contradicts sslmode \"%s\"; write \"verify-ca\" or \"verify-full\", or leave "
            "one of the two out",
            sslmode_name((enum sslmode)listener->sslmode));
    else if (mtls_contradicts_mode(listener))
        rule_refuse(check, "listener.mtls",
                    "false contradicts sslmode \"%s\"; leave one of the two out",
                    sslmode_name((enum sslmode)listener->sslmode));
    else if (listener->mtls == 0 && listener->sslmode == SSLMODE_UNSET &&
             rule_has(check, "listener.client_ca"))
        rule_refuse(
            check, "listener.mtls",
            "false contradicts client_ca; write sslmode = \"require\" for certificates that "
            "are "
            "optional");
}

void settings_check_client_tls(const struct check *check, const char *setting)
{
    const struct listener_settings *listener = &check->route->listener;
    const char                     *mode = sslmode_name((enum sslmode)listener->sslmode);

    check_certificate(check, setting, mode);
    check_authorities(check, setting, mode);
    check_names(check, mode);
    if (listener->session_tickets != 1)
        rule_refuse_useless(check, "listener.ticket_key_file",
                            "has no effect without tickets; write session_tickets = true");
}

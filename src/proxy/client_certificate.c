/* SPDX-License-Identifier: PostgreSQL */
/*
 * What verify-ca and verify-full demand beside a chain that verifies: a certificate at all, and
 * that it is the user's.  Told as PostgreSQL tells it: 28000, inside TLS.
 */
#include "proxy/conversation_state.h"

#include "base/name.h"
#include "pg/startup.h"

#include <stdio.h>
#include <string.h>

#define SHOWN 64

static const char *const kinds[] = {
    [CERTIFICATE_CN] = "common name (CN)",     [CERTIFICATE_DN] = "subject (DN)",
    [CERTIFICATE_SAN_DNS] = "DNS name",        [CERTIFICATE_SAN_URI] = "URI",
    [CERTIFICATE_SAN_EMAIL] = "email address",
};

/* For the log: what was found, and what was expected. */
static void explain_names(const struct conversation *c, const struct certificate_names *names,
                          struct failure *why)
{
    const struct route *route = c->route;
    const char         *kind = kinds[route->settings->listener.client_name];
    char                user[SHOWN], name[SHOWN], others[40] = "";

    text_escape(user, sizeof user, bytes_of_string(c->user));
    if (route->map != NULL)
        fail_hint(why, "add a line for that name and that user to map %s of %s",
                  route->settings->listener.ident_map, route->settings->listener.ident_file);
    else
        fail_hint(why, "log in as the user that the certificate names, or set client_name, or "
                       "ident_file and ident_map");
    if (names->count == 0) {
        (void)fail(why, FAIL_REFUSED,
                   "the client certificate has no %s, and the user is \"%s\"", kind, user);
        return;
    }
    text_escape(name, sizeof name, bytes_of_string(names->items[0]));
    if (names->count > 1)
        snprintf(others, sizeof others, " (and %u more)", (unsigned)(names->count - 1));
    (void)fail(why, FAIL_REFUSED,
               "the %s in the client certificate is \"%s\"%s, the user \"%s\"", kind, name,
               others, user);
}

/* One of the names is the user's, or leads to it by the map. */
static bool name_suffices(const struct conversation *c, struct failure *why)
{
    const struct route        *route = c->route;
    enum certificate_name_kind kind =
        (enum certificate_name_kind)route->settings->listener.client_name;
    struct certificate_names names = { 0 };
    bool                     suffices = false;

    if (tls_engine_peer_names(c->client.leg.tls, kind, &names, why) == FAIL_NONE) {
        if (route->map == NULL)
            suffices = certificate_names_have(&names, c->user);
        for (size_t i = 0; route->map != NULL && !suffices && i < names.count; i++)
            suffices = ident_map_allows(route->map, names.items[i], c->user, why);
        if (!suffices)
            explain_names(c, &names, why);
    }
    certificate_names_fini(&names);
    return suffices;
}

static bool refuse(struct conversation *c, const char *message, const char *hint,
                   struct failure *why)
{
    if (!failed(why)) {
        (void)fail(why, FAIL_REFUSED, "%s", message);
        fail_hint(why, "%s", hint);
    }
    report_failure(c, EVENT_AUTH_FAILED, "certificate", why);
    conversation_refuse(c, END_AUTH_FAILED, "28000", message, hint);
    return false;
}

bool certificate_check(struct conversation *c)
{
    const struct tls_facts *facts = leg_facts(&c->client.leg);
    int                     mode = c->route->settings->listener.sslmode;
    struct failure          why = { 0 };

    if (mode != SSLMODE_VERIFY_CA && mode != SSLMODE_VERIFY_FULL)
        return true;
    if (facts == NULL || !facts->peer_presented)
        return refuse(c, "connection requires a valid client certificate",
                      "set sslcert and sslkey at the client", &why);
    if (mode == SSLMODE_VERIFY_CA)
        return true;
    if (strlen(c->user) > PG_LONGEST_NAME)
        return refuse(c, "the user name is longer than 63 bytes",
                      "the server would cut it, and let in another user", &why);
    if (name_suffices(c, &why))
        return true;
    return refuse(c, "the name in the client certificate is not the user name",
                  c->route->map == NULL ? "log in as the user that the certificate is for"
                                        : "log in as a user that the certificate may be "
                                          "used for",
                  &why);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/settings_files.h"

#include "conf/file.h"
#include "io/clock.h"
#include "x509/certificate.h"

#include <string.h>

static void tell(const struct route_settings *route, const char *setting, const char *file,
                 struct failure *why, struct conf_problems *problems)
{
    conf_file_explain_denied(file, why);
    settings_problem(problems, false, route, setting, "%s%s%s", why->text,
                     why->hint[0] == '\0' ? "" : "; ", why->hint);
}

static struct identity_files identity_files(const struct route_settings *route,
                                            enum settings_section        side)
{
    if (side == SECTION_LISTENER)
        return (struct identity_files){ .cert = route->listener.server_cert,
                                        .key = route->listener.server_key };
    return (struct identity_files){ .cert = route->backend.client_cert,
                                    .key = route->backend.client_key };
}

static const char *trust_file(const struct route_settings *route, enum settings_section side)
{
    return side == SECTION_LISTENER ? route->listener.client_ca : route->backend.root_ca;
}

/* What is wrong with the two together is told at the certificate. */
static bool is_about_key(const struct failure *why, const struct identity_files *files)
{
    return strstr(why->text, files->key) != NULL && strstr(why->text, files->cert) == NULL;
}

/* The clock may be wrong, and a proxy that is down is worse: it is said, and served. */
static void warn_of_dates(const struct route_settings *route, const char *setting,
                          const struct identity *identity, struct conf_problems *problems)
{
    const struct certificate_facts *facts = identity_facts(identity);
    int64_t                         now = (int64_t)(clock_wall_us() / 1000000);

    if (now > facts->not_after)
        settings_problem(problems, true, route, setting,
                         "the certificate has expired and peers will refuse it; renew it");
    else if (now < facts->not_before)
        settings_problem(
            problems, true, route, setting,
            "the certificate is not valid yet and peers will refuse it; look at the "
            "clock");
}

struct identity *settings_load_identity(const struct route_settings *route,
                                        enum settings_section        side,
                                        struct conf_problems        *problems)
{
    const char *cert =
        side == SECTION_LISTENER ? "listener.server_cert" : "backend.client_cert";
    const char *key = side == SECTION_LISTENER ? "listener.server_key" : "backend.client_key";
    struct identity_files files = identity_files(route, side);
    struct failure        why = { 0 };
    struct identity      *identity = identity_load(&files, &why);

    if (identity == NULL && is_about_key(&why, &files))
        tell(route, key, files.key, &why, problems);
    else if (identity == NULL)
        tell(route, cert, files.cert, &why, problems);
    else
        warn_of_dates(route, cert, identity, problems);
    return identity;
}

struct trust *settings_load_trust(const struct route_settings *route,
                                  enum settings_section side, struct conf_problems *problems)
{
    const char *setting = side == SECTION_LISTENER ? "listener.client_ca" : "backend.root_ca";
    struct failure why = { 0 };
    struct trust  *trust = trust_load(trust_file(route, side), &why);

    if (trust == NULL)
        tell(route, setting, trust_file(route, side), &why, problems);
    return trust;
}

static void prove_side(const struct route_settings *route, enum settings_section side,
                       struct conf_problems *problems)
{
    struct identity_files files = identity_files(route, side);

    if (files.cert != NULL && files.key != NULL)
        identity_release(settings_load_identity(route, side, problems));
    if (trust_file(route, side) != NULL)
        trust_release(settings_load_trust(route, side, problems));
}

void settings_prove_files(const struct proxy_settings *settings, struct conf_problems *problems)
{
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct route_settings *route = &settings->routes[i];

        if (route->name == NULL)
            continue;
        prove_side(route, SECTION_LISTENER, problems);
        prove_side(route, SECTION_BACKEND, problems);
    }
}

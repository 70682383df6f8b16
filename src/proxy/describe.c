/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/describe.h"

#include "x509/certificate.h"

#include <time.h>

static void put_date(struct buf *report, int64_t seconds)
{
    time_t    at = (time_t)seconds;
    struct tm utc;
    char      text[32];

    gmtime_r(&at, &utc);
    strftime(text, sizeof text, "%Y-%m-%d", &utc);
    buf_put_format(report, "%s", text);
}

static void put_certificate(struct buf *report, const char *what, const char *file,
                            const struct certificate_facts *facts)
{
    buf_put_format(report, "    %-12s %s\n", what, file);
    buf_put_format(report, "      subject %s, serial %s\n", facts->subject, facts->serial);
    if (facts->names[0] != '\0')
        buf_put_format(report, "      names   %s\n", facts->names);
    buf_put_format(report, "      valid   ");
    put_date(report, facts->not_before);
    buf_put_format(report, " to ");
    put_date(report, facts->not_after);
    buf_put_format(report, "\n");
}

static void put_trust(struct buf *report, const char *what, const char *file,
                      const struct trust *trust)
{
    if (trust_is_system(trust))
        buf_put_format(report, "    %-12s the system's store\n", what);
    for (size_t i = 0; i < trust_count(trust); i++)
        put_certificate(report, what, file, trust_facts(trust, i));
}

static void put_policy(struct buf *report, const struct tls_policy *policy,
                       const char *const *certs, const char *ca_name, const char *ca)
{
    const struct tls_policy_options *options;

    if (policy == NULL)
        return;
    options = tls_policy_options(policy);
    for (size_t i = 0; i < TLS_MOST_IDENTITIES && tls_policy_identity(policy, i) != NULL; i++)
        put_certificate(report, "certificate", certs[i],
                        identity_facts(tls_policy_identity(policy, i)));
    if (options->trust != NULL)
        put_trust(report, ca_name, ca, options->trust);
}

static void put_route(struct buf *report, const struct route *route)
{
    const struct listener_settings *listener = &route->settings->listener;
    const struct backend_settings  *backend = &route->settings->backend;

    buf_put_format(report, "route \"%s\"\n", route->settings->name);
    for (size_t i = 0; i < listener->bind_address.count; i++)
        buf_put_format(report, "  listener %s, sslmode %s\n", listener->bind_address.items[i],
                       sslmode_name((enum sslmode)listener->sslmode));
    put_policy(report, route->client_policy, (const char *const *)listener->server_cert.items,
               "client_ca", listener->client_ca);
    for (size_t i = 0; i < route->target_count; i++)
        buf_put_format(report, "  backend %s, sslmode %s\n", route->targets[i].text,
                       sslmode_name((enum sslmode)backend->sslmode));
    put_policy(report, route->backend_policy, (const char *const[]){ backend->client_cert },
               "root_ca", backend->root_ca);
}

void describe_generation(const struct generation *generation, struct buf *report)
{
    for (size_t i = 0; i < generation->settings->route_count; i++)
        put_route(report, generation->routes[i]);
}

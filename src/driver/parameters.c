/* SPDX-License-Identifier: PostgreSQL */
#include "driver/parameters.h"

#include "base/secret.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define LONGEST_NAME 64

/* libpq 17's PQconninfoOptions and what 18 adds; the order is that of the enum. */
static const struct parameter_row rows[PARAMETER_COUNT] = {
    [PARAMETER_SERVICE] = { .name = "service", .environment = "PGSERVICE" },
    [PARAMETER_HOST] = { .name = "host", .environment = "PGHOST" },
    [PARAMETER_HOSTADDR] = { .name = "hostaddr", .environment = "PGHOSTADDR" },
    [PARAMETER_PORT] = { .name = "port", .environment = "PGPORT" },
    [PARAMETER_DBNAME] = { .name = "dbname", .environment = "PGDATABASE" },
    [PARAMETER_USER] = { .name = "user", .environment = "PGUSER" },
    [PARAMETER_PASSWORD] = { .name = "password", .environment = "PGPASSWORD" },
    [PARAMETER_PASSFILE] = { .name = "passfile", .environment = "PGPASSFILE" },
    [PARAMETER_OPTIONS] = { .name = "options", .environment = "PGOPTIONS" },
    [PARAMETER_APPLICATION_NAME] = { .name = "application_name", .environment = "PGAPPNAME" },
    [PARAMETER_CONNECT_TIMEOUT] = { .name = "connect_timeout",
                                    .environment = "PGCONNECT_TIMEOUT",
                                    .redis_name = "connect_timeout" },
    [PARAMETER_SSLMODE] = { .name = "sslmode",
                            .environment = "PGSSLMODE",
                            .preset = "verify-full",
                            .choices = "disable allow prefer require verify-ca verify-full" },
    [PARAMETER_SSLNEGOTIATION] = { .name = "sslnegotiation",
                                   .environment = "PGSSLNEGOTIATION",
                                   .preset = "postgres",
                                   .choices = "postgres direct" },
    [PARAMETER_SSLROOTCERT] = { .name = "sslrootcert",
                                .environment = "PGSSLROOTCERT",
                                .redis_name = "cacert" },
    [PARAMETER_SSLCERT] = { .name = "sslcert",
                            .environment = "PGSSLCERT",
                            .redis_name = "cert" },
    [PARAMETER_SSLKEY] = { .name = "sslkey", .environment = "PGSSLKEY", .redis_name = "key" },
    [PARAMETER_SSLPASSWORD] = { .name = "sslpassword" },
    [PARAMETER_SSLCERTMODE] = { .name = "sslcertmode",
                                .environment = "PGSSLCERTMODE",
                                .preset = "allow",
                                .choices = "disable allow require" },
    [PARAMETER_SSLCRL] = { .name = "sslcrl", .environment = "PGSSLCRL", .redis_name = "crl" },
    [PARAMETER_SSLCRLDIR] = { .name = "sslcrldir", .environment = "PGSSLCRLDIR" },
    [PARAMETER_SSLSNI] = { .name = "sslsni",
                           .environment = "PGSSLSNI",
                           .preset = "1",
                           .choices = "0 1" },
    [PARAMETER_SSL_MIN] = { .name = "ssl_min_protocol_version",
                            .environment = "PGSSLMINPROTOCOLVERSION",
                            .choices = "TLSv1.2 TLSv1.3" },
    [PARAMETER_SSL_MAX] = { .name = "ssl_max_protocol_version",
                            .environment = "PGSSLMAXPROTOCOLVERSION",
                            .choices = "TLSv1.2 TLSv1.3" },
    [PARAMETER_CHANNEL_BINDING] = { .name = "channel_binding",
                                    .environment = "PGCHANNELBINDING",
                                    .preset = "prefer",
                                    .choices = "disable prefer require" },
    [PARAMETER_REQUIRE_AUTH] = { .name = "require_auth", .environment = "PGREQUIREAUTH" },
    [PARAMETER_SNI] = { .redis_name = "sni" },
    [PARAMETER_FIRST_IDLE] = { .name = "authtype" },
    { .name = "client_encoding", .environment = "PGCLIENTENCODING" },
    { .name = "fallback_application_name" },
    { .name = "keepalives" },
    { .name = "keepalives_idle" },
    { .name = "keepalives_interval" },
    { .name = "keepalives_count" },
    { .name = "tcp_user_timeout" },
    { .name = "replication" },
    { .name = "gssencmode", .environment = "PGGSSENCMODE" },
    { .name = "krbsrvname", .environment = "PGKRBSRVNAME" },
    { .name = "gsslib", .environment = "PGGSSLIB" },
    { .name = "gssdelegation", .environment = "PGGSSDELEGATION" },
    { .name = "requirepeer", .environment = "PGREQUIREPEER" },
    { .name = "requiressl", .environment = "PGREQUIRESSL" },
    { .name = "sslcompression", .environment = "PGSSLCOMPRESSION" },
    { .name = "target_session_attrs", .environment = "PGTARGETSESSIONATTRS" },
    { .name = "load_balance_hosts", .environment = "PGLOADBALANCEHOSTS" },
    { .name = "min_protocol_version", .environment = "PGMINPROTOCOLVERSION" },
    { .name = "max_protocol_version", .environment = "PGMAXPROTOCOLVERSION" },
    { .name = "sslkeylogfile" },
    { .name = "scram_client_key" },
    { .name = "scram_server_key" },
    { .name = "oauth_issuer" },
    { .name = "oauth_client_id" },
};

const struct parameter_row *parameter_row(enum parameter parameter)
{
    return &rows[parameter];
}

void parameters_init(struct parameters *parameters)
{
    *parameters = (struct parameters){ 0 };
}

static void forget(char **value)
{
    if (*value != NULL)
        secret_wipe(*value, strlen(*value)); /* it may be a password */
    free(*value);
    *value = NULL;
}

void parameters_fini(struct parameters *parameters)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++)
        forget(&parameters->values[i]);
}

static const char *name_in(enum parameters_protocol protocol, const struct parameter_row *row)
{
    return protocol == PARAMETERS_REDIS ? row->redis_name : row->name;
}

enum parameter parameter_find(enum parameters_protocol protocol, struct bytes name)
{
    for (enum parameter i = 0; i < PARAMETER_COUNT; i++) {
        const char *known = name_in(protocol, &rows[i]);

        if (known != NULL && bytes_equal(name, bytes_of_string(known)))
            return i;
    }
    return PARAMETER_COUNT;
}

static bool is_choice(const char *choices, struct bytes value)
{
    while (*choices != '\0') {
        size_t len = strcspn(choices, " ");

        if (bytes_equal(bytes_of(choices, len), value))
            return true;
        choices += len + strspn(choices + len, " ");
    }
    return false;
}

static enum fail refuse_choice(const struct parameter_row *row, struct bytes value,
                               struct failure *why)
{
    char shown[48];

    text_escape(shown, sizeof shown, value);
    fail_hint(why, "one of: %s", row->choices);
    return fail(why, FAIL_CONFIG, "%s cannot be \"%s\"", row->name, shown);
}

enum fail parameters_set(struct parameters *parameters, enum parameter parameter,
                         struct bytes value, enum parameter_source source, struct failure *why)
{
    const struct parameter_row *row = &rows[parameter];
    uint8_t                     before = parameters->sources[parameter];
    char                       *copy;

    if (before != SOURCE_NONE && before != source)
        return FAIL_NONE;
    if (value.len > 0 && memchr(value.p, '\0', value.len) != NULL)
        return fail(why, FAIL_CONFIG, "%s has a zero byte in it", row->name);
    if (row->choices != NULL && value.len > 0 && !is_choice(row->choices, value))
        return refuse_choice(row, value, why);
    if ((copy = malloc(value.len + 1)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    if (value.len > 0)
        memcpy(copy, value.p, value.len);
    copy[value.len] = '\0';
    forget(&parameters->values[parameter]);
    parameters->values[parameter] = copy;
    parameters->sources[parameter] = (uint8_t)source;
    return FAIL_NONE;
}

/* In a connection string the name may be a piece of a password, for want of a quote. */
static enum fail refuse_name(enum parameters_protocol protocol, struct bytes name,
                             enum parameter_source source, struct failure *why)
{
    const char *names[PARAMETER_COUNT + 1];
    size_t      count = 0;
    char        shown[LONGEST_NAME];
    const char *near;

    for (size_t i = 0; i < PARAMETER_COUNT; i++)
        if (name_in(protocol, &rows[i]) != NULL)
            names[count++] = name_in(protocol, &rows[i]);
    names[count] = NULL;
    text_escape(shown, sizeof shown, name);
    near = text_nearest(shown, names);
    if (near != NULL)
        fail_hint(why, "did you mean \"%s\"?", near);
    if (source == SOURCE_STRING)
        return fail(why, FAIL_CONFIG, "no connection parameter has this name");
    return fail(why, FAIL_CONFIG, "there is no connection parameter \"%s\"", shown);
}

enum fail parameters_set_by_name(struct parameters *parameters, struct bytes name,
                                 struct bytes value, enum parameter_source source,
                                 struct failure *why)
{
    enum parameter parameter = parameter_find(parameters->protocol, name);

    if (parameter == PARAMETER_COUNT)
        return refuse_name(parameters->protocol, name, source, why);
    return parameters_set(parameters, parameter, value, source, why);
}

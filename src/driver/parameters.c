/* SPDX-License-Identifier: PostgreSQL */
#include "driver/parameters.h"

#include "base/secret.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define LONGEST_NAME 64

/* libpq 17's PQconninfoOptions and what 18 adds; the order is that of the enum. */
static const struct parameter_row rows[PARAMETER_COUNT] = {
    [PARAMETER_SERVICE] = { "service", "PGSERVICE" },
    [PARAMETER_HOST] = { "host", "PGHOST" },
    [PARAMETER_HOSTADDR] = { "hostaddr", "PGHOSTADDR" },
    [PARAMETER_PORT] = { "port", "PGPORT" },
    [PARAMETER_DBNAME] = { "dbname", "PGDATABASE" },
    [PARAMETER_USER] = { "user", "PGUSER" },
    [PARAMETER_PASSWORD] = { "password", "PGPASSWORD" },
    [PARAMETER_PASSFILE] = { "passfile", "PGPASSFILE" },
    [PARAMETER_OPTIONS] = { "options", "PGOPTIONS" },
    [PARAMETER_APPLICATION_NAME] = { "application_name", "PGAPPNAME" },
    [PARAMETER_CONNECT_TIMEOUT] = { "connect_timeout", "PGCONNECT_TIMEOUT", NULL, NULL,
                                    "connect_timeout" },
    [PARAMETER_SSLMODE] = { "sslmode", "PGSSLMODE", "verify-full",
                            "disable allow prefer require verify-ca verify-full" },
    [PARAMETER_SSLNEGOTIATION] = { "sslnegotiation", "PGSSLNEGOTIATION", "postgres",
                                   "postgres direct" },
    [PARAMETER_SSLROOTCERT] = { "sslrootcert", "PGSSLROOTCERT", NULL, NULL, "cacert" },
    [PARAMETER_SSLCERT] = { "sslcert", "PGSSLCERT", NULL, NULL, "cert" },
    [PARAMETER_SSLKEY] = { "sslkey", "PGSSLKEY", NULL, NULL, "key" },
    [PARAMETER_SSLPASSWORD] = { "sslpassword" },
    [PARAMETER_SSLCERTMODE] = { "sslcertmode", "PGSSLCERTMODE", "allow",
                                "disable allow require" },
    [PARAMETER_SSLCRL] = { "sslcrl", "PGSSLCRL", NULL, NULL, "crl" },
    [PARAMETER_SSLCRLDIR] = { "sslcrldir", "PGSSLCRLDIR" },
    [PARAMETER_SSLSNI] = { "sslsni", "PGSSLSNI", "1", "0 1" },
    [PARAMETER_SSL_MIN] = { "ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", NULL,
                            "TLSv1.2 TLSv1.3" },
    [PARAMETER_SSL_MAX] = { "ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", NULL,
                            "TLSv1.2 TLSv1.3" },
    [PARAMETER_CHANNEL_BINDING] = { "channel_binding", "PGCHANNELBINDING", "prefer",
                                    "disable prefer require" },
    [PARAMETER_REQUIRE_AUTH] = { "require_auth", "PGREQUIREAUTH" },
    [PARAMETER_SNI] = { NULL, NULL, NULL, NULL, "sni" },
    [PARAMETER_FIRST_IDLE] = { "authtype" },
    { "client_encoding", "PGCLIENTENCODING" },
    { "fallback_application_name" },
    { "keepalives" },
    { "keepalives_idle" },
    { "keepalives_interval" },
    { "keepalives_count" },
    { "tcp_user_timeout" },
    { "replication" },
    { "gssencmode", "PGGSSENCMODE" },
    { "krbsrvname", "PGKRBSRVNAME" },
    { "gsslib", "PGGSSLIB" },
    { "gssdelegation", "PGGSSDELEGATION" },
    { "requirepeer", "PGREQUIREPEER" },
    { "requiressl", "PGREQUIRESSL" },
    { "sslcompression", "PGSSLCOMPRESSION" },
    { "target_session_attrs", "PGTARGETSESSIONATTRS" },
    { "load_balance_hosts", "PGLOADBALANCEHOSTS" },
    { "min_protocol_version", "PGMINPROTOCOLVERSION" },
    { "max_protocol_version", "PGMAXPROTOCOLVERSION" },
    { "sslkeylogfile" },
    { "scram_client_key" },
    { "scram_server_key" },
    { "oauth_issuer" },
    { "oauth_client_id" },
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

static enum fail refuse_name(enum parameters_protocol protocol, struct bytes name,
                             struct failure *why)
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
    return fail(why, FAIL_CONFIG, "there is no connection parameter \"%s\"", shown);
}

enum fail parameters_set_by_name(struct parameters *parameters, struct bytes name,
                                 struct bytes value, enum parameter_source source,
                                 struct failure *why)
{
    enum parameter parameter = parameter_find(parameters->protocol, name);

    if (parameter == PARAMETER_COUNT)
        return refuse_name(parameters->protocol, name, why);
    return parameters_set(parameters, parameter, value, source, why);
}

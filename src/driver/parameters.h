/* SPDX-License-Identifier: PostgreSQL */
/*
 * driver/parameters.h - what is said about a connection: libpq's parameters, and Redis's
 *
 * One table has every parameter with its environment variable, preset and choices.  A value
 * knows where it came from, and the first source to name one wins: the connection string, the
 * service file, the environment, files in the home directory, the preset.
 */
#ifndef PGTLS_DRIVER_PARAMETERS_H
#define PGTLS_DRIVER_PARAMETERS_H

#include "base/bytes.h"
#include "base/fail.h"

enum parameter {
    PARAMETER_SERVICE,
    PARAMETER_HOST,
    PARAMETER_HOSTADDR,
    PARAMETER_PORT,
    PARAMETER_DBNAME,
    PARAMETER_USER,
    PARAMETER_PASSWORD,
    PARAMETER_PASSFILE,
    PARAMETER_OPTIONS,
    PARAMETER_APPLICATION_NAME,
    PARAMETER_CONNECT_TIMEOUT,
    PARAMETER_SSLMODE,
    PARAMETER_SSLNEGOTIATION,
    PARAMETER_SSLROOTCERT,
    PARAMETER_SSLCERT,
    PARAMETER_SSLKEY,
    PARAMETER_SSLPASSWORD,
    PARAMETER_SSLCERTMODE,
    PARAMETER_SSLCRL,
    PARAMETER_SSLCRLDIR,
    PARAMETER_SSLSNI,
    PARAMETER_SSL_MIN,
    PARAMETER_SSL_MAX,
    PARAMETER_CHANNEL_BINDING,
    PARAMETER_REQUIRE_AUTH,
    PARAMETER_SNI, /* Redis: the name to announce */
    PARAMETER_LAST_USED = PARAMETER_SNI,
    PARAMETER_FIRST_IDLE, /* libpq's others: taken, without effect; see parameter_row() */
    PARAMETER_COUNT = PARAMETER_FIRST_IDLE + 25,
};

enum parameter_source {
    SOURCE_NONE, /* nobody has said anything */
    SOURCE_STRING,
    SOURCE_SERVICE,
    SOURCE_ENVIRONMENT,
    SOURCE_HOME, /* a file of that name is there */
    SOURCE_PRESET,
};

enum parameters_protocol { PARAMETERS_POSTGRESQL, PARAMETERS_REDIS };

struct parameters {
    enum parameters_protocol protocol;
    char                    *values[PARAMETER_COUNT]; /* NULL: nothing is said */
    uint8_t                  sources[PARAMETER_COUNT];
};

struct parameter_row {
    const char *name;        /* libpq's; NULL: not one of its parameters */
    const char *environment; /* NULL: none */
    const char *preset;
    const char *choices;    /* "disable allow ..."; NULL: any text */
    const char *redis_name; /* in the query of a redis:// URI; NULL: not there */
};

void parameters_init(struct parameters *parameters);
void parameters_fini(struct parameters *parameters); /* wipes passwords */

const struct parameter_row *parameter_row(enum parameter parameter);

/* The parameter of that name in this protocol; PARAMETER_COUNT: there is none. */
enum parameter parameter_find(enum parameters_protocol protocol, struct bytes name);

/* "" where nothing is said. */
static inline const char *parameters_get(const struct parameters *parameters,
                                         enum parameter           parameter)
{
    const char *value = parameters->values[parameter];

    return value != NULL ? value : "";
}

static inline bool parameters_has(const struct parameters *parameters, enum parameter parameter)
{
    return *parameters_get(parameters, parameter) != '\0';
}

/*
 * Copies the value, unless an earlier source has named one; the same source may say it again.
 * A choice that there is not is FAIL_CONFIG and names the parameter, never the value of a
 * secret.
 */
enum fail parameters_set(struct parameters *parameters, enum parameter parameter,
                         struct bytes value, enum parameter_source source,
                         struct failure *why) WARN_UNUSED;

/* The same by name: an unknown one is a failure with the nearest name as its hint.  It is not
 * repeated where the source is a connection string. */
enum fail parameters_set_by_name(struct parameters *parameters, struct bytes name,
                                 struct bytes value, enum parameter_source source,
                                 struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
#include "driver/sources.h"

#include "driver/password_file.h"
#include "driver/service_file.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_SIZE 1024

/* Where Debian's libpq and others look; the first that is there. */
static const char *const socket_folders[] = { "/var/run/postgresql", "/run/postgresql",
                                              "/tmp" };

static enum fail set(struct parameters *to, enum parameter parameter, const char *value,
                     enum parameter_source source, struct failure *why)
{
    return parameters_set(to, parameter, bytes_of_string(value), source, why);
}

/* ---- the environment ---- */

static enum fail read_environment(struct parameters *to, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (enum parameter i = 0; rc == FAIL_NONE && i < PARAMETER_COUNT; i++) {
        const char *variable = parameter_row(i)->environment;
        const char *value = variable != NULL ? getenv(variable) : NULL;

        if (value != NULL && *value != '\0')
            rc = set(to, i, value, SOURCE_ENVIRONMENT, why);
        if (rc != FAIL_NONE)
            fail_context(why, "%s", variable);
    }
    return rc;
}

/* ---- the home directory ---- */

static const char *home(void)
{
    const char          *variable = getenv("HOME");
    const struct passwd *row;

    if (variable != NULL && *variable != '\0')
        return variable;
    row = getpwuid(geteuid());
    return row != NULL ? row->pw_dir : "/nonexistent";
}

static void home_file(char path[static PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", home(), name);
}

/* A file that is not there is nothing said. */
static enum fail take_home_file(struct parameters *to, enum parameter parameter,
                                const char *name, struct failure *why)
{
    char path[PATH_SIZE];

    home_file(path, name);
    if (access(path, F_OK) != 0)
        return FAIL_NONE;
    return set(to, parameter, path, SOURCE_HOME, why);
}

static enum fail read_home(struct parameters *to, struct failure *why)
{
    bool      names_no_certificate = to->values[PARAMETER_SSLCERT] == NULL;
    enum fail rc = take_home_file(to, PARAMETER_SSLROOTCERT, ".postgresql/root.crt", why);

    if (rc == FAIL_NONE)
        rc = take_home_file(to, PARAMETER_SSLCERT, ".postgresql/postgresql.crt", why);
    if (rc == FAIL_NONE && (names_no_certificate || to->values[PARAMETER_SSLKEY] == NULL))
        rc = take_home_file(to, PARAMETER_SSLKEY, ".postgresql/postgresql.key", why);
    if (rc == FAIL_NONE && strcmp(parameters_get(to, PARAMETER_SSLROOTCERT), "system") != 0)
        rc = take_home_file(to, PARAMETER_SSLCRL, ".postgresql/root.crl", why);
    if (rc == FAIL_NONE)
        rc = take_home_file(to, PARAMETER_PASSFILE, ".pgpass", why);
    return rc;
}

/* ---- presets ---- */

static const char *socket_folder(void)
{
    for (size_t i = 0; i < sizeof socket_folders / sizeof *socket_folders; i++) {
        if (access(socket_folders[i], X_OK) == 0)
            return socket_folders[i];
    }
    return "localhost";
}

static enum fail preset_user(struct parameters *to, struct failure *why)
{
    const struct passwd *row = getpwuid(geteuid());

    if (!parameters_has(to, PARAMETER_USER)) {
        to->sources[PARAMETER_USER] = SOURCE_NONE;
        if (row == NULL)
            return fail(why, FAIL_CONFIG, "no user is named, and uid %u has no name",
                        (unsigned)geteuid());
        return set(to, PARAMETER_USER, row->pw_name, SOURCE_PRESET, why);
    }
    return FAIL_NONE;
}

static enum fail preset_postgresql(struct parameters *to, struct failure *why)
{
    enum fail rc = preset_user(to, why);

    if (rc == FAIL_NONE && !parameters_has(to, PARAMETER_DBNAME))
        rc = set(to, PARAMETER_DBNAME, parameters_get(to, PARAMETER_USER), SOURCE_PRESET, why);
    if (rc == FAIL_NONE && !parameters_has(to, PARAMETER_HOST) &&
        !parameters_has(to, PARAMETER_HOSTADDR))
        rc = set(to, PARAMETER_HOST, socket_folder(), SOURCE_PRESET, why);
    if (rc == FAIL_NONE)
        rc = set(to, PARAMETER_PORT, "5432", SOURCE_PRESET, why);
    return rc;
}

static enum fail preset_redis(struct parameters *to, struct failure *why)
{
    enum fail rc = set(to, PARAMETER_HOST, "localhost", SOURCE_PRESET, why);

    return rc != FAIL_NONE ? rc : set(to, PARAMETER_PORT, "6379", SOURCE_PRESET, why);
}

static enum fail preset_all(struct parameters *to, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (enum parameter i = 0; rc == FAIL_NONE && i < PARAMETER_COUNT; i++) {
        if (parameter_row(i)->preset != NULL)
            rc = set(to, i, parameter_row(i)->preset, SOURCE_PRESET, why);
    }
    if (rc == FAIL_NONE)
        rc = set(to, PARAMETER_SSLROOTCERT, "system", SOURCE_PRESET, why);
    if (rc != FAIL_NONE)
        return rc;
    return to->protocol == PARAMETERS_REDIS ? preset_redis(to, why)
                                            : preset_postgresql(to, why);
}

/* ---- rules between them ---- */

/* "" says nothing, and so do files that were named and then emptied. */
static void forget_empty(struct parameters *parameters)
{
    for (enum parameter i = 0; i < PARAMETER_COUNT; i++) {
        if (parameters->values[i] == NULL || parameters->values[i][0] != '\0')
            continue;
        free(parameters->values[i]);
        parameters->values[i] = NULL;
        parameters->sources[i] = SOURCE_NONE;
    }
}

static bool is_weaker_than_require(const char *sslmode)
{
    return strcmp(sslmode, "disable") == 0 || strcmp(sslmode, "allow") == 0 ||
           strcmp(sslmode, "prefer") == 0;
}

static enum fail check(const struct parameters *parameters, struct failure *why)
{
    const char *sslmode = parameters_get(parameters, PARAMETER_SSLMODE);

    if (strcmp(parameters_get(parameters, PARAMETER_SSLNEGOTIATION), "direct") == 0 &&
        is_weaker_than_require(sslmode)) {
        fail_hint(why, "sslmode must be require, verify-ca or verify-full");
        return fail(why, FAIL_CONFIG, "sslmode=%s cannot go with sslnegotiation=direct",
                    sslmode);
    }
    if (strcmp(parameters_get(parameters, PARAMETER_SSLROOTCERT), "system") == 0 &&
        parameters->sources[PARAMETER_SSLROOTCERT] != SOURCE_PRESET &&
        strcmp(sslmode, "verify-full") != 0) {
        fail_hint(why, "use verify-full, or name a file in sslrootcert");
        return fail(why, FAIL_CONFIG,
                    "sslmode=%s cannot go with sslrootcert=system: anybody "
                    "can get a certificate of such a CA",
                    sslmode);
    }
    if (parameters_has(parameters, PARAMETER_SSLCERT) &&
        !parameters_has(parameters, PARAMETER_SSLKEY)) {
        fail_hint(why, "set %s", parameters->protocol == PARAMETERS_REDIS ? "key" : "sslkey");
        return fail(why, FAIL_CONFIG, "a client certificate is named, and its key is not");
    }
    return FAIL_NONE;
}

enum fail sources_fill(struct parameters *parameters, struct failure *why)
{
    bool      is_redis = parameters->protocol == PARAMETERS_REDIS;
    enum fail rc = FAIL_NONE;

    forget_empty(parameters);
    if (!is_redis)
        rc = service_file_fill(parameters, home(), why);
    if (rc == FAIL_NONE && !is_redis)
        rc = read_environment(parameters, why);
    if (rc == FAIL_NONE && !is_redis)
        rc = read_home(parameters, why);
    if (rc == FAIL_NONE)
        rc = preset_all(parameters, why);
    return rc != FAIL_NONE ? rc : check(parameters, why);
}

/* ---- endpoints ---- */

/* How many items a list has; none where it is empty. */
static size_t items_in(const char *list)
{
    size_t n = *list != '\0';

    for (; *list != '\0'; list++)
        n += *list == ',';
    return n;
}

/* The n-th item; the only one stands for all. */
static bool nth(char *out, size_t size, const char *list, size_t n)
{
    size_t len;

    if (items_in(list) > 1)
        for (; n > 0; n--)
            list = strchr(list, ',') + 1;
    len = strcspn(list, ",");
    if (len >= size)
        return false;
    memcpy(out, list, len);
    out[len] = '\0';
    return true;
}

static bool read_port(const char *text, uint16_t preset, uint16_t *port)
{
    char         *end;
    unsigned long value = strtoul(text, &end, 10);

    *port = *text == '\0' ? preset : (uint16_t)value;
    return *text == '\0' ||
           (*text >= '0' && *text <= '9' && *end == '\0' && value > 0 && value <= UINT16_MAX);
}

static enum fail fill_endpoint(struct endpoint *out, const struct parameters *parameters,
                               size_t n, struct failure *why)
{
    uint16_t preset = parameters->protocol == PARAMETERS_REDIS ? 6379 : 5432;
    char     address[sizeof out->host], port[16];

    if (!nth(out->host, sizeof out->host, parameters_get(parameters, PARAMETER_HOST), n) ||
        !nth(address, sizeof address, parameters_get(parameters, PARAMETER_HOSTADDR), n))
        return fail(why, FAIL_CONFIG, "a host name is too long");
    if (!nth(port, sizeof port, parameters_get(parameters, PARAMETER_PORT), n) ||
        !read_port(port, preset, &out->port))
        return fail(why, FAIL_CONFIG, "a port is not a number from 1 to 65535");
    if (out->host[0] == '\0' && address[0] == '\0')
        memcpy(out->host, "localhost", sizeof "localhost");
    memcpy(out->connect_to, address[0] != '\0' ? address : out->host, sizeof out->connect_to);
    return FAIL_NONE;
}

enum fail sources_endpoints(const struct parameters *parameters, struct endpoints *out,
                            struct failure *why)
{
    size_t    hosts = items_in(parameters_get(parameters, PARAMETER_HOST));
    size_t    addresses = items_in(parameters_get(parameters, PARAMETER_HOSTADDR));
    size_t    ports = items_in(parameters_get(parameters, PARAMETER_PORT));
    size_t    count = hosts > 0 ? hosts : addresses;
    enum fail rc = FAIL_NONE;

    if (addresses != 0 && addresses != count)
        return fail(why, FAIL_CONFIG, "%zu hosts and %zu values of hostaddr", hosts, addresses);
    if (ports > 1 && ports != count)
        return fail(why, FAIL_CONFIG, "%zu hosts and %zu ports", count, ports);
    if (count > ENDPOINTS_MOST)
        return fail(why, FAIL_CONFIG, "more than %d hosts", ENDPOINTS_MOST);
    out->count = count;
    for (size_t i = 0; rc == FAIL_NONE && i < count; i++)
        rc = fill_endpoint(&out->items[i], parameters, i, why);
    return rc;
}

/* ---- passwords ---- */

char *sources_password(const struct parameters *parameters, const struct endpoint *endpoint,
                       char warning[static 256])
{
    struct password_question question = {
        .host = endpoint->host[0] == '/' || endpoint->host[0] == '\0' ? "localhost"
                                                                      : endpoint->host,
        .port = endpoint->port,
        .database = parameters_get(parameters, PARAMETER_DBNAME),
        .user = parameters_get(parameters, PARAMETER_USER),
    };

    *warning = '\0';
    if (parameters_has(parameters, PARAMETER_PASSWORD))
        return strdup(parameters_get(parameters, PARAMETER_PASSWORD));
    if (endpoint->host[0] == '\0')
        question.host = endpoint->connect_to;
    if (!parameters_has(parameters, PARAMETER_PASSFILE))
        return NULL;
    return password_file_find(parameters_get(parameters, PARAMETER_PASSFILE), &question,
                              warning);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/check.h"

#include "base/text.h"
#include "pg/opening.h"

#include <stdio.h>
#include <stdlib.h>

#define PRESET_TIMEOUT_S  5
#define LONGEST_TIMEOUT_S 3600

/* In their order. */
static const struct step {
    const char *name;
    void (*run)(struct check *check);
    bool postgresql, redis;
} steps[] = {
    { "settings", step_settings, true, true },
    { "resolve", step_resolve, true, true },
    { "connect", step_connect, true, true },
    { "negotiate", step_negotiate, true, false },
    { "plaintext", step_plaintext, true, false },
    { "handshake", step_handshake, true, true },
    { "certificate", step_certificate, true, true },
    { "verify", step_verify, true, true },
    { "login", step_login, true, false },
    { "login", step_redis, false, true },
};

static enum check_mode read_mode(const struct parameters *parameters)
{
    static const char *const names[] = { "disable", "allow",     "prefer",
                                         "require", "verify-ca", "verify-full" };
    const char              *name = parameters_get(parameters, PARAMETER_SSLMODE);
    size_t                   mode = 0;

    while (mode < MODE_FULL && strcmp(name, names[mode]) != 0)
        mode++;
    return (enum check_mode)mode;
}

/* libpq verifies the chain as soon as there is a root file, whatever the mode says. */
static bool checks_chain(const struct check *check)
{
    uint8_t source = check->parameters->sources[PARAMETER_SSLROOTCERT];

    return check->mode >= MODE_CA ||
           (check->mode == MODE_REQUIRE && source != SOURCE_PRESET && !check->is_redis);
}

static enum fail read_timeout(struct check *check, struct failure *why)
{
    const char *text = parameters_get(check->parameters, PARAMETER_CONNECT_TIMEOUT);
    char       *end;
    long        seconds = strtol(text, &end, 10);

    if (*end != '\0' || seconds > LONGEST_TIMEOUT_S)
        return fail(why, FAIL_CONFIG, "connect_timeout is a number of seconds up to %d",
                    LONGEST_TIMEOUT_S);
    if (seconds <= 0) /* libpq would wait for ever; a check that does not end says nothing */
        seconds = PRESET_TIMEOUT_S;
    check->timeout_us = (uint64_t)seconds * 1000000;
    return FAIL_NONE;
}

/* PostgreSQL takes no longer one. */
static enum fail prove_startup(const struct check *check, struct failure *why)
{
    struct buf startup = BUF_LIMIT(OPENING_MOST);
    enum fail  rc = FAIL_NONE;

    check_put_startup(check, &startup);
    if (!buf_ok(&startup))
        rc = buf_failure(&startup, FAIL_CONFIG,
                         "user, dbname, options and application_name are too long together",
                         why);
    buf_fini(&startup);
    return rc;
}

static enum fail begin(struct check *check, struct failure *why)
{
    const char *negotiation = parameters_get(check->parameters, PARAMETER_SSLNEGOTIATION);
    enum fail   rc = read_timeout(check, why);

    if (rc == FAIL_NONE)
        rc = sources_endpoints(check->parameters, &check->endpoints, why);
    if (rc == FAIL_NONE)
        rc = prove_startup(check, why);
    check->is_redis = check->parameters->protocol == PARAMETERS_REDIS;
    check->is_direct = check->is_redis || strcmp(negotiation, "direct") == 0;
    check->mode = read_mode(check->parameters);
    check->checks_chain = checks_chain(check);
    return rc;
}

static void name_target(const struct check *check)
{
    const struct endpoint   *first = &check->endpoints.items[0];
    const struct parameters *p = check->parameters;
    const char              *scheme = !check->is_redis              ? "postgresql"
                                      : check->mode == MODE_DISABLE ? "redis"
                                                                    : "rediss";
    bool                     is_v6 = strchr(first->host, ':') != NULL;
    char                     text[DIAGNOSIS_TEXT];

    snprintf(text, sizeof text, "%s://%.60s%s%s%.120s%s:%u%s/%.60s", scheme,
             parameters_get(p, PARAMETER_USER), parameters_has(p, PARAMETER_USER) ? "@" : "",
             is_v6 ? "[" : "", first->host[0] != '\0' ? first->host : first->connect_to,
             is_v6 ? "]" : "", first->port, check->endpoints.count > 1 ? ",..." : "",
             parameters_get(p, PARAMETER_DBNAME));
    text_escape(check->diagnosis->target, sizeof check->diagnosis->target,
                bytes_of_string(text));
}

/* The first error is what a connection would fail by. */
static const struct diagnosis_finding *first_error(const struct diagnosis *diagnosis)
{
    for (size_t i = 0; i < diagnosis->finding_count; i++) {
        if (diagnosis->findings[i].severity == SEVERITY_ERROR)
            return &diagnosis->findings[i];
    }
    return NULL;
}

static void judge(struct check *check)
{
    struct diagnosis               *diagnosis = check->diagnosis;
    const struct diagnosis_finding *worst = first_error(diagnosis);
    size_t                          warnings = diagnosis_count(diagnosis, SEVERITY_WARNING);
    const char                     *mode = parameters_get(check->parameters, PARAMETER_SSLMODE);

    if (worst != NULL)
        snprintf(diagnosis->verdict, sizeof diagnosis->verdict,
                 "with sslmode=%s the connection fails at \"%s\": %s", mode,
                 diagnosis->steps[worst->step].name, finding_row(worst->finding)->text);
    else if (warnings > 0)
        snprintf(diagnosis->verdict, sizeof diagnosis->verdict,
                 "the connection works with sslmode=%s; %zu thing%s should not stay so", mode,
                 warnings, warnings == 1 ? "" : "s");
    else
        snprintf(diagnosis->verdict, sizeof diagnosis->verdict,
                 "the connection works with sslmode=%s, and nothing is wrong", mode);
}

static void finish(struct check *check)
{
    chain_free(check->chain);
    tls_context_release(check->looking);
    identity_release(check->identity);
    trust_release(check->trust);
}

enum fail doctor_run(const struct parameters *parameters, const struct doctor_options *options,
                     struct diagnosis *diagnosis, struct failure *why)
{
    struct check check = { .parameters = parameters,
                           .options = options,
                           .diagnosis = diagnosis };
    enum fail    rc = begin(&check, why);

    if (rc != FAIL_NONE)
        return rc;
    name_target(&check);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (!(check.is_redis ? steps[i].redis : steps[i].postgresql))
            continue;
        diagnosis_begin(diagnosis, steps[i].name, clock_monotonic_us());
        if (check.stops)
            diagnosis_skip(diagnosis, "an earlier step failed");
        else
            steps[i].run(&check);
        diagnosis_end(diagnosis, clock_monotonic_us());
    }
    judge(&check);
    finish(&check);
    return diagnosis->lacks_memory ? fail(why, FAIL_MEMORY, "out of memory") : FAIL_NONE;
}

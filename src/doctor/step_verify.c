/* SPDX-License-Identifier: PostgreSQL */
/* Which sslmode would take this server, which would not, and why. */
#include "doctor/check.h"

#include "x509/name_match.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_S INT64_C(86400)

static const enum finding chain_findings[] = {
    [CHAIN_EXPIRED] = FINDING_EXPIRED,
    [CHAIN_NOT_YET_VALID] = FINDING_NOT_YET_VALID,
    [CHAIN_SELF_SIGNED] = FINDING_SELF_SIGNED,
    [CHAIN_LEAF_ONLY] = FINDING_LEAF_ONLY,
    [CHAIN_MISSING_LINK] = FINDING_MISSING_INTERMEDIATE,
    [CHAIN_UNKNOWN_CA] = FINDING_UNKNOWN_CA,
    [CHAIN_BAD_SIGNATURE] = FINDING_BAD_SIGNATURE,
    [CHAIN_WEAK] = FINDING_WEAK_KEY,
    [CHAIN_REVOKED] = FINDING_REVOKED,
    [CHAIN_NO_CRL] = FINDING_CRL_MISSING,
    [CHAIN_CRL_EXPIRED] = FINDING_CRL_EXPIRED,
    [CHAIN_WRONG_PURPOSE] = FINDING_WRONG_PURPOSE,
    [CHAIN_INVALID_CA] = FINDING_INVALID_CA,
    [CHAIN_OTHER] = FINDING_CHAIN_REFUSED,
};

/* ---- the chain ---- */

/* A certificate from the next hours is more often a clock that is wrong. */
static void suspect_the_clock(struct check *check, const struct chain_link *link)
{
    int64_t ahead_s = link->facts.not_before - check_wall_s();

    if (ahead_s > 0 && ahead_s < DAY_S)
        diagnosis_find(check->diagnosis, FINDING_CLOCK_SKEW,
                       "the certificate begins in %lld minutes: is the clock here behind?",
                       (long long)(ahead_s / 60 + 1));
}

static enum finding finding_of(const struct check *check, enum chain_fault fault, int at)
{
    const struct chain_link *link = at >= 0 ? chain_link(check->chain, (size_t)at) : NULL;

    if (fault == CHAIN_WEAK && link != NULL && !link->has_weak_key && link->has_weak_hash)
        return FINDING_WEAK_HASH;
    return chain_findings[fault];
}

/* Fills `reason` where it does not verify. */
static bool judge_chain(struct check *check, char reason[static DIAGNOSIS_TEXT])
{
    struct chain_judge by = { .trust = check->trust,
                              .wall_s = check_wall_s(),
                              .security_level = tls_context_security_level(check->looking) };
    struct failure     why = { 0 };
    int                at = -1;
    enum chain_fault   fault = chain_verify(check->chain, &by, &at, &why);
    const char        *subject;

    if (fault == CHAIN_GOOD)
        return true;
    subject = chain_link(check->chain, at >= 0 ? (size_t)at : 0)->facts.subject;
    snprintf(reason, DIAGNOSIS_TEXT, "%s", finding_row(finding_of(check, fault, at))->text);
    diagnosis_find_at_most(check->diagnosis, finding_of(check, fault, at),
                           check_severity(check->checks_chain), "%s: %s", subject, why.text);
    if (fault == CHAIN_NOT_YET_VALID)
        suspect_the_clock(check, chain_link(check->chain, at >= 0 ? (size_t)at : 0));
    return false;
}

/* ---- the name ---- */

static bool ends_with(const char *text, const char *end, size_t end_len)
{
    size_t len = strlen(text);

    return len >= end_len && strncasecmp(text + len - end_len, end, end_len) == 0;
}

/* A name with a star whose domain is the host's: "*.a.b" for "x.y.a.b" or "a.b", "x*.a.b" too.
 */
static bool has_near_wildcard(const char *names, const char *host)
{
    const char *at = names;

    while ((at = strstr(at, "DNS:")) != NULL) {
        const char *name = at + strlen("DNS:");
        size_t      len = strcspn(name, ", ");
        const char *dot = memchr(name, '.', len);
        size_t      tail = dot != NULL ? len - (size_t)(dot - name) : 0;

        if (memchr(name, '*', len) != NULL && tail > 1 &&
            (ends_with(host, dot, tail) || ends_with(host, dot + 1, tail - 1)))
            return true;
        at = name;
    }
    return false;
}

static enum finding fault_of_name(const struct check *check, const char *host)
{
    const char *names = chain_link(check->chain, 0)->facts.names;

    if (chain_has_broken_names(check->chain))
        return FINDING_NAME_BROKEN;
    if (name_is_address(host))
        return FINDING_IP_WITHOUT_SAN;
    return has_near_wildcard(names, host) ? FINDING_WILDCARD : FINDING_NAME_MISMATCH;
}

static bool judge_name(struct check *check, char reason[static DIAGNOSIS_TEXT])
{
    enum severity  most = check_severity(check->mode == MODE_FULL);
    const char    *host = check_host(check);
    struct failure why = { 0 };

    if (*host == '\0') {
        diagnosis_find_at_most(check->diagnosis, FINDING_NO_HOST_NAME, most, "hostaddr=%s",
                               check->chosen->endpoint->connect_to);
        snprintf(reason, DIAGNOSIS_TEXT, "there is no host name to compare with");
        return false;
    }
    if (chain_match_name(check->chain, host, &why) == FAIL_NONE)
        return true;
    snprintf(reason, DIAGNOSIS_TEXT, "%s", why.text);
    diagnosis_find_at_most(check->diagnosis, fault_of_name(check, host), most, "%s", why.text);
    return false;
}

/* ---- all modes ---- */

static bool root_is_named(const struct check *check)
{
    return check->parameters->sources[PARAMETER_SSLROOTCERT] != SOURCE_PRESET;
}

static void tell_modes(struct check *check, const char *chain_reason, const char *name_reason)
{
    struct diagnosis *diagnosis = check->diagnosis;
    const char       *first = *chain_reason != '\0' ? chain_reason : name_reason;

    if (!check->is_redis) {
        diagnosis_tell(diagnosis, "disable", "%s",
                       check->plaintext == PLAINTEXT_TAKEN ? "works: everything in the clear"
                       : check->plaintext == PLAINTEXT_NOT_TAKEN
                           ? "fails: the server demands TLS"
                           : "not known");
        diagnosis_tell(diagnosis, "prefer", "works: TLS, and nobody is verified");
        if (root_is_named(check))
            diagnosis_tell(diagnosis, "require",
                           "%s: libpq verifies the chain, since a root file is named",
                           *chain_reason == '\0' ? "works" : "fails");
        else
            diagnosis_tell(diagnosis, "require", "works: TLS, and nobody is verified");
    }
    diagnosis_tell(diagnosis, "verify-ca", "%s%s",
                   *chain_reason == '\0' ? "works" : "fails: ", chain_reason);
    diagnosis_tell(diagnosis, "verify-full", "%s%s",
                   *first == '\0' ? "works" : "fails: ", first);
}

void step_verify(struct check *check)
{
    char chain_reason[DIAGNOSIS_TEXT] = "", name_reason[DIAGNOSIS_TEXT] = "";

    if (check->chain == NULL) {
        diagnosis_skip(check->diagnosis, "there is no TLS");
        return;
    }
    if (check->trust != NULL)
        check->chain_is_good = judge_chain(check, chain_reason);
    else
        snprintf(chain_reason, sizeof chain_reason, "the trusted CAs cannot be read");
    check->name_is_good = judge_name(check, name_reason);
    tell_modes(check, chain_reason, name_reason);
    check->stops = !check->options->send_unverified &&
                   ((check->checks_chain && !check->chain_is_good) ||
                    (check->mode == MODE_FULL && !check->name_is_good));
}

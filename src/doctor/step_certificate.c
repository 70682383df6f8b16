/* SPDX-License-Identifier: PostgreSQL */
/* The chain that the server sent, by itself: who signed whom, dates, keys, order, names. */
#include "doctor/check.h"

#include "x509/name_match.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S       INT64_C(86400)
#define SOON_DAYS   14
#define UNUSED_MOST 8 /* that are told of one by one */

static const char *date(int64_t seconds, char out[static 32])
{
    time_t    when = (time_t)seconds;
    struct tm parts;

    if (gmtime_r(&when, &parts) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &parts) == 0)
        snprintf(out, 32, "?");
    return out;
}

/* ---- the tree ---- */

/* Whether a certificate of that subject is among the trusted ones. */
static bool is_trusted_name(const struct check *check, const char *subject)
{
    for (size_t i = 0; check->trust != NULL && i < trust_count(check->trust); i++) {
        if (strcmp(trust_facts(check->trust, i)->subject, subject) == 0)
            return true;
    }
    return false;
}

/* From the leaf up, in the order of signatures; the number of them. */
static size_t path_up(const struct check *check, size_t path[static CHECK_ADDRESSES_MOST])
{
    size_t count = 0;
    int    at = 0, next;

    while (count < CHECK_ADDRESSES_MOST) {
        path[count++] = (size_t)at;
        next = chain_link(check->chain, (size_t)at)->issuer;
        if (next < 0 || next == at || count >= chain_length(check->chain))
            break;
        at = next;
    }
    return count;
}

static void tell_link(struct check *check, size_t n, int depth)
{
    const struct chain_link *link = chain_link(check->chain, n);
    char                     from[32], until[32];

    diagnosis_tell(check->diagnosis, "chain", "%*s%s%s (%s, %s, %s to %s)", depth * 3, "",
                   depth > 0 ? "\\_ " : "", link->facts.subject, link->key, link->signature,
                   date(link->facts.not_before, from), date(link->facts.not_after, until));
}

static bool is_on_path(const size_t *path, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        if (path[i] == n)
            return true;
    }
    return false;
}

/* What was sent for nothing. */
static void tell_unused(struct check *check, const size_t *path, size_t count)
{
    size_t told = 0;

    for (size_t i = 0; i < chain_length(check->chain); i++) {
        if (is_on_path(path, count, i))
            continue;
        if (told++ == UNUSED_MOST) {
            diagnosis_tell(check->diagnosis, "unused", "... and more: %zu in all",
                           chain_length(check->chain) - count);
            return;
        }
        diagnosis_tell(check->diagnosis, "unused", "%s",
                       chain_link(check->chain, i)->facts.subject);
    }
}

static void draw_tree(struct check *check)
{
    size_t                   path[CHECK_ADDRESSES_MOST];
    size_t                   count = path_up(check, path);
    const struct chain_link *top = chain_link(check->chain, path[count - 1]);
    bool                     is_root = top->issuer == (int)path[count - 1];
    int                      depth = is_root ? 0 : 1;

    if (!is_root)
        diagnosis_tell(check->diagnosis, "chain", "%s (not sent; %s)", top->facts.issuer,
                       is_trusted_name(check, top->facts.issuer) ? "a trusted CA has this name"
                       : check->trust != NULL && trust_is_system(check->trust)
                           ? "perhaps in the system's store"
                           : "no trusted CA has this name");
    for (size_t i = count; i > 0; i--)
        tell_link(check, path[i - 1], depth++);
    tell_unused(check, path, count);
}

/* ---- what is wrong with it ---- */

/* A tenth of its life counts for those that live days only. */
static bool expires_soon(const struct certificate_facts *facts, int64_t now_s)
{
    int64_t left_s = facts->not_after - now_s;
    int64_t life_s = facts->not_after - facts->not_before;

    return left_s >= 0 && left_s < SOON_DAYS * DAY_S && left_s < life_s / 3;
}

static void judge_link(struct check *check, const struct chain_link *link)
{
    char until[32];

    if (expires_soon(&link->facts, check_wall_s()))
        diagnosis_find(check->diagnosis, FINDING_EXPIRES_SOON, "%s, in %lld days, on %s",
                       link->facts.subject,
                       (long long)certificate_days_left(link->facts.not_after, check_wall_s()),
                       date(link->facts.not_after, until));
    if (link->has_weak_key)
        diagnosis_find_at_most(check->diagnosis, FINDING_WEAK_KEY,
                               check_severity(check->checks_chain), "%s: %s",
                               link->facts.subject, link->key);
    if (link->has_weak_hash)
        diagnosis_find_at_most(check->diagnosis, FINDING_WEAK_HASH,
                               check_severity(check->checks_chain), "%s: %s",
                               link->facts.subject, link->signature);
}

static void judge_binding(struct check *check)
{
    const char *hash = chain_binding_hash(check->chain);
    const char *wanted = parameters_get(check->parameters, PARAMETER_CHANNEL_BINDING);

    if (check->is_redis)
        return;
    if (hash != NULL) {
        diagnosis_tell(check->diagnosis, "channel-binding",
                       "possible, tls-server-end-point with %s", hash);
        return;
    }
    diagnosis_tell(check->diagnosis, "channel-binding", "not possible");
    diagnosis_find_at_most(check->diagnosis, FINDING_BINDING_UNDEFINED,
                           strcmp(wanted, "require") == 0 ? SEVERITY_ERROR : SEVERITY_WARNING,
                           "the signature is %s", chain_link(check->chain, 0)->signature);
}

void step_certificate(struct check *check)
{
    const struct chain_link *leaf;

    if (check->chain == NULL) {
        diagnosis_skip(check->diagnosis, "there is no TLS");
        return;
    }
    leaf = chain_link(check->chain, 0);
    draw_tree(check);
    diagnosis_tell(check->diagnosis, "names", "%s",
                   leaf->facts.names[0] != '\0' ? leaf->facts.names
                                                : "none but the common name");
    diagnosis_tell(check->diagnosis, "serial", "%s", leaf->facts.serial);
    diagnosis_tell(check->diagnosis, "fingerprint", "SHA-256 %s", leaf->facts.fingerprint);
    diagnosis_tell(check->diagnosis, "in-order", "%s",
                   chain_is_in_order(check->chain) ? "yes" : "no");
    for (size_t i = 0; i < chain_length(check->chain); i++)
        judge_link(check, chain_link(check->chain, i));
    if (!chain_is_in_order(check->chain))
        diagnosis_find(check->diagnosis, FINDING_WRONG_ORDER, "%zu certificates are sent",
                       chain_length(check->chain));
    if (leaf->facts.names[0] == '\0')
        diagnosis_find(check->diagnosis, FINDING_NO_SAN, "%s", leaf->facts.subject);
    judge_binding(check);
}

/* SPDX-License-Identifier: PostgreSQL */
/* The TLS handshake as it is without any verification, and which finding a failed one is. */
#include "doctor/check.h"

#include "x509/name_match.h"

#include <stdio.h>
#include <string.h>

/* RFC 8446 6: the record types that a server may begin with. */
enum { RECORD_ALERT = 0x15, RECORD_HANDSHAKE = 0x16 };

#define HANGS_UP_US UINT64_C(100000)

/* ---- what failed ---- */

static const struct {
    int          alert; /* RFC 8446 6.2 */
    enum finding finding;
    bool         of_certificate; /* only where the client has sent one */
} alerts[] = {
    { 40, FINDING_NO_COMMON_CIPHER, false },
    { 71, FINDING_NO_COMMON_CIPHER, false },
    { 70, FINDING_OLD_PROTOCOL, false },
    { 109, FINDING_SNI_UNKNOWN, false },
    { 112, FINDING_SNI_UNKNOWN, false },
    { 116, FINDING_CLIENT_CERTIFICATE_MISSING, false },
    { 120, FINDING_WRONG_ALPN, false },
    { 42, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 43, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 44, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 45, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 46, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 48, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
    { 51, FINDING_CLIENT_CERTIFICATE_REFUSED, true },
};

static enum finding fault_of_alert(const struct check *check, const struct tls_engine *engine)
{
    int  alert = tls_engine_alert_received(engine);
    bool asked = tls_engine_facts(engine)->asked_for_certificate;

    /* OpenSSL, in TLS 1.2, says no more than that */
    if (alert == 40 && asked && check->identity == NULL)
        return FINDING_CLIENT_CERTIFICATE_MISSING;
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        if (alerts[i].alert == alert && (!alerts[i].of_certificate || check->identity != NULL))
            return alerts[i].finding;
    }
    return FINDING_HANDSHAKE_FAILED;
}

static enum finding fault_of(const struct check *check, const struct talk *talk,
                             const struct failure *why)
{
    const struct tls_engine *engine = talk_engine(talk);
    int                      first;

    if (why->kind == FAIL_TIMEOUT)
        return FINDING_HANDSHAKE_TIMEOUT;
    if (engine == NULL)
        return FINDING_HANDSHAKE_CUT;
    first = tls_engine_first_byte(engine);
    if (tls_engine_alert_received(engine) >= 0)
        return fault_of_alert(check, engine);
    if (tls_engine_alert_sent(engine) == 70)
        return FINDING_OLD_PROTOCOL;
    if (first >= 0 && first != RECORD_HANDSHAKE && first != RECORD_ALERT)
        return FINDING_HANDSHAKE_NOT_TLS;
    if (why->kind == FAIL_CERT)
        return FINDING_CHAIN_REFUSED;
    if (why->kind == FAIL_CLOSED)
        return FINDING_HANDSHAKE_CUT;
    /* the handshake itself was good: what was selected by ALPN is not */
    return tls_engine_facts(engine)->version != NULL ? FINDING_WRONG_ALPN
                                                     : FINDING_HANDSHAKE_FAILED;
}

void handshake_explain(struct check *check, const struct talk *talk, const struct failure *why,
                       enum severity most)
{
    char text[DIAGNOSIS_TEXT];

    diagnosis_find_at_most(check->diagnosis, fault_of(check, talk, why), most, "%s",
                           check_say(why, text));
}

/* ---- what is known of a good one ---- */

static void tell_group(struct check *check, const char *group)
{
    bool is_hybrid =
        group != NULL && (strstr(group, "MLKEM") != NULL || strstr(group, "mlkem") != NULL ||
                          strstr(group, "Kyber") != NULL);

    diagnosis_tell(check->diagnosis, "group", "%s%s", group != NULL ? group : "unknown",
                   is_hybrid ? " (post-quantum)" : "");
    if (!is_hybrid)
        diagnosis_find(check->diagnosis, FINDING_NOT_POST_QUANTUM, "%s",
                       group != NULL ? group : "unknown group");
}

static void tell_facts(struct check *check, const struct tls_facts *facts)
{
    diagnosis_tell(check->diagnosis, "version", "%s", facts->version);
    diagnosis_tell(check->diagnosis, "cipher", "%s", facts->cipher);
    tell_group(check, facts->group);
    diagnosis_tell(check->diagnosis, "alpn", "%s", facts->alpn != NULL ? facts->alpn : "none");
    diagnosis_tell(check->diagnosis, "asks-for-certificate", "%s",
                   facts->asked_for_certificate ? "yes" : "no");
    check->asks_for_certificate = facts->asked_for_certificate;
    if (facts->peer_fingerprint != NULL)
        snprintf(check->fingerprint, sizeof check->fingerprint, "%s", facts->peer_fingerprint);
}

static void judge_own_certificate(struct check *check)
{
    bool insists =
        strcmp(parameters_get(check->parameters, PARAMETER_SSLCERTMODE), "require") == 0;

    if (!check->asks_for_certificate && (check->identity != NULL || insists))
        diagnosis_find_at_most(check->diagnosis, FINDING_CLIENT_CERTIFICATE_UNASKED,
                               check_severity(insists),
                               "no CertificateRequest in the handshake");
}

/* ---- SNI ---- */

static bool announces_a_name(const struct check *check)
{
    const char *host = check_host(check);

    return *host != '\0' && !name_is_address(host) &&
           parameters_get(check->parameters, PARAMETER_SSLSNI)[0] != '0';
}

/* Once more without a name: is it another certificate, or none? */
static void try_without_name(struct check *check)
{
    struct check_handshake  how = { .context = check->looking, .direct = check->is_direct };
    struct failure          why = { 0 };
    struct talk             talk;
    const struct tls_facts *facts;
    const char             *other = NULL;

    if (check_secure(check, &talk, &how, &why) == FAIL_NONE) {
        facts = tls_engine_facts(talk_engine(&talk));
        if (facts->peer_fingerprint != NULL &&
            strcmp(facts->peer_fingerprint, check->fingerprint) != 0)
            other = facts->peer_subject;
    } else if (why.kind == FAIL_TLS || why.kind == FAIL_CLOSED) {
        other = why.text;
    }
    diagnosis_tell(check->diagnosis, "sni-needed", "%s", other != NULL ? "yes" : "no");
    if (other != NULL)
        diagnosis_find(check->diagnosis, FINDING_SNI_NEEDED, "without a name: %s", other);
    check_close(check, &talk);
}

/* ---- the step ---- */

/* Redis without TLS answers a ClientHello by an error, or by silence. */
static void explain_redis(struct check *check, const struct talk *talk,
                          const struct failure *why)
{
    const struct tls_engine *engine = talk_engine(talk);
    bool is_tls = engine != NULL && (tls_engine_alert_received(engine) >= 0 ||
                                     tls_engine_first_byte(engine) == RECORD_HANDSHAKE);

    if (is_tls)
        handshake_explain(check, talk, why, SEVERITY_ERROR);
    else
        identify_server(check, why->kind == FAIL_CLOSED);
    if (diagnosis_has(check->diagnosis, FINDING_SERVER_REDIS))
        diagnosis_find(check->diagnosis, FINDING_NO_TLS, "%s", why->text);
}

/* PostgreSQL 17 shakes hands with whoever begins directly, and hangs up without ALPN. */
static void suspect_postgresql(struct check *check, struct talk *talk)
{
    struct failure why = { 0 };

    if (!check->is_redis)
        return;
    talk->deadline_us = clock_monotonic_us() + HANGS_UP_US;
    if (talk_receive(talk, &why) == FAIL_CLOSED && identify_postgresql(check))
        check->stops = true;
}

static void shake_hands(struct check *check)
{
    struct check_handshake how = {
        .context = check->looking, .direct = check->is_direct, .sni = true, .keep_chain = true
    };
    enum severity  most = check_severity(check->mode >= MODE_REQUIRE);
    struct failure why = { 0 };
    struct talk    talk;

    if (check_secure(check, &talk, &how, &why) == FAIL_NONE) {
        tell_facts(check, tls_engine_facts(talk_engine(&talk)));
        check->chain = tls_engine_take_chain(talk_engine(&talk));
        suspect_postgresql(check, &talk);
    } else {
        if (check->is_redis)
            explain_redis(check, &talk, &why);
        else
            handshake_explain(check, &talk, &why, most);
        check->stops = check->mode >= MODE_REQUIRE;
        check->tls = CHECK_TLS_UNKNOWN;
    }
    check_close(check, &talk);
}

void step_handshake(struct check *check)
{
    if (check->is_redis && check->mode != MODE_DISABLE && !check_is_unix(check))
        check->tls = CHECK_TLS_OFFERED;
    if (check->tls != CHECK_TLS_OFFERED) {
        diagnosis_skip(check->diagnosis, "there is no TLS");
        return;
    }
    shake_hands(check);
    if (check->chain == NULL)
        return;
    diagnosis_sum_up(check->diagnosis, "%s", "");
    judge_own_certificate(check);
    if (announces_a_name(check))
        try_without_name(check);
}

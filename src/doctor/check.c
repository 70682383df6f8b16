/* SPDX-License-Identifier: PostgreSQL */
#include "doctor/check.h"

#include "pg/frame.h"
#include "pg/startup.h"
#include "session/dial.h"
#include "tls/policy.h"

#include <stdio.h>

#define MESSAGE_MOST ((size_t)64 * 1024)

int64_t check_wall_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

uint64_t check_deadline(const struct check *check)
{
    return clock_monotonic_us() + check->timeout_us;
}

bool check_is_unix(const struct check *check)
{
    return check->chosen != NULL && address_is_unix(&check->chosen->address);
}

enum severity check_severity(bool needs)
{
    return needs ? SEVERITY_ERROR : SEVERITY_WARNING;
}

const char *check_say(const struct failure *why, char out[static DIAGNOSIS_TEXT])
{
    snprintf(out, DIAGNOSIS_TEXT, "%s%s%s", why->text, why->hint[0] != '\0' ? "; " : "",
             why->hint);
    return out;
}

/* ---- connections ---- */

enum fail check_open(const struct check *check, struct talk *talk, struct failure *why)
{
    return talk_open(talk, &check->chosen->address, check_deadline(check), why);
}

void check_note(const struct check *check, const struct failure *why)
{
    if (why->kind == FAIL_MEMORY)
        check->diagnosis->lacks_memory = true;
}

void check_close(const struct check *check, struct talk *talk)
{
    if (talk->lacks_memory)
        check->diagnosis->lacks_memory = true;
    talk_close(talk);
}

enum fail check_ask_for_tls(struct talk *talk, uint8_t *answer, struct failure *why)
{
    struct buf request = BUF_LIMIT(8);
    enum fail  rc;

    dial_ask_for_tls(&request);
    rc = talk_send_message(talk, &request, why);
    buf_fini(&request);
    return rc != FAIL_NONE ? rc : talk_receive_byte(talk, answer, why);
}

const char *check_host(const struct check *check)
{
    const char *sni = parameters_get(check->parameters, PARAMETER_SNI);

    if (check->chosen == NULL)
        return "";
    return *sni != '\0' ? sni : check->chosen->endpoint->host;
}

static const char *name_to_announce(const struct check *check)
{
    bool announces = parameters_get(check->parameters, PARAMETER_SSLSNI)[0] != '0';

    return announces ? check_host(check) : "";
}

enum fail check_secure(const struct check *check, struct talk *talk,
                       const struct check_handshake *how, struct failure *why)
{
    struct tls_engine_options options = {
        .verify_name = check_host(check),
        .sni = how->sni ? name_to_announce(check) : "",
        .alpn = check->is_redis || how->no_alpn ? NULL : "postgresql",
        .alpn_required = how->direct && !check->is_redis && !how->no_alpn,
        .keep_chain = how->keep_chain,
        .wall_s = check_wall_s(),
    };
    enum fail rc = check_open(check, talk, why);
    uint8_t   answer = 'S';

    if (rc == FAIL_NONE && !how->direct)
        rc = check_ask_for_tls(talk, &answer, why);
    if (rc == FAIL_NONE && !how->direct)
        rc = dial_answer(answer, why);
    return rc != FAIL_NONE ? rc : talk_start_tls(talk, how->context, &options, why);
}

struct tls_context *check_new_context(const struct check *check, enum check_mode mode,
                                      struct failure *why)
{
    static const enum tls_peer_check checks[] = {
        [MODE_REQUIRE] = TLS_PEER_ANY,
        [MODE_CA] = TLS_PEER_CHAIN,
        [MODE_FULL] = TLS_PEER_NAME,
    };
    enum tls_peer_check       peer_check = mode <= MODE_REQUIRE ? TLS_PEER_ANY : checks[mode];
    const char               *min = parameters_get(check->parameters, PARAMETER_SSL_MIN);
    const char               *max = parameters_get(check->parameters, PARAMETER_SSL_MAX);
    struct tls_policy_options options = {
        .role = TLS_CLIENT,
        .peer_check = peer_check,
        .identity = check->identity,
        .trust = peer_check == TLS_PEER_ANY ? NULL : check->trust,
        .min_protocol = *min != '\0' ? min : NULL,
        .max_protocol = *max != '\0' ? max : NULL,
    };
    struct tls_policy  *policy = tls_policy_new(&options, why);
    struct tls_context *context = policy != NULL ? tls_context_new(policy, why) : NULL;

    tls_policy_release(policy);
    if (context == NULL)
        check_note(check, why);
    return context;
}

/* ---- messages ---- */

enum fail check_message(struct talk *talk, struct bytes *message, struct failure *why)
{
    for (;;) {
        struct bytes all = buf_bytes(&talk->plain);
        uint32_t     length = all.len >= FRAME_HEADER_LEN ? bytes_u32(all.p + 1) : 4;
        enum fail    rc;

        if (!frame_length_is_legal(length) || length > MESSAGE_MOST)
            return fail(why, FAIL_PROTOCOL, "the server's message has an impossible length");
        if (all.len >= FRAME_HEADER_LEN && all.len > length) {
            *message = bytes_first(all, (size_t)length + 1);
            return FAIL_NONE;
        }
        if ((rc = talk_receive(talk, why)) != FAIL_NONE)
            return rc;
    }
}

void check_put_startup(const struct check *check, struct buf *out)
{
    const struct parameters       *p = check->parameters;
    const struct startup_parameter words[] = {
        { "user", parameters_get(p, PARAMETER_USER) },
        { "database", parameters_get(p, PARAMETER_DBNAME) },
        { "options", parameters_get(p, PARAMETER_OPTIONS) },
        { "application_name", parameters_has(p, PARAMETER_APPLICATION_NAME)
                                  ? parameters_get(p, PARAMETER_APPLICATION_NAME)
                                  : "pgtls check" },
    };

    startup_write(out, words, sizeof words / sizeof *words);
}

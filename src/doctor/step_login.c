/* SPDX-License-Identifier: PostgreSQL */
/* A login to PostgreSQL until ReadyForQuery, and what the server then says of it. */
#include "base/reader.h"
#include "base/secret.h"
#include "base/text.h"
#include "doctor/login.h"
#include "pg/frame.h"
#include "pg/opening.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_S 60

/* What the server's own clock and pg_stat_ssl say; of a server that has neither, nothing. */
static const char question[] =
    "select extract(epoch from clock_timestamp())::bigint, "
    "coalesce((select version || ' ' || cipher from pg_catalog.pg_stat_ssl "
    "where pid = pg_catalog.pg_backend_pid()), '')";

/* ---- the way in ---- */

static bool wants_tls(const struct check *check)
{
    return check->tls == CHECK_TLS_OFFERED && check->mode != MODE_DISABLE &&
           !(check->mode == MODE_ALLOW && check->plaintext == PLAINTEXT_TAKEN);
}

/* The strictest mode that this server passed, not less than what was asked for. */
static enum check_mode strictest(const struct check *check)
{
    if (check->chain_is_good && check->name_is_good)
        return MODE_FULL;
    if (check->chain_is_good && (check->mode == MODE_CA || check->checks_chain))
        return MODE_CA;
    return MODE_REQUIRE;
}

static enum fail open_secure(struct check_login *login, struct failure *why)
{
    struct check          *check = login->check;
    enum check_mode        mode = strictest(check);
    struct tls_context    *context = check_new_context(check, mode, why);
    struct check_handshake how = {
        .context = context, .direct = check->is_direct, .sni = true, .keep_chain = true
    };
    enum fail rc = context == NULL ? why->kind : check_secure(check, &login->talk, &how, why);

    if (rc == FAIL_NONE)
        login->chain = tls_engine_take_chain(talk_engine(&login->talk));
    login->is_secure = true;
    login->is_proven = mode >= MODE_CA;
    tls_context_release(context);
    return rc;
}

enum fail login_open(struct check_login *login, struct failure *why)
{
    if (wants_tls(login->check))
        return open_secure(login, why);
    login->is_proven = check_is_unix(login->check);
    return check_open(login->check, &login->talk, why);
}

/* ---- what goes wrong on the way ---- */

static void explain_failure(struct check_login *login, const struct failure *why)
{
    struct diagnosis        *diagnosis = login->check->diagnosis;
    const struct tls_engine *engine = talk_engine(&login->talk);

    if (why->kind == FAIL_PROTOCOL)
        diagnosis_find(diagnosis, FINDING_PROTOCOL_BROKEN, "%s", why->text);
    else if (why->kind == FAIL_TIMEOUT)
        diagnosis_find(diagnosis, FINDING_LOGIN_TIMEOUT, "%s", why->text);
    else if (engine != NULL && why->kind != FAIL_CLOSED)
        handshake_explain(login->check, &login->talk, why, SEVERITY_ERROR);
    else
        diagnosis_find(diagnosis, FINDING_LOGIN_CUT, "%s", why->text);
}

/* ---- messages ---- */

static void on_parameter(struct check_login *login, struct bytes message)
{
    struct reader r = reader_of(message);
    const char   *name, *value;
    char          shown[120];

    reader_bytes(&r, FRAME_HEADER_LEN);
    name = reader_string(&r);
    value = reader_string(&r);
    if (!reader_ok(&r) || strcmp(name, "server_version") != 0)
        return;
    text_escape(shown, sizeof shown, bytes_of_string(value));
    diagnosis_tell(login->check->diagnosis, "server-version", "%s", shown);
}

static void on_negotiation(struct check_login *login, struct bytes message)
{
    struct reader r = reader_of(message);
    uint32_t      minor;

    reader_bytes(&r, FRAME_HEADER_LEN);
    minor = reader_u32(&r);
    login->minor = minor & 0xffff;
    diagnosis_find(login->check->diagnosis, FINDING_PROTOCOL_OLDER, "it speaks 3.%" PRIu32,
                   minor & 0xffff);
}

/* False where the login ends here; *ready tells whether that was ReadyForQuery. */
static bool on_message(struct check_login *login, struct bytes message, bool *ready)
{
    switch (message.p[0]) {
    case 'R': return auth_answer(login, message) == AUTH_GOES_ON;
    case 'E': login_explain_error(login->check, message); return false;
    case 'S': on_parameter(login, message); return true;
    case 'v': on_negotiation(login, message); return true;
    case 'K':
    case 'N': return true;
    case 'Z': *ready = true; return false;
    default:
        diagnosis_find(login->check->diagnosis, FINDING_PROTOCOL_BROKEN,
                       "a message of type 0x%02x during the login", message.p[0]);
        return false;
    }
}

/* True once the session is ready. */
static bool log_in(struct check_login *login, struct failure *why)
{
    bool ready = false, goes_on = true;

    while (goes_on) {
        struct bytes message = { NULL, 0 };

        if (check_message(&login->talk, &message, why) != FAIL_NONE) {
            explain_failure(login, why);
            return false;
        }
        goes_on = on_message(login, message, &ready);
        buf_skip(&login->talk.plain, message.len);
    }
    return ready;
}

/* ---- the session ---- */

/* The two columns of the row; false where it is another one. */
static bool read_row(struct bytes message, struct bytes columns[static 2])
{
    struct reader r = reader_of(message);

    reader_bytes(&r, FRAME_HEADER_LEN);
    if (reader_u16(&r) != 2)
        return false;
    for (int i = 0; i < 2; i++)
        columns[i] = reader_bytes(&r, reader_u32(&r));
    return reader_ok(&r);
}

/* Seconds since 1970, and not of another age: what is none is no clock. */
static bool read_seconds(struct bytes text, int64_t *out)
{
    char  number[16] = "";
    char *end;

    if (text.len == 0 || text.len >= sizeof number)
        return false;
    memcpy(number, text.p, text.len);
    *out = strtoll(number, &end, 10);
    return (size_t)(end - number) == text.len;
}

void check_judge_clock(struct check *check, struct bytes clock)
{
    int64_t server_s, ahead_s;

    if (!read_seconds(clock, &server_s))
        return;
    ahead_s = server_s - check_wall_s();
    diagnosis_tell(check->diagnosis, "clock", "the server's is %lld s %s",
                   (long long)llabs(ahead_s), ahead_s < 0 ? "behind" : "ahead");
    if (llabs(ahead_s) > SKEW_S)
        diagnosis_find(check->diagnosis, FINDING_CLOCK_SKEW, "the server's is %lld s %s",
                       (long long)llabs(ahead_s), ahead_s < 0 ? "behind" : "ahead");
}

static void judge_row(struct check_login *login, struct bytes message)
{
    struct bytes            columns[2];
    const struct tls_facts *facts = leg_facts(&login->talk.leg);
    char                    theirs[100], ours[100] = "";

    if (!read_row(message, columns))
        return;
    check_judge_clock(login->check, columns[0]);
    text_escape(theirs, sizeof theirs, columns[1]);
    if (facts != NULL)
        snprintf(ours, sizeof ours, "%s %s", facts->version, facts->cipher);
    diagnosis_tell(login->check->diagnosis, "server-sees", "%s",
                   *theirs != '\0' ? theirs : "no TLS");
    if (login->is_secure && strcmp(theirs, ours) != 0)
        diagnosis_find(login->check->diagnosis, FINDING_PROXY_ENDS_TLS, "here %s, there %s",
                       ours, *theirs != '\0' ? theirs : "no TLS");
}

static void ask_server(struct check_login *login)
{
    struct failure ignored = { 0 };
    struct buf     query = BUF_LIMIT(sizeof question + 8);
    struct bytes   message = { NULL, 0 };
    uint8_t        type = 0;

    buf_put_u8(&query, 'Q');
    buf_put_u32(&query, (uint32_t)sizeof question + 4);
    buf_put_string(&query, question);
    if (talk_send_message(&login->talk, &query, &ignored) == FAIL_NONE) {
        while (type != 'Z' && check_message(&login->talk, &message, &ignored) == FAIL_NONE) {
            type = message.p[0];
            if (type == 'D')
                judge_row(login, message);
            buf_skip(&login->talk.plain, message.len);
        }
        if (talk_send(&login->talk, BYTES("X\0\0\0\4"), &ignored) != FAIL_NONE)
            ignored.kind = FAIL_NONE; /* it closes by itself then */
    }
    buf_fini(&query);
}

/* ---- the step ---- */

static void run(struct check_login *login)
{
    struct buf     startup = BUF_LIMIT(OPENING_MOST);
    struct failure why = { 0 };
    uint64_t       began_us = clock_monotonic_us(), took_us;

    if (login_open(login, &why) != FAIL_NONE) {
        explain_failure(login, &why);
        return;
    }
    check_put_startup(login->check, &startup);
    if (talk_send_message(&login->talk, &startup, &why) != FAIL_NONE)
        explain_failure(login, &why);
    else if (log_in(login, &why)) {
        took_us = clock_monotonic_us() - began_us;
        diagnosis_tell(login->check->diagnosis, "protocol", "3.%" PRIu32, login->minor);
        diagnosis_tell(login->check->diagnosis, "ready", "in %" PRIu64 ".%" PRIu64 " ms",
                       took_us / 1000, took_us / 100 % 10);
        ask_server(login);
    }
    buf_fini(&startup);
}

void login_begin(struct check_login *login)
{
    char warning[256]; /* the step settings has told it */

    login->talk.socket = BLOCKING_CLOSED;
    login->password =
        sources_password(login->check->parameters, login->check->chosen->endpoint, warning);
}

void login_end(struct check_login *login)
{
    if (login->password != NULL)
        secret_wipe(login->password, strlen(login->password));
    free(login->password);
    scram_client_fini(&login->scram);
    chain_free(login->chain);
    check_close(login->check, &login->talk);
}

void step_login(struct check *check)
{
    struct check_login login = { .check = check };

    if (check->tls != CHECK_TLS_OFFERED && check->mode >= MODE_REQUIRE &&
        !check_is_unix(check)) {
        diagnosis_skip(check->diagnosis, "there is no TLS");
        return;
    }
    if (check->identity_broken) {
        diagnosis_skip(check->diagnosis, "the client's certificate cannot be used");
        return;
    }
    login_begin(&login);
    run(&login);
    login_end(&login);
}

/* SPDX-License-Identifier: PostgreSQL */
/* AUTH, PING and TIME to a Redis server. */
#include "base/secret.h"
#include "base/text.h"
#include "doctor/login.h"
#include "redis/resp.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND_MOST ((size_t)16 * 1024)

static const struct {
    const char  *word; /* of an error */
    enum finding finding;
} errors[] = {
    { "NOAUTH", FINDING_PASSWORD_MISSING }, { "WRONGPASS", FINDING_PASSWORD_WRONG },
    { "NOPERM", FINDING_REDIS_FORBIDDEN },  { "DENIED", FINDING_REDIS_PROTECTED },
    { "LOADING", FINDING_REDIS_LOADING },
};

static bool says(const struct resp_reply *reply, const char *text)
{
    return memmem(reply->text.p, reply->text.len, text, strlen(text)) != NULL;
}

static enum finding finding_of(const struct resp_reply *reply)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (resp_is_error(reply, errors[i].word))
            return errors[i].finding;
    }
    if (says(reply, "max number of clients"))
        return FINDING_TOO_MANY_CONNECTIONS;
    return says(reply, "without any password") || says(reply, "no password is set")
               ? FINDING_REDIS_PASSWORD_NEEDLESS
               : FINDING_LOGIN_REFUSED;
}

static void explain(struct check *check, const struct resp_reply *reply)
{
    char text[200];

    text_escape(text, sizeof text, reply->text);
    diagnosis_find(check->diagnosis, finding_of(reply), "%s", text);
}

/* ---- one command, one reply ---- */

static enum fail send_command(struct check_login *login, const struct bytes *words,
                              size_t count, struct failure *why)
{
    struct buf command = BUF_LIMIT(COMMAND_MOST);
    enum fail  rc;

    resp_put_command(&command, words, count);
    rc = talk_send_message(&login->talk, &command, why);
    if (command.memory != NULL)
        secret_wipe(command.memory, command.capacity);
    buf_fini(&command);
    return rc;
}

/* The reply is borrowed until the next call; *taken are its bytes. */
static enum fail read_reply(struct check_login *login, struct resp_reply *reply, size_t *taken,
                            struct failure *why)
{
    for (;;) {
        struct bytes      all = buf_bytes(&login->talk.plain), left = all;
        enum resp_verdict verdict = resp_read(reply, &left);
        enum fail         rc;

        *taken = all.len - left.len;
        if (verdict == RESP_COMPLETE)
            return FAIL_NONE;
        if (verdict == RESP_BROKEN)
            return fail(why, FAIL_PROTOCOL, "the answer is no reply of Redis");
        if ((rc = talk_receive(&login->talk, why)) != FAIL_NONE)
            return rc;
    }
}

/* ---- the commands ---- */

static enum fail authenticate(struct check_login *login, bool *goes_on, struct failure *why)
{
    const char       *user = parameters_get(login->check->parameters, PARAMETER_USER);
    struct bytes      words[3] = { BYTES("AUTH") };
    size_t            count = 1, taken = 0;
    struct resp_reply reply;
    enum fail         rc;

    *goes_on = login->is_proven || login->check->options->send_unverified;
    if (!*goes_on) {
        diagnosis_find(login->check->diagnosis, FINDING_PASSWORD_WITHHELD, "AUTH");
        return FAIL_NONE;
    }
    if (*user != '\0')
        words[count++] = bytes_of_string(user);
    words[count++] = bytes_of_string(login->password);
    rc = send_command(login, words, count, why);
    if (rc == FAIL_NONE)
        rc = read_reply(login, &reply, &taken, why);
    if (rc != FAIL_NONE)
        return rc;
    if (reply.kind == RESP_ERROR)
        explain(login->check, &reply);
    *goes_on =
        reply.kind == RESP_STATUS || finding_of(&reply) == FINDING_REDIS_PASSWORD_NEEDLESS;
    if (reply.kind == RESP_STATUS)
        diagnosis_tell(login->check->diagnosis, "authenticated", "yes");
    buf_skip(&login->talk.plain, taken);
    return FAIL_NONE;
}

static enum fail ping(struct check_login *login, bool *goes_on, struct failure *why)
{
    struct bytes      words[] = { BYTES("PING") };
    struct resp_reply reply;
    size_t            taken = 0;
    enum fail         rc = send_command(login, words, 1, why);

    *goes_on = false;
    if (rc == FAIL_NONE)
        rc = read_reply(login, &reply, &taken, why);
    if (rc != FAIL_NONE)
        return rc;
    if (reply.kind == RESP_ERROR)
        explain(login->check, &reply);
    *goes_on = reply.kind == RESP_STATUS;
    if (*goes_on)
        diagnosis_tell(login->check->diagnosis, "ping", "PONG");
    buf_skip(&login->talk.plain, taken);
    return FAIL_NONE;
}

/* An array of seconds and microseconds; a user who may not ask is no harm. */
static void ask_for_time(struct check_login *login)
{
    struct bytes      words[] = { BYTES("TIME") };
    struct failure    ignored = { 0 };
    struct resp_reply reply;
    size_t            taken = 0;

    if (send_command(login, words, 1, &ignored) != FAIL_NONE ||
        read_reply(login, &reply, &taken, &ignored) != FAIL_NONE || reply.count != 2)
        return;
    buf_skip(&login->talk.plain, taken);
    if (read_reply(login, &reply, &taken, &ignored) == FAIL_NONE && !reply.is_null)
        check_judge_clock(login->check, reply.text);
}

/* ---- the step ---- */

static void explain_failure(struct check_login *login, const struct failure *why)
{
    const struct tls_engine *engine = talk_engine(&login->talk);

    if (engine != NULL && why->kind == FAIL_TLS)
        handshake_explain(login->check, &login->talk, why, SEVERITY_ERROR);
    else if (engine != NULL)
        diagnosis_find(login->check->diagnosis,
                       why->kind == FAIL_TIMEOUT ? FINDING_LOGIN_TIMEOUT : FINDING_LOGIN_CUT,
                       "%s", why->text);
    else
        identify_server(login->check, why->kind == FAIL_CLOSED);
}

static void run(struct check_login *login)
{
    struct failure why = { 0 };
    bool           goes_on = true;
    enum fail      rc = login_open(login, &why);

    if (rc == FAIL_NONE && login->password != NULL)
        rc = authenticate(login, &goes_on, &why);
    if (rc == FAIL_NONE && goes_on)
        rc = ping(login, &goes_on, &why);
    if (rc != FAIL_NONE)
        explain_failure(login, &why);
    else if (goes_on)
        ask_for_time(login);
}

void step_redis(struct check *check)
{
    struct check_login login = { .check = check };

    if (check->identity_broken) {
        diagnosis_skip(check->diagnosis, "the client's certificate cannot be used");
        return;
    }
    login_begin(&login);
    run(&login);
    login_end(&login);
}

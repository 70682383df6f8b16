/* SPDX-License-Identifier: PostgreSQL */
/* Answers to the server's questions for proof: PostgreSQL manual 53.2.1 and 53.3. */
#include "doctor/login.h"

#include "base/secret.h"
#include "crypto/md5.h"
#include "pg/password.h"
#include "pg/sasl.h"

#include <stdio.h>
#include <string.h>

#define PLUS        "SCRAM-SHA-256-PLUS"
#define ANSWER_MOST ((size_t)128 * 1024) /* the longest password, and SCRAM's messages */

static const char *get(const struct check_login *login, enum parameter parameter)
{
    return parameters_get(login->check->parameters, parameter);
}

static enum auth_verdict give_up(struct check_login *login, enum finding finding,
                                 const char *why)
{
    diagnosis_find(login->check->diagnosis, finding, "%s", why);
    return AUTH_GIVES_UP;
}

static void wipe(struct buf *message)
{
    if (message->memory != NULL)
        secret_wipe(message->memory, message->capacity);
    buf_fini(message);
}

static enum auth_verdict send_answer(struct check_login *login, struct buf *message)
{
    struct failure why = { 0 };
    enum fail      rc = talk_send_message(&login->talk, message, &why);

    wipe(message);
    return rc == FAIL_NONE ? AUTH_GOES_ON
                           : give_up(login, FINDING_LOGIN_CUT,
                                     rc == FAIL_LIMIT ? "the password is too long" : why.text);
}

/* ---- what may be answered ---- */

/* require_auth: a list of methods, or of methods that may not be, with "!" before each. */
static bool method_is_allowed(const char *list, const char *method)
{
    bool negates = *list == '!', is_listed = false;

    if (*list == '\0')
        return true;
    for (; *list != '\0'; list += strcspn(list, ",") + (strchr(list, ',') != NULL)) {
        const char *word = list + (*list == '!');
        size_t      len = strcspn(word, ",");

        is_listed |= len == strlen(method) && memcmp(word, method, len) == 0;
    }
    return is_listed != negates;
}

/* True where this method's answer may be sent; otherwise a finding says why not. */
static bool may_answer(struct check_login *login, const char *method)
{
    diagnosis_tell(login->check->diagnosis, "method", "%s", method);
    if (!method_is_allowed(get(login, PARAMETER_REQUIRE_AUTH), method))
        give_up(login, FINDING_METHOD_FORBIDDEN, method);
    else if (strcmp(get(login, PARAMETER_CHANNEL_BINDING), "require") == 0 &&
             strcmp(method, "scram-sha-256") != 0)
        diagnosis_find_at_most(login->check->diagnosis, FINDING_BINDING_NOT_OFFERED,
                               SEVERITY_ERROR, "channel_binding=require, and the method is %s",
                               method);
    else if (login->password == NULL)
        give_up(login, FINDING_PASSWORD_MISSING, method);
    else if (!login->is_proven && !login->check->options->send_unverified)
        give_up(login, FINDING_PASSWORD_WITHHELD, method);
    else
        return true;
    return false;
}

/* ---- passwords ---- */

static enum auth_verdict answer_cleartext(struct check_login *login)
{
    struct buf out = BUF_LIMIT(ANSWER_MOST);

    diagnosis_find(login->check->diagnosis, FINDING_PASSWORD_CLEARTEXT, "%s",
                   login->is_secure ? "inside TLS" : "without TLS");
    if (!may_answer(login, "password"))
        return AUTH_GIVES_UP;
    password_write(&out, bytes_of_string(login->password));
    return send_answer(login, &out);
}

/* "md5" and md5(md5(password user) salt). */
static enum auth_verdict answer_md5(struct check_login *login, struct bytes salt)
{
    struct buf     out = BUF_LIMIT(ANSWER_MOST);
    struct failure why = { 0 };
    char           text[3 + MD5_HEX] = "md5", inner[MD5_HEX];

    diagnosis_find(login->check->diagnosis, FINDING_PASSWORD_MD5, "%s", "");
    if (!may_answer(login, "md5"))
        return AUTH_GIVES_UP;
    if (md5_hex(inner, bytes_of_string(login->password),
                bytes_of_string(get(login, PARAMETER_USER)), &why) != FAIL_NONE ||
        md5_hex(text + 3, bytes_of_string(inner), salt, &why) != FAIL_NONE)
        return give_up(login, FINDING_METHOD_UNSUPPORTED, why.text);
    password_write(&out, bytes_of_string(text));
    secret_wipe(text, sizeof text);
    secret_wipe(inner, sizeof inner);
    return send_answer(login, &out);
}

/* ---- SCRAM ---- */

/* RFC 5802 6: what the client says of channel binding. */
static struct scram_client_options choose_binding(const struct check_login *login,
                                                  bool                      is_offered)
{
    struct scram_client_options options = { .flag = SCRAM_UNABLE };

    if (login->chain == NULL || chain_binding(login->chain)->len == 0 ||
        strcmp(get(login, PARAMETER_CHANNEL_BINDING), "disable") == 0)
        return options;
    options.flag = is_offered ? SCRAM_BOUND : SCRAM_UNOFFERED;
    options.hash = endpoint_hash_bytes(chain_binding(login->chain));
    return options;
}

static enum auth_verdict begin_scram(struct check_login *login, struct bytes message)
{
    bool           is_offered = sasl_offers(message, PLUS);
    bool           insists = strcmp(get(login, PARAMETER_CHANNEL_BINDING), "require") == 0;
    struct buf     out = BUF_LIMIT(ANSWER_MOST), first = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    struct failure why = { 0 };
    struct scram_client_options options = choose_binding(login, is_offered);

    if (login->is_secure && !is_offered)
        diagnosis_find_at_most(login->check->diagnosis, FINDING_BINDING_NOT_OFFERED,
                               insists ? SEVERITY_ERROR : SEVERITY_WARNING,
                               "the list of mechanisms has no " PLUS);
    if (insists && options.flag != SCRAM_BOUND) {
        diagnosis_find_at_most(login->check->diagnosis, FINDING_BINDING_NOT_OFFERED,
                               SEVERITY_ERROR, "channel_binding=require cannot be");
        return AUTH_GIVES_UP;
    }
    if (!may_answer(login, "scram-sha-256"))
        return AUTH_GIVES_UP;
    login->is_bound = options.flag == SCRAM_BOUND;
    login->must_prove = true;
    diagnosis_tell(login->check->diagnosis, "mechanism", "%s",
                   login->is_bound ? PLUS : "SCRAM-SHA-256");
    scram_client_init(&login->scram, &options);
    if (scram_client_first(&login->scram, &first, &why) != FAIL_NONE)
        return give_up(login, FINDING_PROTOCOL_BROKEN, why.text);
    sasl_write_initial(&out, scram_client_mechanism(&login->scram), buf_bytes(&first));
    buf_fini(&first);
    return send_answer(login, &out);
}

static enum auth_verdict go_on_with_scram(struct check_login *login, struct bytes data)
{
    struct buf        out = BUF_LIMIT(ANSWER_MOST), final = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    struct scram_keys keys = { 0 };
    struct failure    why = { 0 };
    enum fail         rc = FAIL_PROTOCOL;

    if (login->must_prove)
        rc = scram_client_read_first(&login->scram, data, &why);
    if (rc == FAIL_NONE)
        rc = scram_keys_make(&keys, bytes_of_string(login->password), &login->scram.stretch,
                             &why);
    if (rc == FAIL_NONE)
        rc = scram_client_final(&login->scram, &keys, &final, &why);
    scram_keys_wipe(&keys);
    if (rc == FAIL_NONE)
        sasl_write_response(&out, buf_bytes(&final));
    buf_fini(&final);
    return rc == FAIL_NONE ? send_answer(login, &out)
                           : give_up(login, FINDING_PROTOCOL_BROKEN, why.text);
}

static enum auth_verdict finish_scram(struct check_login *login, struct bytes data)
{
    struct failure why = { 0 };

    if (!login->must_prove)
        return give_up(login, FINDING_PROTOCOL_BROKEN, "AuthenticationSASLFinal out of turn");
    if (scram_client_read_final(&login->scram, data, &why) != FAIL_NONE)
        return give_up(login, FINDING_SERVER_UNPROVEN, why.text);
    login->must_prove = false;
    return AUTH_GOES_ON;
}

/* ---- all of them ---- */

static enum auth_verdict on_ok(struct check_login *login)
{
    if (login->must_prove)
        return give_up(login, FINDING_SERVER_UNPROVEN,
                       "it let us in without the last message of SCRAM");
    diagnosis_tell(login->check->diagnosis, "authenticated", "yes");
    return AUTH_GOES_ON;
}

static enum auth_verdict on_unknown(struct check_login *login, int64_t code)
{
    const char *name = code == 7 || code == 8 ? "GSSAPI" : code == 9 ? "SSPI" : "unknown";
    char        text[64];

    snprintf(text, sizeof text, "%s (code %lld)", name, (long long)code);
    return give_up(login, FINDING_METHOD_UNSUPPORTED, text);
}

enum auth_verdict auth_answer(struct check_login *login, struct bytes message)
{
    int64_t      code = auth_code(message);
    struct bytes data = auth_body(message);

    switch (code) {
    case AUTH_OK: return on_ok(login);
    case AUTH_CLEARTEXT: return answer_cleartext(login);
    case AUTH_MD5:
        return data.len == 4
                   ? answer_md5(login, data)
                   : give_up(login, FINDING_PROTOCOL_BROKEN, "a salt that is not one");
    case AUTH_SASL:
        return sasl_offers(message, "SCRAM-SHA-256") || sasl_offers(message, PLUS)
                   ? begin_scram(login, message)
                   : give_up(login, FINDING_METHOD_UNSUPPORTED, "a SASL mechanism");
    case AUTH_SASL_CONTINUE: return go_on_with_scram(login, data);
    case AUTH_SASL_FINAL: return finish_scram(login, data);
    case -1: return give_up(login, FINDING_PROTOCOL_BROKEN, "an Authentication without a code");
    default: return on_unknown(login, code);
    }
}

/* SPDX-License-Identifier: PostgreSQL */
/* What the server answers before any login: to SSLRequest, GSSENCRequest, direct TLS,
 * plaintext. */
#include "doctor/check.h"

#include "base/text.h"
#include "pg/error_response.h"
#include "pg/opening.h"

#include <errno.h>

/* A byte behind S comes in the same segment or right after it, if at all. */
#define BEHIND_S_US UINT64_C(20000)

static bool needs_tls(const struct check *check)
{
    return check->mode >= MODE_REQUIRE;
}

/* ---- SSLRequest ---- */

static void explain_silence(struct check *check, const struct failure *why)
{
    diagnosis_tell(check->diagnosis, "sslrequest", "%s", why->text);
    identify_server(check, why->kind == FAIL_CLOSED);
    check->stops = true;
}

/* "SSH-2.0-..." begins with an S too. */
static void judge_bytes_behind(struct check *check, struct talk *talk)
{
    struct failure why = { 0 };

    check->stops = true;
    if (talk_receive(talk, &why) == FAIL_NONE &&
        bytes_equal(bytes_first(buf_bytes(&talk->plain), 3), BYTES("SH-")))
        diagnosis_find(check->diagnosis, FINDING_SERVER_SSH, "it greets with SSH-");
    else
        diagnosis_find(check->diagnosis, FINDING_BYTES_BEHIND_S, "in answer to SSLRequest");
}

static void judge_answer(struct check *check, struct talk *talk, uint8_t answer)
{
    char shown[16];

    text_escape(shown, sizeof shown, bytes_of(&answer, 1));
    diagnosis_tell(check->diagnosis, "sslrequest", "%s", shown);
    switch (answer) {
    case 'S':
        check->tls = CHECK_TLS_OFFERED;
        if (talk_hears(talk, BEHIND_S_US))
            judge_bytes_behind(check, talk);
        return;
    case 'N':
        check->tls = CHECK_TLS_NONE;
        diagnosis_find_at_most(check->diagnosis, FINDING_NO_TLS,
                               check_severity(needs_tls(check)), "it answers N to SSLRequest");
        check->stops = needs_tls(check);
        return;
    case 'E':
        diagnosis_find(check->diagnosis, FINDING_ERROR_ANSWER, "E in answer to SSLRequest");
        check->stops = true;
        return;
    default: identify_server(check, false); check->stops = true;
    }
}

static void ask_for_tls(struct check *check)
{
    struct failure why = { 0 };
    struct talk    talk;
    uint8_t        answer = 0;
    enum fail      rc = check_open(check, &talk, &why);

    if (rc == FAIL_NONE)
        rc = check_ask_for_tls(&talk, &answer, &why);
    if (rc == FAIL_NONE)
        judge_answer(check, &talk, answer);
    check_close(check, &talk);
    if (rc != FAIL_NONE)
        explain_silence(check, &why);
}

/* ---- GSSENCRequest ---- */

static void ask_for_gss(struct check *check)
{
    struct failure why = { 0 };
    struct talk    talk;
    struct buf     request = BUF_LIMIT(OPENING_REQUEST_LEN);
    uint8_t        answer = 0;
    char           shown[16];

    buf_put_u32(&request, OPENING_REQUEST_LEN);
    buf_put_u32(&request, OPENING_CODE_GSS);
    if (check_open(check, &talk, &why) == FAIL_NONE &&
        talk_send_message(&talk, &request, &why) == FAIL_NONE &&
        talk_receive_byte(&talk, &answer, &why) == FAIL_NONE) {
        text_escape(shown, sizeof shown, bytes_of(&answer, 1));
        diagnosis_tell(check->diagnosis, "gssencrequest", "%s", shown);
    } else {
        diagnosis_tell(check->diagnosis, "gssencrequest", "%s", why.text);
    }
    if (answer == 'G')
        diagnosis_find(check->diagnosis, FINDING_GSS_TAKEN, "G in answer to GSSENCRequest");
    check_close(check, &talk);
    buf_fini(&request);
}

/* ---- direct TLS ---- */

static bool try_direct(struct check *check)
{
    struct check_handshake how = { .context = check->looking, .direct = true, .sni = true };
    struct failure         why = { 0 };
    struct talk            talk;
    enum fail              rc = check_secure(check, &talk, &how, &why);

    if (rc == FAIL_NONE)
        diagnosis_tell(check->diagnosis, "direct", "taken (ALPN postgresql)");
    else
        diagnosis_tell(check->diagnosis, "direct", "not taken: %s", why.text);
    check_close(check, &talk);
    return rc == FAIL_NONE;
}

/* It was asked for: who does not take it may still be a server that takes SSLRequest. */
static void begin_directly(struct check *check)
{
    if (try_direct(check)) {
        check->tls = CHECK_TLS_OFFERED;
        return;
    }
    ask_for_tls(check);
    if (check->tls == CHECK_TLS_OFFERED ||
        diagnosis_has(check->diagnosis, FINDING_ERROR_ANSWER))
        diagnosis_find(check->diagnosis, FINDING_DIRECT_REFUSED, "it knows SSLRequest alone");
    check->stops = true;
}

void step_negotiate(struct check *check)
{
    if (check_is_unix(check)) {
        diagnosis_skip(check->diagnosis, "on a Unix socket there is no TLS");
        return;
    }
    if (check->is_direct) {
        begin_directly(check);
        return;
    }
    ask_for_tls(check);
    if (check->stops)
        return;
    ask_for_gss(check);
    if (check->tls == CHECK_TLS_OFFERED)
        try_direct(check);
}

/* ---- plaintext ---- */

static void judge_plaintext(struct check *check, struct bytes message)
{
    struct error_response error = { 0 };
    char                  text[160];

    if (message.p[0] != 'E') {
        check->plaintext = PLAINTEXT_TAKEN;
        diagnosis_tell(check->diagnosis, "plaintext", "taken: the login begins");
        if (check->tls == CHECK_TLS_OFFERED)
            diagnosis_find_at_most(
                check->diagnosis, FINDING_PLAINTEXT_ACCEPTED,
                address_is_loopback(&check->chosen->address) ? SEVERITY_INFO : SEVERITY_WARNING,
                "a startup packet in the clear was answered");
        return;
    }
    if (!error_response_read(&error, message) || error.message == NULL)
        error.message = "an error without a text";
    text_escape(text, sizeof text, bytes_of_string(error.message));
    diagnosis_tell(check->diagnosis, "plaintext", "refused: %s", text);
    if (!error_response_has_code(&error, "28000"))
        return;
    check->plaintext = PLAINTEXT_NOT_TAKEN;
    if (check->mode == MODE_DISABLE && check->tls == CHECK_TLS_OFFERED)
        diagnosis_find(check->diagnosis, FINDING_PLAINTEXT_REFUSED, "%s", text);
}

void step_plaintext(struct check *check)
{
    struct failure why = { 0 };
    struct talk    talk;
    struct buf     startup = BUF_LIMIT(OPENING_MOST);
    struct bytes   message = { NULL, 0 };

    if (check_is_unix(check)) {
        diagnosis_skip(check->diagnosis, "a Unix socket needs no TLS");
        return;
    }
    check_put_startup(check, &startup);
    if (check_open(check, &talk, &why) == FAIL_NONE &&
        talk_send_message(&talk, &startup, &why) == FAIL_NONE &&
        check_message(&talk, &message, &why) == FAIL_NONE)
        judge_plaintext(check, message);
    else
        diagnosis_tell(check->diagnosis, "plaintext", "no answer: %s", why.text);
    check_close(check, &talk);
    buf_fini(&startup);
}

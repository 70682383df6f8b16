/* SPDX-License-Identifier: PostgreSQL */
/* Who is it, if not the server that was asked for?  By what it says first, and to PING. */
#include "doctor/check.h"

#include "base/text.h"
#include "session/dial.h"

#define GREETING_US UINT64_C(400000) /* SSH, SMTP, MySQL speak first */
#define ANSWER_US   UINT64_C(1000000)

/* Redis answers it inline, an HTTP server with 400; nothing is changed by it anywhere. */
#define QUESTION BYTES("PING\r\n\r\n")

static const struct {
    struct bytes begins;
    enum finding clear, inside_tls;
} known[] = {
    { BYTES_INIT("SSH-"), FINDING_SERVER_SSH, FINDING_SERVER_TLS },
    { BYTES_INIT("HTTP/"), FINDING_SERVER_HTTP, FINDING_SERVER_HTTP },
    { BYTES_INIT("<!DOCTYPE"), FINDING_SERVER_HTTP, FINDING_SERVER_HTTP },
    { BYTES_INIT("<html"), FINDING_SERVER_HTTP, FINDING_SERVER_HTTP },
    { BYTES_INIT("+PONG"), FINDING_SERVER_REDIS, FINDING_SERVER_REDIS_TLS },
    { BYTES_INIT("-NOAUTH"), FINDING_SERVER_REDIS, FINDING_SERVER_REDIS_TLS },
    { BYTES_INIT("-DENIED"), FINDING_SERVER_REDIS, FINDING_SERVER_REDIS_TLS },
    { BYTES_INIT("-LOADING"), FINDING_SERVER_REDIS, FINDING_SERVER_REDIS_TLS },
    { BYTES_INIT("220 "), FINDING_SERVER_UNKNOWN, FINDING_SERVER_TLS },
};

static enum finding who_says(struct bytes words, bool inside_tls)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (bytes_equal(bytes_first(words, known[i].begins.len), known[i].begins))
            return inside_tls ? known[i].inside_tls : known[i].clear;
    }
    /* MySQL: length, sequence number 0, protocol 10, then a version in text */
    if (words.len > 5 && words.p[3] == 0 && words.p[4] == 10)
        return FINDING_SERVER_MYSQL;
    return inside_tls ? FINDING_SERVER_TLS : FINDING_SERVER_UNKNOWN;
}

/* Waits for a greeting, then asks; true where something was said. */
static bool hear(struct talk *talk, bool waits_for_greeting)
{
    struct failure why = { 0 };

    if (waits_for_greeting && talk_hears(talk, GREETING_US))
        return talk_receive(talk, &why) == FAIL_NONE;
    return talk_send(talk, QUESTION, &why) == FAIL_NONE && talk_hears(talk, ANSWER_US) &&
           talk_receive(talk, &why) == FAIL_NONE;
}

static void find_out(struct check *check, struct talk *talk, bool inside_tls)
{
    struct bytes words = bytes_first(buf_bytes(&talk->plain), 60);
    char         shown[80];

    text_escape(shown, sizeof shown, words);
    diagnosis_find(check->diagnosis, who_says(words, inside_tls), "it says \"%s\"", shown);
}

static bool in_the_clear(struct check *check)
{
    struct failure why = { 0 };
    struct talk    talk;
    bool           heard = check_open(check, &talk, &why) == FAIL_NONE && hear(&talk, true);

    /* an alert is no word: who sends one speaks TLS */
    if (heard && talk.plain.len > 0 && buf_bytes(&talk.plain).p[0] == 0x15)
        heard = false;
    if (heard)
        find_out(check, &talk, false);
    check_close(check, &talk);
    return heard;
}

static bool inside_tls(struct check *check)
{
    struct check_handshake how = {
        .context = check->looking, .direct = true, .sni = true, .no_alpn = true
    };
    struct failure why = { 0 };
    struct talk    talk;
    bool           speaks_tls =
        check_secure(check, &talk, &how, &why) == FAIL_NONE ||
        (talk_engine(&talk) != NULL && tls_engine_alert_received(talk_engine(&talk)) >= 0);

    if (speaks_tls && talk.leg.state == LEG_SECURE && hear(&talk, false))
        find_out(check, &talk, true);
    else if (speaks_tls)
        diagnosis_find(check->diagnosis, FINDING_SERVER_TLS, "a handshake of TLS was answered");
    check_close(check, &talk);
    return speaks_tls;
}

bool identify_postgresql(struct check *check)
{
    struct failure why = { 0 };
    struct talk    talk;
    uint8_t        answer = 0;
    bool           is = check_open(check, &talk, &why) == FAIL_NONE &&
              check_ask_for_tls(&talk, &answer, &why) == FAIL_NONE &&
              (answer == 'S' || answer == 'N');

    check_close(check, &talk);
    if (is)
        diagnosis_find(check->diagnosis, FINDING_SERVER_POSTGRESQL,
                       "%c in answer to SSLRequest", answer);
    return is;
}

void identify_server(struct check *check, bool closed)
{
    if (check->is_redis && identify_postgresql(check))
        return;
    if (in_the_clear(check) || inside_tls(check))
        return;
    diagnosis_find(check->diagnosis, closed ? FINDING_SERVER_CLOSES : FINDING_SERVER_SILENT,
                   "whatever it is asked");
}

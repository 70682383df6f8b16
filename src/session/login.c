/* SPDX-License-Identifier: PostgreSQL */
#include "session/login.h"

#include <assert.h>

#include "base/text.h"
#include "pg/error_response.h"
#include "pg/frame.h"
#include "pg/sasl.h"

static const char binding_hint[] =
    "channel binding cannot pass a proxy that has its own certificate: connect with "
    "channel_binding=disable, or give the proxy the user's verifier (auth_file), the server's "
    "certificate and key, or a way to the server without TLS";

/* an H, the text, and its NUL; or a line end and the text */
static_assert(sizeof binding_hint + 1 <= LOGIN_HINT_MOST, "the hint outgrew its promise");

enum {
    KEY_LEAST = FRAME_HEADER_LEN + 4 + 4, /* pid and a key of 4 (3.0) to 256 bytes (3.2) */
    KEY_MOST = FRAME_HEADER_LEN + 4 + 256,
    READY_LEN = FRAME_HEADER_LEN + 1,
};

void login_init(struct login *login, const struct login_legs *legs)
{
    *login = (struct login){ .legs = *legs, .held = BUF_LIMIT(LOGIN_HELD_MOST) };
}

void login_fini(struct login *login)
{
    buf_fini(&login->held);
}

bool login_is_between(const struct login *login)
{
    return login->pass_left == 0;
}

static enum login_verdict broken(struct login *login, const char *why)
{
    login->broken = why;
    return LOGIN_BROKEN;
}

static enum login_verdict on_authentication(struct login *login, struct bytes message,
                                            struct buf *out)
{
    int64_t code = auth_code(message);

    if (code < 0)
        return broken(login, "an Authentication message without a code");
    if (code == AUTH_SASL_CONTINUE || code == AUTH_SASL_FINAL) {
        buf_put(out, message);
        return LOGIN_WANT_MORE;
    }
    login->auth_seen = true;
    login->authenticated |= code == AUTH_OK;
    login->plus_offered = sasl_offers_plus(message);
    login->plus_stripped = false;
    if (login->plus_offered && login->legs.strips_plus)
        login->plus_stripped = sasl_strip_plus(out, message);
    else
        buf_put(out, message);
    return LOGIN_WANT_MORE;
}

/* Only what can be an SQLSTATE is kept: it goes into logs unescaped. */
static void keep_code(struct login *login, const char *code)
{
    size_t len = code != NULL ? strlen(code) : 0;

    login->error_code[0] = '\0';
    if (len == 5 && strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len)
        memcpy(login->error_code, code, len + 1);
}

static void keep_error(struct login *login, const struct error_response *error)
{
    const char *message = error->message != NULL ? error->message : "";

    login->has_error = true;
    keep_code(login, error->code);
    text_escape(login->error_message, sizeof login->error_message, bytes_of_string(message));
}

/* Within the exchange the server says 28000 only of channel binding. */
static bool is_binding_refusal(const struct login *login, const struct error_response *error)
{
    return login->legs.client_tls && login->legs.server_tls && !login->legs.binding_passes &&
           login->plus_offered && error_response_has_code(error, "28000");
}

static enum login_verdict on_error(struct login *login, struct bytes message, struct buf *out)
{
    struct error_response error = { 0 };

    error_response_read(&error, message);
    keep_error(login, &error);
    if (!login->binding_refused && is_binding_refusal(login, &error)) {
        login->binding_refused = true;
        error_response_add_hint(out, message, binding_hint);
    } else {
        buf_put(out, message);
    }
    return LOGIN_WANT_MORE;
}

static enum login_verdict on_key(struct login *login, struct bytes message, struct buf *out)
{
    if (message.len >= KEY_LEAST && message.len <= KEY_MOST) {
        login->key_len = (uint16_t)(message.len - FRAME_HEADER_LEN);
        memcpy(login->key, message.p + FRAME_HEADER_LEN, login->key_len);
    }
    buf_put(out, message);
    return LOGIN_WANT_MORE;
}

static enum login_verdict on_ready(struct login *login, struct bytes message, struct buf *out)
{
    if (message.len != READY_LEN)
        return broken(login, "a ReadyForQuery of a wrong length");
    login->status = message.p[FRAME_HEADER_LEN];
    buf_put(out, message);
    return LOGIN_READY;
}

/* An ErrorResponse ends a login.  A client may have hung up at it; that a server goes on all
 * the same must not make a session, of which less than was demanded would be known. */
static enum login_verdict on_message(struct login *login, struct bytes message, struct buf *out)
{
    if (login->has_error && message.p[0] != 'E')
        return broken(login, "it went on with a login behind an error");
    switch (message.p[0]) {
    case 'R': return on_authentication(login, message, out);
    case 'E': return on_error(login, message, out);
    case 'K': return on_key(login, message, out);
    default: return on_ready(login, message, out);
    }
}

static enum login_verdict hold(struct login *login, struct bytes *in, size_t n)
{
    buf_put(&login->held, bytes_first(*in, n));
    bytes_skip(in, n);
    return buf_ok(&login->held) ? LOGIN_WANT_MORE : broken(login, "out of memory");
}

static enum login_verdict pass(struct login *login, struct bytes *in, struct buf *out)
{
    struct bytes part = bytes_first(*in, login->pass_left);

    buf_put(out, part);
    bytes_skip(in, part.len);
    login->pass_left -= (uint32_t)part.len;
    return LOGIN_WANT_MORE;
}

/* From here on the message goes by unread; of its header something may be held. */
static enum login_verdict begin_to_pass(struct login *login, uint8_t type, size_t whole,
                                        struct buf *out)
{
    if (type == 'E')
        keep_error(login, &(struct error_response){ 0 });
    buf_put(out, buf_bytes(&login->held));
    login->pass_left = (uint32_t)(whole - login->held.len);
    buf_clear(&login->held);
    return LOGIN_WANT_MORE;
}

/* The whole message is there, its front perhaps held. */
static enum login_verdict take_message(struct login *login, size_t whole, struct bytes *in,
                                       struct buf *out)
{
    struct bytes       message = bytes_first(*in, whole);
    enum login_verdict verdict;

    if (login->held.len > 0) {
        if (hold(login, in, whole - login->held.len) == LOGIN_BROKEN)
            return LOGIN_BROKEN;
        message = buf_bytes(&login->held);
    } else {
        bytes_skip(in, whole);
    }
    verdict = on_message(login, message, out);
    buf_clear(&login->held);
    return verdict;
}

static bool must_be_seen(uint8_t type)
{
    return type == 'R' || type == 'E' || type == 'K' || type == 'Z';
}

/* At the first byte of a message, or behind what is held of one. */
static enum login_verdict step(struct login *login, struct bytes *in, struct buf *out)
{
    struct bytes held = bytes_first(buf_bytes(&login->held), FRAME_HEADER_LEN);
    size_t       there = login->held.len + in->len;
    uint8_t      header[FRAME_HEADER_LEN];
    size_t       whole;

    if (there < FRAME_HEADER_LEN)
        return hold(login, in, in->len);
    if (held.len > 0)
        memcpy(header, held.p, held.len);
    memcpy(header + held.len, in->p, FRAME_HEADER_LEN - held.len);
    if (!frame_length_is_legal(bytes_u32(header + 1)))
        return broken(login, "a message of an impossible length");
    whole = (size_t)bytes_u32(header + 1) + 1;
    if (!must_be_seen(header[0]) || (header[0] == 'E' && whole > LOGIN_HELD_MOST))
        return begin_to_pass(login, header[0], whole, out);
    if (whole > LOGIN_HELD_MOST)
        return broken(login, "a message that is too long for a login");
    if (there < whole)
        return hold(login, in, in->len);
    return take_message(login, whole, in, out);
}

enum login_verdict login_feed(struct login *login, struct bytes *in, struct buf *out)
{
    enum login_verdict verdict = LOGIN_WANT_MORE;

    while (verdict == LOGIN_WANT_MORE && in->len > 0) {
        verdict = login->pass_left > 0 ? pass(login, in, out) : step(login, in, out);
        if (!buf_ok(out))
            return broken(login, "out of memory");
    }
    if (verdict != LOGIN_WANT_MORE)
        buf_release(&login->held);
    return verdict;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "tls/messages.h"

/* RFC 8446 4, and 6.2 */
#define NEW_SESSION_TICKET 4
#define KEY_UPDATE         24
#define UNEXPECTED_MESSAGE 10
#define ILLEGAL_PARAMETER  47
#define DECODE_ERROR       50

/*
 * RFC 8446 6: "Peers which receive a message which cannot be parsed according to the syntax
 * (e.g., have a length extending beyond the message boundary or contain an out-of-range length)
 * MUST terminate the connection with a "decode_error" alert.  Peers which receive a message
 * which is syntactically correct but semantically invalid [...] MUST terminate the connection
 * with an "illegal_parameter" alert."  For a length that is too large OpenSSL says the latter,
 * and so do we.
 */

/* RFC 8446 4.6.1, and what can be in it: lifetime and age_add, nonce, ticket, extensions */
#define LONGEST_TICKET (8u + 1 + 255 + 2 + 65535 + 2 + 65535)

enum field {
    LIFETIME_AND_AGE_ADD,
    NONCE_LENGTH,
    NONCE,
    TICKET_LENGTH,
    TICKET,
    EXTENSIONS_LENGTH,
    EXTENSION_TYPE, /* these three again for each */
    EXTENSION_LENGTH,
    EXTENSION,
    FIELDS
};

static const uint8_t field_bytes[FIELDS] = {
    /* those that are not here are as long as the length before them says */
    [LIFETIME_AND_AGE_ADD] = 8, [NONCE_LENGTH] = 1,   [TICKET_LENGTH] = 2,
    [EXTENSIONS_LENGTH] = 2,    [EXTENSION_TYPE] = 2, [EXTENSION_LENGTH] = 2,
};

bool tls_messages_is_cut(const struct tls_messages *messages)
{
    return messages->have > 0;
}

bool tls_messages_are_sane(const struct tls_messages *m)
{
    bool is_ticket = m->header[0] == NEW_SESSION_TICKET;

    if (m->have < sizeof m->header)
        return true;
    return m->have == sizeof m->header && m->field < FIELDS &&
           m->body_left <= (is_ticket ? LONGEST_TICKET : 1) &&
           (is_ticket || m->header[0] == KEY_UPDATE);
}

static enum tls_message wrong(int *alert, int number)
{
    *alert = number;
    return TLS_MESSAGE_WRONG;
}

static void begin_field(struct tls_messages *m, enum field field)
{
    m->field = (uint8_t)field;
    m->field_left = field_bytes[field] > 0 ? field_bytes[field] : m->value;
    if (field_bytes[field] > 0)
        m->value = 0;
}

/* False where a length is wrong: ticket<1..2^16-1>, and extensions are the rest of the message.
 * 4.6.1: "Clients MUST ignore unrecognized extensions": no ticket is used, so all are. */
static bool leave_field(struct tls_messages *m, size_t rest)
{
    bool is_right = (m->field != TICKET_LENGTH || m->value > 0) &&
                    (m->field != EXTENSIONS_LENGTH || m->value == rest);

    begin_field(m, m->field == EXTENSION ? EXTENSION_TYPE : (enum field)(m->field + 1));
    return is_right;
}

/* Fields that are empty are left at once. */
static bool pass_ticket(struct tls_messages *m, struct bytes part)
{
    while (part.len > 0) {
        struct bytes run = bytes_first(part, m->field_left);

        if (field_bytes[m->field] == 1 || field_bytes[m->field] == 2) {
            for (size_t i = 0; i < run.len; i++)
                m->value = (uint16_t)(m->value << 8 | run.p[i]);
        }
        bytes_skip(&part, run.len);
        m->field_left = (uint16_t)(m->field_left - run.len);
        while (m->field_left == 0) {
            if (!leave_field(m, part.len + m->body_left))
                return false;
        }
    }
    return true;
}

/* The last extension has ended, or there was none. */
static bool is_whole_ticket(const struct tls_messages *m)
{
    return m->field == EXTENSION_TYPE && m->field_left == field_bytes[EXTENSION_TYPE];
}

/* The header is complete: what may come, and how long it may be, is known before it comes. */
static enum tls_message begin(struct tls_messages *m, bool is_client, int *alert)
{
    m->body_left = bytes_u32(m->header) & 0xffffff;
    switch (m->header[0]) {
    case NEW_SESSION_TICKET:
        if (!is_client)
            break;
        begin_field(m, LIFETIME_AND_AGE_ADD);
        return m->body_left > LONGEST_TICKET ? wrong(alert, ILLEGAL_PARAMETER)
                                             : TLS_MESSAGE_NONE;
    case KEY_UPDATE:
        if (m->body_left == 1)
            return TLS_MESSAGE_NONE;
        return wrong(alert, m->body_left == 0 ? DECODE_ERROR : ILLEGAL_PARAMETER);
    default: break;
    }
    /* 4: "Protocol messages MUST be sent in the order defined [...] A peer which receives a
     * handshake message in an unexpected order MUST abort the handshake with an
     * "unexpected_message" alert."  4.6.2: "A client that receives a CertificateRequest message
     * without having sent the "post_handshake_auth" extension MUST send an "unexpected_message"
     * fatal alert." */
    return wrong(alert, UNEXPECTED_MESSAGE);
}

static enum tls_message end_key_update(const struct tls_messages *m, struct bytes behind,
                                       int *alert)
{
    /* 5.1: "Handshake messages MUST NOT span key changes.  Implementations MUST verify that all
     * messages immediately preceding a key change align with a record boundary; if not, then
     * they MUST terminate the connection with an "unexpected_message" alert." */
    if (behind.len > 0)
        return wrong(alert, UNEXPECTED_MESSAGE);
    /* 4.6.3: "If an implementation receives any other value, it MUST terminate the
     * connection with an "illegal_parameter" alert." */
    if (m->request > 1)
        return wrong(alert, ILLEGAL_PARAMETER);
    return m->request == 1 ? TLS_MESSAGE_KEY_UPDATE_REQUESTED : TLS_MESSAGE_KEY_UPDATE;
}

static enum tls_message take_body(struct tls_messages *m, struct bytes *content, int *alert)
{
    struct bytes part = bytes_first(*content, m->body_left);

    bytes_skip(content, part.len);
    m->body_left -= (uint32_t)part.len;
    if (m->header[0] == KEY_UPDATE && part.len > 0)
        m->request = part.p[0];
    if (m->header[0] == NEW_SESSION_TICKET && !pass_ticket(m, part))
        return wrong(alert, DECODE_ERROR);
    if (m->body_left > 0)
        return TLS_MESSAGE_NONE;
    m->have = 0;
    if (m->header[0] == KEY_UPDATE)
        return end_key_update(m, *content, alert);
    return is_whole_ticket(m) ? TLS_MESSAGE_TICKET : wrong(alert, DECODE_ERROR);
}

enum tls_message tls_messages_next(struct tls_messages *messages, bool is_client,
                                   struct bytes *content, int *alert)
{
    if (content->len == 0)
        return TLS_MESSAGE_NONE;
    while (messages->have < sizeof messages->header && content->len > 0) {
        messages->header[messages->have++] = content->p[0];
        bytes_skip(content, 1);
        if (messages->have == sizeof messages->header &&
            begin(messages, is_client, alert) == TLS_MESSAGE_WRONG)
            return TLS_MESSAGE_WRONG;
    }
    if (messages->have < sizeof messages->header)
        return TLS_MESSAGE_NONE;
    return take_body(messages, content, alert);
}

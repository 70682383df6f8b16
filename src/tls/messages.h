/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/messages.h - handshake messages that come after the handshake; for tls/ only
 *
 * RFC 8446 4.6: a client may get NewSessionTicket, both may get KeyUpdate, and nothing
 * else is legal here.  Messages may be cut over records or share one.  Tickets are
 * checked while they pass by and are kept nowhere, so nothing grows.
 *
 * No pointers: the struct is saved as it is.
 */
#ifndef PGTLS_TLS_MESSAGES_H
#define PGTLS_TLS_MESSAGES_H

#include "base/bytes.h"

struct tls_messages {
    uint8_t  header[4]; /* type and length */
    uint8_t  have;      /* bytes of it; 0: between messages */
    uint8_t  field;     /* of a ticket */
    uint8_t  request;   /* of a KeyUpdate */
    uint16_t value;     /* of the ticket's last length */
    uint16_t field_left;
    uint32_t body_left;
};

enum tls_message {
    TLS_MESSAGE_NONE, /* all bytes are taken */
    TLS_MESSAGE_TICKET,
    TLS_MESSAGE_KEY_UPDATE,
    TLS_MESSAGE_KEY_UPDATE_REQUESTED,
    TLS_MESSAGE_WRONG, /* ends the connection with *alert */
};

/* Takes bytes of one record's content up to the end of a message.  `is_client`: ours. */
enum tls_message tls_messages_next(struct tls_messages *messages, bool is_client,
                                   struct bytes *content, int *alert);

/* A struct that comes from elsewhere can be gone on with. */
bool tls_messages_are_sane(const struct tls_messages *messages);

/* A message is unfinished. */
bool tls_messages_is_cut(const struct tls_messages *messages);

#endif

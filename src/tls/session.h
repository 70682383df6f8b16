/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/session.h - TLS 1.3 after its handshake, as one small struct; for tls/ only
 *
 * All that must be known to go on with a connection: no pointers, no OpenSSL.
 */
#ifndef PGTLS_TLS_SESSION_H
#define PGTLS_TLS_SESSION_H

#include "tls/messages.h"
#include "tls/traffic.h"

struct tls_session {
    struct tls_traffic  read, write;
    struct tls_messages messages;
    uint16_t            most_read; /* content of one record: RFC 8446 5.1, or RFC 6066 4 */
    uint16_t            most_written;
    uint8_t             empty_records; /* in a row */
    uint8_t             warnings;      /* in a row */
    uint16_t            unpaid;        /* messages, in records of data */
    bool                is_client;
    bool                answer_due; /* a KeyUpdate that the peer has requested of us */
    bool                answered;   /* one waits in the caller's buffer */
    bool                requested;  /* we have asked for the peer's */
};

#endif

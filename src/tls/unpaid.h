/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/unpaid.h - what a peer's messages behind the handshake cost it; for tls/ only
 *
 * A KeyUpdate takes as much time as twenty small records, a ticket no less, and to decline a
 * new handshake of TLS 1.2 half of that.  Those that nobody has asked for are paid for with
 * records of data of either side, but for so many.
 *
 * `unpaid` is the session's, in records of data.
 */
#ifndef PGTLS_TLS_UNPAID_H
#define PGTLS_TLS_UNPAID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_MESSAGE_PRICE 16u
#define TLS_MOST_UNPAID   (64u * TLS_MESSAGE_PRICE)

/* What tls_explain_sent() is told of a peer with too many of them. */
#define TLS_TOO_MANY_UNPAID "too many messages without data"

/* Another message has come.  False where there are too many of them. */
static inline bool tls_unpaid_charge(uint16_t *unpaid)
{
    if (*unpaid > TLS_MOST_UNPAID - TLS_MESSAGE_PRICE)
        return false;
    *unpaid = (uint16_t)(*unpaid + TLS_MESSAGE_PRICE);
    return true;
}

static inline void tls_unpaid_pay(uint16_t *unpaid, size_t records)
{
    *unpaid = (uint16_t)(*unpaid > records ? *unpaid - records : 0);
}

#endif

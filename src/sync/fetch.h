/* SPDX-License-Identifier: PostgreSQL */
/*
 * sync/fetch.h - the certificates that a server sends
 *
 * Nothing is verified and nothing is said inside TLS: this is for looking.
 */
#ifndef PGTLS_SYNC_FETCH_H
#define PGTLS_SYNC_FETCH_H

#include "base/fail.h"

#include <stdint.h>

struct chain;

enum fetch_way {
    FETCH_SSLREQUEST, /* PostgreSQL's negotiation */
    FETCH_DIRECT,     /* TLS at once, with ALPN "postgresql" (PostgreSQL 17) */
    FETCH_TLS,        /* TLS at once: Redis */
};

struct fetch_order {
    const char    *host; /* a name, which is announced (SNI), or an address */
    uint16_t       port;
    enum fetch_way way;
    uint64_t       timeout_us; /* for all of it */
    int64_t        wall_s;
};

struct fetch_facts {
    char version[16]; /* "TLSv1.3"; "" where the handshake did not end */
    char cipher[64];
};

/*
 * *out is the caller's.  A server that ends the handshake after it has sent its certificates,
 * because it wants one of the client, has sent them all the same: that is no failure.
 */
enum fail fetch_chain(const struct fetch_order *order, struct chain **out,
                      struct fetch_facts *facts, struct failure *why) WARN_UNUSED;

#endif

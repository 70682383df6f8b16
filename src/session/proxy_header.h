/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/proxy_header.h - who a connection is from, told by the proxy before us
 *
 * The PROXY protocol of HAProxy (proxy-protocol.txt, 2020): version 1 is a line
 * of text, version 2 is binary.  It stands before everything else.  Pure: bytes
 * in, a verdict and facts out.
 */
#ifndef PGTLS_SESSION_PROXY_HEADER_H
#define PGTLS_SESSION_PROXY_HEADER_H

#include "base/buf.h"

enum { PROXY_HEADER_MOST = 536 }; /* no longer one is taken: section 2.2, with room for TLVs */

/* Which versions are taken, or the one that is sent. */
enum proxy_protocol {
    PROXY_PROTOCOL_OFF,
    PROXY_PROTOCOL_V1,
    PROXY_PROTOCOL_V2,
    PROXY_PROTOCOL_ANY
};

enum proxy_header_verdict {
    PROXY_HEADER_WANT_MORE,
    PROXY_HEADER_DONE, /* it was taken off `in` */
    PROXY_HEADER_BAD,  /* not that protocol, or not that version */
};

/* One end of the proxied connection. */
struct proxy_end {
    uint8_t  ip[16];
    size_t   ip_len; /* 4 or 16; 0: not told (a health check, a Unix socket) */
    uint16_t port;
};

struct proxy_header {
    struct proxy_end source;
    struct proxy_end destination;
};

/* TLS of the client, for version 2 (section 2.2.5, PP2_TYPE_SSL). */
struct proxy_header_tls {
    const char *version; /* NULL: no TLS */
    const char *cipher;
    const char *common_name; /* of the client's certificate; NULL: none was shown */
    bool        is_verified;
};

/* Looks for a header in front of `in`. */
enum proxy_header_verdict proxy_header_read(struct proxy_header *out,
                                            enum proxy_protocol wanted, struct bytes *in);

/* Appends a header: V1 or V2. */
void proxy_header_write(struct buf *out, enum proxy_protocol version,
                        const struct proxy_header *header, const struct proxy_header_tls *tls);

#endif

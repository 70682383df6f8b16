/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/opening.h - the first packet of a client: SSLRequest, GSSENCRequest,
 * CancelRequest, StartupMessage, or the first byte of a TLS ClientHello
 *
 * PostgreSQL manual 53.2.1, 53.7 (message formats).  Pure: looks, takes nothing.
 */
#ifndef PGTLS_PG_OPENING_H
#define PGTLS_PG_OPENING_H

#include "base/bytes.h"

enum {
    OPENING_REQUEST_LEN = 8, /* SSLRequest and GSSENCRequest */
    OPENING_MOST = 10004, /* PostgreSQL's own cap for a StartupMessage, length word included */
    CANCEL_LEAST = 16,    /* 4-byte key, protocol 3.0 */
    CANCEL_MOST = 268,    /* 256-byte key, protocol 3.2 */
};

/* What stands where a StartupMessage has its version. */
enum {
    OPENING_CODE_CANCEL = 1234 << 16 | 5678,
    OPENING_CODE_SSL = 1234 << 16 | 5679,
    OPENING_CODE_GSS = 1234 << 16 | 5680,
};

enum opening {
    OPENING_SHORT,       /* not enough yet to tell, or not all of it is there */
    OPENING_SSL,         /* 8 bytes */
    OPENING_GSS,         /* 8 bytes */
    OPENING_CANCEL,      /* a whole CancelRequest is there */
    OPENING_STARTUP,     /* a whole StartupMessage is there, of any protocol version 3.x */
    OPENING_TLS_HELLO,   /* first byte 0x16 */
    OPENING_UNSUPPORTED, /* a whole packet of another protocol version or code: 0A000 */
    OPENING_BAD,         /* not PostgreSQL, or a length out of range */
};

/*
 * What stands at the front of `in`.  A length is judged as soon as its 4 bytes
 * (and the code behind it) are there: nobody waits for a packet that is too long.
 * SSLRequest and GSSENCRequest of another length than 8 are BAD; PostgreSQL takes them.
 */
enum opening opening_peek(struct bytes in);

/* The length of the packet at the front, its length word included.  Not after SHORT, TLS_HELLO
 * or BAD; the same for its code. */
size_t opening_length(struct bytes in);

/* The protocol version or request code at the front: major in the high half. */
uint32_t opening_code(struct bytes in);

#endif

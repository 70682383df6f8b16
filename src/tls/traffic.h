/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/traffic.h - the keys of one direction of TLS 1.3, and what they protect; for tls/ only
 *
 * No pointers: the struct is copied and saved as it is.  Whoever lets go of it wipes it.
 */
#ifndef PGTLS_TLS_TRAFFIC_H
#define PGTLS_TLS_TRAFFIC_H

#include "tls/aeads.h"

/* RFC 8446 5.1 and 5.2 */
#define TLS_HEADER_BYTES    5u
#define TLS_LONGEST_CONTENT 16384u
#define TLS_LONGEST_SEALED  (TLS_LONGEST_CONTENT + 256u)
#define TLS_LONGEST_RECORD  (TLS_HEADER_BYTES + TLS_LONGEST_SEALED)
#define TLS_RECORD_OVERHEAD (TLS_HEADER_BYTES + 1u + TLS_TAG_BYTES)

/* RFC 8446 5: "Implementations MUST NOT send record types not defined in this document". */
enum tls_content {
    TLS_CONTENT_CHANGE_CIPHER_SPEC = 20,
    TLS_CONTENT_ALERT = 21,
    TLS_CONTENT_HANDSHAKE = 22,
    TLS_CONTENT_DATA = 23,
};

struct tls_traffic {
    uint64_t sequence; /* of the next record */
    uint8_t  secret[TLS_LONGEST_SECRET];
    uint8_t  key[TLS_LONGEST_KEY];
    uint8_t  iv[TLS_NONCE_BYTES];
    uint8_t  suite; /* enum tls_suite */
};

/* `secret` and `suite` are set, and the suite is prepared: derives the rest. */
bool tls_traffic_start(struct tls_traffic *traffic, struct tls_aeads *aeads);

/* The next generation of keys; the last one is gone. */
bool tls_traffic_update(struct tls_traffic *traffic, struct tls_aeads *aeads);

void tls_traffic_wipe(struct tls_traffic *traffic, struct tls_aeads *aeads);

/* One record to `to`: plain.len + TLS_RECORD_OVERHEAD bytes.  False: OpenSSL failed, and
 * the sequence number is used up all the same. */
bool tls_traffic_seal(struct tls_traffic *traffic, struct tls_aeads *aeads,
                      enum tls_content type, struct bytes plain, uint8_t *to);

/*
 * Opens a whole record, header first, to `to`, which may be where its body is: what
 * stands there after a failure is garbage.  Writes content, type and padding, and
 * TLS_TAG_BYTES less than the body; `record` must have that much.
 */
bool tls_traffic_open(struct tls_traffic *traffic, struct tls_aeads *aeads, struct bytes record,
                      uint8_t *to);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/held.h - the bytes of one record that could not be passed on yet; for tls/ only
 *
 * A record whose rest has not arrived, or the plaintext of one that its reader had no
 * room for.  Most of the time nothing is held, and no memory either.
 */
#ifndef PGTLS_TLS_HELD_H
#define PGTLS_TLS_HELD_H

#include "tls/traffic.h"

struct tls_held {
    uint8_t *memory; /* NULL while not more than a header is held */
    uint16_t len;    /* of what is held; 0: nothing */
    uint16_t at;     /* plaintext: how much of it was handed out */
    bool     is_plain;
    uint8_t  header[TLS_HEADER_BYTES];
};

void tls_held_free(struct tls_held *held); /* wipes plaintext */

/*
 * Goes on where another one was: a record that is cut, or plaintext.  False: that cannot be, or
 * there is no memory.
 */
bool tls_held_fill(struct tls_held *held, struct bytes bytes, bool is_plain);

/* Takes from `in` what belongs to the header; true once it is complete. */
bool tls_held_header(struct tls_held *held, struct bytes *in);

/* The same for the record behind a complete header.  False: it is not complete, or there is
 * no memory, and then `in` is not empty. */
bool tls_held_record(struct tls_held *held, struct bytes *in);

#endif

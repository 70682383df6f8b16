/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/network.h - networks in CIDR notation: "10.0.0.0/8", "2001:db8::/32", "127.0.0.1"
 */
#ifndef PGTLS_IO_NETWORK_H
#define PGTLS_IO_NETWORK_H

#include "io/address.h"

/* The high bits of an address, IPv4 in its IPv6-mapped form (RFC 4291 section 2.5.5.2). */
struct network {
    uint8_t  bits[16];
    unsigned length; /* 0..128 */
};

/* A single address is a network of its own.  Bits behind the prefix must be zero. */
enum fail network_parse(struct network *out, const char *text, struct failure *why) WARN_UNUSED;

/* Unix sockets are in no network. */
bool network_contains(const struct network *network, const struct address *address);

/* The address as 16 bytes in that form; false for a Unix socket. */
bool network_key(const struct address *address, uint8_t out[static 16]);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/address.h - where a socket is bound or connects to
 *
 * Opaque to everybody above io/: made from text or by the resolver, compared,
 * printed.
 */
#ifndef PGTLS_IO_ADDRESS_H
#define PGTLS_IO_ADDRESS_H

#include "base/bytes.h"
#include "base/fail.h"

#define ADDRESS_TEXT 128 /* enough for "unix:" and the longest socket path */

struct address {
    uint32_t length;
    union {
        uint8_t  storage[128]; /* a struct sockaddr_storage */
        uint64_t align;
    };
};

/* The same in 20 bytes, for who keeps many: without the path of a Unix socket and without the
 * zone of an IPv6 address. */
struct address_brief {
    uint8_t  ip[16];
    uint16_t port;
    uint8_t  ip_len; /* 0: a Unix socket */
    bool     is_set;
};

/* "127.0.0.1:5432", "[::1]:5432" or "unix:/path"; a host name is a failure. */
enum fail address_parse(struct address *out, const char *text, struct failure *why) WARN_UNUSED;

/* "127.0.0.1:5432", "[::1]:5432", "unix:/path"; returns `out`. */
const char *address_format(const struct address *address, char out[static ADDRESS_TEXT]);

/* A numeric host and a port; false where `host` is not a numeric address. */
bool address_from_numeric(struct address *out, const char *host, uint16_t port);

/* Copies a struct sockaddr of `length` bytes, which must fit. */
void address_from_system(struct address *out, const void *sockaddr, size_t length);
void address_set_port(struct address *address, uint16_t port); /* not on Unix sockets */

/* From 4 or 16 bytes of an IP address in network order, and back; back is 0 for a Unix socket.
 */
bool   address_from_ip(struct address *out, const uint8_t *ip, size_t ip_len, uint16_t port);
size_t address_ip(const struct address *address, uint8_t ip[static 16], uint16_t *port);

struct address_brief address_shorten(const struct address *address);
struct address       address_lengthen(const struct address_brief *brief);

bool address_equal(const struct address *a, const struct address *b);
bool address_is_unix(const struct address *address);
bool address_is_loopback(const struct address *address); /* Unix sockets count */

/*
 * Splits "host:port" (or "[v6]:port", or "unix:/path" with *port = 0) without looking
 * anything up.  `host` gets the part before the last colon, brackets removed;
 * for a Unix socket the path.
 */
enum fail address_split(const char *text, char *host, size_t host_size, uint16_t *port,
                        bool *is_unix, struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
#include "io/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define PATH_MOST   (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static sa_family_t family(const struct address *address)
{
    return ((const struct sockaddr *)address->storage)->sa_family;
}

static const struct sockaddr_in *v4(const struct address *address)
{
    return (const struct sockaddr_in *)address->storage;
}

static const struct sockaddr_in6 *v6(const struct address *address)
{
    return (const struct sockaddr_in6 *)address->storage;
}

/* ---- from text ---- */

static bool parse_port(const char *text, uint16_t *port)
{
    char         *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    value = strtoul(text, &end, 10);
    *port = (uint16_t)value;
    return *end == '\0' && value <= UINT16_MAX;
}

static enum fail split_unix(const char *text, char *path, size_t path_size, uint16_t *port,
                            struct failure *why)
{
    size_t length = strlen(text) - strlen(UNIX_PREFIX);

    if (length == 0)
        return fail(why, FAIL_CONFIG, "\"%s\" names no path", text);
    if (length > PATH_MOST || length >= path_size)
        return fail(why, FAIL_CONFIG, "\"%s\": the path has more than %zu bytes", text,
                    PATH_MOST);
    memcpy(path, text + strlen(UNIX_PREFIX), length + 1);
    *port = 0;
    return FAIL_NONE;
}

/* What is before the last colon, without brackets; its text ends at `end`. */
static enum fail split_host(const char *text, const char *end, char *host, size_t host_size,
                            struct failure *why)
{
    size_t length = (size_t)(end - text);
    bool   in_brackets = length >= 2 && text[0] == '[' && end[-1] == ']';

    if (in_brackets) {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        fail(why, FAIL_CONFIG, "\"%s\" has more than one colon", text);
        fail_hint(why, "write an IPv6 address in brackets: [::1]:5432");
        return FAIL_CONFIG;
    }
    if (length == 0) {
        fail_hint(why, "write host:port; 0.0.0.0 is every IPv4 address of this machine");
        return fail(why, FAIL_CONFIG, "\"%s\" names no host", text);
    }
    if (length >= host_size)
        return fail(why, FAIL_CONFIG, "\"%.40s...\": the host name is too long", text);
    memcpy(host, text, length);
    host[length] = '\0';
    return FAIL_NONE;
}

enum fail address_split(const char *text, char *host, size_t host_size, uint16_t *port,
                        bool *is_unix, struct failure *why)
{
    const char *colon = strrchr(text, ':');

    *is_unix = strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    if (*is_unix)
        return split_unix(text, host, host_size, port, why);
    if (colon == NULL || !parse_port(colon + 1, port)) {
        fail(why, FAIL_CONFIG, "\"%s\" does not end in a port from 0 to 65535", text);
        fail_hint(why, "write host:port, [ipv6]:port or unix:/path");
        return FAIL_CONFIG;
    }
    return split_host(text, colon, host, host_size, why);
}

static void from_path(struct address *out, const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    memcpy(name.sun_path, path, strlen(path) + 1);
    address_from_system(out, &name, offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

bool address_from_numeric(struct address *out, const char *host, uint16_t port)
{
    struct sockaddr_in  name4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 name6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (inet_pton(AF_INET, host, &name4.sin_addr) == 1)
        address_from_system(out, &name4, sizeof name4);
    else if (inet_pton(AF_INET6, host, &name6.sin6_addr) == 1)
        address_from_system(out, &name6, sizeof name6);
    else
        return false;
    return true;
}

enum fail address_parse(struct address *out, const char *text, struct failure *why)
{
    char      host[256];
    uint16_t  port;
    bool      is_unix;
    enum fail rc = address_split(text, host, sizeof host, &port, &is_unix, why);

    if (rc != FAIL_NONE)
        return rc;
    if (is_unix)
        from_path(out, host);
    else if (!address_from_numeric(out, host, port)) {
        fail_hint(why, "write an IP address of this machine, or 0.0.0.0 for every one of IPv4 "
                       "and [::] for every one of IPv6");
        return fail(why, FAIL_CONFIG, "\"%s\" is not a numeric address", host);
    }
    return FAIL_NONE;
}

/* ---- from the system ---- */

void address_from_system(struct address *out, const void *sockaddr, size_t length)
{
    assert(length <= sizeof out->storage);
    *out = (struct address){ .length = (uint32_t)length };
    memcpy(out->storage, sockaddr, length);
}

void address_set_port(struct address *address, uint16_t port)
{
    if (family(address) == AF_INET)
        ((struct sockaddr_in *)address->storage)->sin_port = htons(port);
    else if (family(address) == AF_INET6)
        ((struct sockaddr_in6 *)address->storage)->sin6_port = htons(port);
}

/* ---- questions ---- */

/* The peer of a Unix socket usually has no path. */
static const char *format_unix(const struct address *address, char out[static ADDRESS_TEXT])
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)address->storage;
    size_t                    path_at = offsetof(struct sockaddr_un, sun_path);
    size_t                    most = address->length > path_at ? address->length - path_at : 0;

    memcpy(out, UNIX_PREFIX, sizeof UNIX_PREFIX);
    text_escape(out + strlen(UNIX_PREFIX), ADDRESS_TEXT - strlen(UNIX_PREFIX),
                bytes_of(name->sun_path, strnlen(name->sun_path, most)));
    return out;
}

const char *address_format(const struct address *address, char out[static ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN];

    switch (family(address)) {
    case AF_INET:
        inet_ntop(AF_INET, &v4(address)->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(v4(address)->sin_port));
        return out;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6(address)->sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6(address)->sin6_port));
        return out;
    case AF_UNIX: return format_unix(address, out);
    default: snprintf(out, ADDRESS_TEXT, "unknown"); return out;
    }
}

bool address_is_unix(const struct address *address)
{
    return family(address) == AF_UNIX;
}

bool address_is_loopback(const struct address *address)
{
    const struct in6_addr *host6 = &v6(address)->sin6_addr;

    switch (family(address)) {
    case AF_INET: return ntohl(v4(address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(host6) ||
               (IN6_IS_ADDR_V4MAPPED(host6) && host6->s6_addr[12] == IN_LOOPBACKNET);
    case AF_UNIX: return true;
    default: return false;
    }
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->length == b->length && memcmp(a->storage, b->storage, a->length) == 0;
}

bool address_from_ip(struct address *out, const uint8_t *ip, size_t ip_len, uint16_t port)
{
    struct sockaddr_in  in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (ip_len == 4) {
        memcpy(&in4.sin_addr, ip, 4);
        address_from_system(out, &in4, sizeof in4);
    } else if (ip_len == 16) {
        memcpy(&in6.sin6_addr, ip, 16);
        address_from_system(out, &in6, sizeof in6);
    }
    return ip_len == 4 || ip_len == 16;
}

size_t address_ip(const struct address *address, uint8_t ip[static 16], uint16_t *port)
{
    if (family(address) == AF_INET) {
        memcpy(ip, &v4(address)->sin_addr, 4);
        *port = ntohs(v4(address)->sin_port);
        return 4;
    }
    if (family(address) == AF_INET6) {
        memcpy(ip, &v6(address)->sin6_addr, 16);
        *port = ntohs(v6(address)->sin6_port);
        return 16;
    }
    return 0;
}

struct address_brief address_shorten(const struct address *address)
{
    struct address_brief brief = { .is_set = address->length > 0 };

    brief.ip_len = (uint8_t)address_ip(address, brief.ip, &brief.port);
    return brief;
}

struct address address_lengthen(const struct address_brief *brief)
{
    struct address     address = { 0 };
    struct sockaddr_un unnamed = { .sun_family = AF_UNIX };

    if (!brief->is_set || address_from_ip(&address, brief->ip, brief->ip_len, brief->port))
        return address;
    address_from_system(&address, &unnamed, sizeof unnamed.sun_family);
    return address;
}

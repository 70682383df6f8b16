/* SPDX-License-Identifier: PostgreSQL */
#include "io/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MAPPED_BITS 96u /* ::ffff:0:0/96 stands before an IPv4 address */

static void map_v4(const void *v4, uint8_t out[static 16])
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

    memcpy(out, prefix, sizeof prefix);
    memcpy(out + sizeof prefix, v4, 4);
}

bool network_key(const struct address *address, uint8_t out[static 16])
{
    const struct sockaddr *name = (const struct sockaddr *)address->storage;

    if (name->sa_family == AF_INET)
        map_v4(&((const struct sockaddr_in *)name)->sin_addr, out);
    else if (name->sa_family == AF_INET6)
        memcpy(out, &((const struct sockaddr_in6 *)name)->sin6_addr, 16);
    else
        return false;
    return true;
}

static bool bit(const uint8_t *bits, unsigned n)
{
    return (bits[n / 8] >> (7 - n % 8) & 1) != 0;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned length)
{
    unsigned whole = length / 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return length % 8 == 0 || (a[whole] ^ b[whole]) >> (8 - length % 8) == 0;
}

static bool parse_length(const char *text, unsigned most, unsigned *length)
{
    char         *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    value = strtoul(text, &end, 10);
    *length = (unsigned)value;
    return *end == '\0' && value <= most;
}

static enum fail refuse(const char *text, struct failure *why)
{
    fail_hint(why, "write it as \"10.0.0.0/8\" or \"2001:db8::/32\"");
    return fail(why, FAIL_CONFIG, "\"%s\" is not a network", text);
}

enum fail network_parse(struct network *out, const char *text, struct failure *why)
{
    const char *slash = strchr(text, '/');
    size_t      host_length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char        host[INET6_ADDRSTRLEN];
    uint8_t     v4[4];
    unsigned    most = 128, length;

    if (host_length >= sizeof host)
        return refuse(text, why);
    memcpy(host, text, host_length);
    host[host_length] = '\0';
    if (inet_pton(AF_INET, host, v4) == 1) {
        map_v4(v4, out->bits);
        most = 32;
    } else if (inet_pton(AF_INET6, host, out->bits) != 1) {
        return refuse(text, why);
    }
    length = most;
    if (slash != NULL && !parse_length(slash + 1, most, &length))
        return refuse(text, why);
    out->length = most == 32 ? MAPPED_BITS + length : length;
    for (unsigned n = out->length; n < 128; n++)
        if (bit(out->bits, n)) {
            fail_hint(why, "write the network's own address, or a longer prefix");
            return fail(why, FAIL_CONFIG, "\"%s\" has bits behind its prefix", text);
        }
    return FAIL_NONE;
}

bool network_contains(const struct network *network, const struct address *address)
{
    uint8_t key[16];

    return network_key(address, key) && same_prefix(key, network->bits, network->length);
}

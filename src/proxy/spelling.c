/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/spelling.h"

#include "io/address.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* No host name has a space. */
#define THIS_MACHINE "this machine"

/* ---- sockets ---- */

/* Without empty steps, steps to the same folder, and a slash at the end. */
static void tidy_path(char *path)
{
    const char *from = path;
    char       *to = path;

    while (*from != '\0') {
        size_t step = strcspn(from + 1, "/") + 1;

        if (*from != '/') /* a path that is relative */
            step = strcspn(from, "/");
        if (!(step == 1 && *from == '/') && !(step == 2 && memcmp(from, "/.", 2) == 0)) {
            memmove(to, from, step);
            to += step;
        }
        from += step;
    }
    *to = '\0';
}

/* The socket need not be there yet, so it is its folder whose links are followed. */
static void follow_links(char *path, size_t size)
{
    char *name = strrchr(path, '/');
    char  real[PATH_MAX + 128];

    if (name == NULL || name == path)
        return;
    *name = '\0';
    if (realpath(path, real) == NULL) {
        *name = '/';
        return;
    }
    *name = '/';
    snprintf(real + strlen(real), sizeof real - strlen(real), "%s", name);
    if (strlen(real) < size)
        memcpy(path, real, strlen(real) + 1);
}

static void write_socket(char *path, char out[static SPELLING_MOST])
{
    size_t room = SPELLING_MOST - strlen("unix:");

    tidy_path(path);
    memcpy(out, "unix:", sizeof "unix:");
    snprintf(out + strlen("unix:"), room, "%s", path);
    follow_links(out + strlen("unix:"), room);
}

/* ---- hosts ---- */

/* What is connected to at 0.0.0.0 or :: is this machine too. */
static bool is_this_machine(const uint8_t *ip, size_t len)
{
    static const uint8_t any[16], loopback4[] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };

    return memcmp(ip, any, len) == 0 || memcmp(ip, len == 4 ? loopback4 : loopback6, len) == 0;
}

/* An IPv4 address in IPv6's clothes is one. */
static size_t unmap(uint8_t ip[static 16], size_t len)
{
    static const uint8_t prefix[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    if (len != 16 || memcmp(ip, prefix, sizeof prefix) != 0)
        return len;
    memmove(ip, ip + sizeof prefix, 4);
    return 4;
}

static void write_ip(const struct address *address, char out[static SPELLING_MOST])
{
    struct address plain;
    uint8_t        ip[16];
    uint16_t       port = 0;
    size_t         len = unmap(ip, address_ip(address, ip, &port));

    if (is_this_machine(ip, len))
        snprintf(out, SPELLING_MOST, THIS_MACHINE ":%u", port);
    else if (address_from_ip(&plain, ip, len, port))
        address_format(&plain, out);
}

/* RFC 6761 6.3: localhost, and every name that ends in it. */
static bool is_localhost(const char *name)
{
    size_t len = strlen(name), tail = strlen("localhost");

    return len >= tail && strcmp(name + len - tail, "localhost") == 0 &&
           (len == tail || name[len - tail - 1] == '.');
}

static void write_name(char *name, uint16_t port, char out[static SPELLING_MOST])
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower((unsigned char)name[i]);
    if (len > 1 && name[len - 1] == '.')
        name[len - 1] = '\0';
    snprintf(out, SPELLING_MOST, "%s:%u", is_localhost(name) ? THIS_MACHINE : name, port);
}

void spelling_of_server(const char *text, char out[static SPELLING_MOST])
{
    char           host[256];
    struct address address;
    uint16_t       port;
    bool           is_unix;

    if (address_split(text, host, sizeof host, &port, &is_unix, NULL) != FAIL_NONE)
        snprintf(out, SPELLING_MOST, "%s", text);
    else if (is_unix)
        write_socket(host, out);
    else if (address_from_numeric(&address, host, port))
        write_ip(&address, out);
    else
        write_name(host, port, out);
}

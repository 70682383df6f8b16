/* SPDX-License-Identifier: PostgreSQL */
/* From names to a connection: every address of every host is tried. */
#include "doctor/check.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>

#define SLOW_LOOK_UP_US UINT64_C(1000000)

/* ---- resolve ---- */

static void add_address(struct check *check, const struct endpoint *endpoint,
                        const struct address *address)
{
    if (check->address_count < CHECK_ADDRESSES_MOST)
        check->addresses[check->address_count++] = (struct check_address){ endpoint, *address };
}

static void tell_addresses(struct check *check, const struct endpoint *endpoint, size_t first)
{
    char   list[DIAGNOSIS_TEXT] = "", one[ADDRESS_TEXT];
    size_t at = 0;

    for (size_t i = first; i < check->address_count && at + ADDRESS_TEXT < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i > first ? ", " : "",
                               address_format(&check->addresses[i].address, one));
    diagnosis_tell(check->diagnosis, "address", "%s: %s", endpoint->connect_to, list);
}

static void explain_look_up(struct check *check, const struct endpoint *endpoint,
                            const struct failure *why)
{
    bool         is_unknown = why->kind != FAIL_TIMEOUT && why->hint[0] == '\0';
    enum finding finding = is_unknown ? FINDING_NAME_NOT_FOUND : FINDING_RESOLVE_FAILED;
    char         text[DIAGNOSIS_TEXT];

    /* one of several hosts is not the end */
    diagnosis_find_at_most(check->diagnosis, finding,
                           check_severity(check->endpoints.count == 1), "%s: %s",
                           endpoint->connect_to, check_say(why, text));
}

static void look_up(struct check *check, const struct endpoint *endpoint)
{
    struct blocking_addresses found;
    struct failure            why = { 0 };
    size_t                    first = check->address_count;
    uint64_t                  began_us = clock_monotonic_us(), took_us;

    if (blocking_resolve(&found, endpoint->connect_to, endpoint->port,
                         check->options->name_servers, check_deadline(check),
                         &why) != FAIL_NONE) {
        explain_look_up(check, endpoint, &why);
        return;
    }
    took_us = clock_monotonic_us() - began_us;
    for (size_t i = 0; i < found.count; i++)
        add_address(check, endpoint, &found.items[i]);
    tell_addresses(check, endpoint, first);
    if (took_us >= SLOW_LOOK_UP_US)
        diagnosis_find(check->diagnosis, FINDING_RESOLVE_SLOW, "%s: %llu ms",
                       endpoint->connect_to, (unsigned long long)(took_us / 1000));
}

/* libpq: a folder, and in it a socket named by the port. */
static void add_socket(struct check *check, const struct endpoint *endpoint)
{
    struct address address;
    struct failure why = { 0 };
    char           path[sizeof endpoint->connect_to + 32];

    if (check->is_redis)
        snprintf(path, sizeof path, "unix:%s", endpoint->connect_to);
    else
        snprintf(path, sizeof path, "unix:%s/.s.PGSQL.%u", endpoint->connect_to,
                 endpoint->port);
    if (address_parse(&address, path, &why) == FAIL_NONE) {
        add_address(check, endpoint, &address);
        diagnosis_tell(check->diagnosis, "address", "%s", path);
    } else {
        diagnosis_find(check->diagnosis, FINDING_CONNECT_FAILED, "%s", why.text);
    }
}

void step_resolve(struct check *check)
{
    for (size_t i = 0; i < check->endpoints.count; i++) {
        const struct endpoint *endpoint = &check->endpoints.items[i];

        if (endpoint->connect_to[0] == '/')
            add_socket(check, endpoint);
        else
            look_up(check, endpoint);
    }
    check->stops = check->address_count == 0;
    if (check->stops && diagnosis_is_good(check->diagnosis))
        diagnosis_find(check->diagnosis, FINDING_CONNECT_FAILED, "no host has an address");
}

/* ---- connect ---- */

static enum finding fault_of(const struct failure *why)
{
    if (why->kind == FAIL_TIMEOUT || why->errnum == ETIMEDOUT)
        return FINDING_CONNECT_TIMEOUT;
    return why->errnum == ECONNREFUSED ? FINDING_CONNECT_REFUSED : FINDING_CONNECT_FAILED;
}

/* True where the address takes connections. */
static bool try_address(struct check *check, struct check_address *one, struct failure *why)
{
    struct talk talk;
    uint64_t    began_us = clock_monotonic_us();
    enum fail   rc = talk_open(&talk, &one->address, check_deadline(check), why);
    uint64_t    took_us = clock_monotonic_us() - began_us;
    char        text[ADDRESS_TEXT];

    check_close(check, &talk);
    address_format(&one->address, text);
    if (rc == FAIL_NONE)
        diagnosis_tell(check->diagnosis, "connected", "%s in %llu.%llu ms", text,
                       (unsigned long long)(took_us / 1000),
                       (unsigned long long)(took_us / 100 % 10));
    else
        diagnosis_tell(check->diagnosis, "dead", "%s", why->text);
    return rc == FAIL_NONE;
}

void step_connect(struct check *check)
{
    struct failure first = { 0 };

    for (size_t i = 0; i < check->address_count; i++) {
        struct failure why = { 0 };

        if (try_address(check, &check->addresses[i], &why)) {
            if (check->chosen == NULL)
                check->chosen = &check->addresses[i];
        } else if (!failed(&first)) {
            first = why;
        }
    }
    check->stops = check->chosen == NULL;
    if (check->stops)
        diagnosis_find(check->diagnosis, fault_of(&first), "%s", first.text);
    else if (failed(&first))
        diagnosis_find(check->diagnosis, FINDING_CONNECT_SOME_DEAD, "%s", first.text);
}

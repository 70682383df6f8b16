/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/blocking.h - one socket for a program that does one thing at a time
 *
 * Commands that ask a server something (pgtls check, pgtls cert show) wait for each answer;
 * a loop would only turn their order inside out.  Every wait ends at a deadline, a time of
 * clock_monotonic_us().  The proxy never includes this.
 */
#ifndef PGTLS_IO_BLOCKING_H
#define PGTLS_IO_BLOCKING_H

#include "base/buf.h"
#include "io/address.h"
#include "io/clock.h"
#include "io/resolve.h"

struct blocking {
    int fd; /* -1: closed */
};

#define BLOCKING_CLOSED ((struct blocking){ -1 })

/* Failures are FAIL_TIMEOUT at the deadline, else FAIL_IO with the errno. */
enum fail blocking_connect(struct blocking *out, const struct address *address,
                           uint64_t deadline_us, struct failure *why) WARN_UNUSED;

/* All of it.  A peer that is gone is FAIL_CLOSED, with the errno of a reset. */
enum fail blocking_send(const struct blocking *socket, struct bytes data, uint64_t deadline_us,
                        struct failure *why) WARN_UNUSED;

/*
 * Waits for bytes, at least one and at most `at_most`, and appends them.  FAIL_CLOSED at the
 * end of file (errnum 0) and after a reset (ECONNRESET); FAIL_LIMIT where `into` is full.  Past
 * the deadline nothing is received, whatever is there.
 */
enum fail blocking_receive(const struct blocking *socket, struct buf *into, size_t at_most,
                           uint64_t deadline_us, struct failure *why) WARN_UNUSED;

/* Bytes, or an end, are there already or come before the deadline; takes nothing. */
bool blocking_is_readable(const struct blocking *socket, uint64_t deadline_us);

void blocking_close(struct blocking *socket); /* a closed one is fine */

/*
 * Looks a name up: addresses in the order in which to try them, at least one after success.
 * `servers`: name servers to ask ("127.0.0.1:5353,..."), NULL: those of the system.
 */
struct blocking_addresses {
    struct address items[RESOLVE_MOST];
    size_t         count;
};
enum fail blocking_resolve(struct blocking_addresses *out, const char *host, uint16_t port,
                           const char *servers, uint64_t deadline_us,
                           struct failure *why) WARN_UNUSED;

#endif

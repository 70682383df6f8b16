/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/resolve.h - names to addresses without blocking the loop (c-ares)
 */
#ifndef PGTLS_IO_RESOLVE_H
#define PGTLS_IO_RESOLVE_H

#include "io/loop.h"

#define RESOLVE_MOST 16 /* addresses used of one answer */

struct resolver;

struct resolve_request {
    /*
     * The answer: `count` addresses in the order in which to try them, or 0
     * with `why` filled.  The arrays live during the call.  Never from within
     * resolver_start().
     */
    void (*resolved)(struct resolve_request *request, const struct address *addresses,
                     size_t count, const struct failure *why);
    /* the resolver's */
    struct resolver        *resolver;
    struct resolve_lookup  *lookup;
    struct resolve_request *next;
};

/* One a loop, with the name servers of /etc/resolv.conf, now and whenever that changes.  NULL
 * with `why` filled on failure. */
struct resolver *resolver_new(struct loop *loop, struct failure *why);

/* The same of another file, borrowed. */
struct resolver *resolver_new_of(struct loop *loop, const char *file, struct failure *why);
void             resolver_free(struct resolver *resolver); /* no request is under way */

/* Asks these name servers ("127.0.0.1:5353,...") instead of those of /etc/resolv.conf. */
enum fail resolver_use_servers(struct resolver *resolver, const char *servers,
                               struct failure *why) WARN_UNUSED;

/*
 * Looks up `host` (a name or a numeric address; /etc/hosts counts).  The
 * request must stay until it is answered or cancelled.
 */
void resolver_start(struct resolver *resolver, struct resolve_request *request,
                    const char *host, uint16_t port);

/* No answer will come; the request's memory may be reused after this call. */
void resolver_cancel(struct resolve_request *request);

#endif

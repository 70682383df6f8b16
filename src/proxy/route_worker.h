/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/route_worker.h - what one worker makes of a route
 *
 *   SERVING --a newer generation--> RETIRED: accepts no more, its sessions live on
 *       \------------------------> DRAINING: its sessions end between messages
 *
 * Used by its worker's thread only.  It ends with its last conversation.
 */
#ifndef PGTLS_PROXY_ROUTE_WORKER_H
#define PGTLS_PROXY_ROUTE_WORKER_H

#include "proxy/backoff.h"
#include "proxy/generation.h"
#include "proxy/refusals.h"
#include "proxy/verifier_cache.h"
#include "runtime/worker.h"
#include "session/auth_query.h"
#include "tls/context.h"

struct conversation;

enum route_worker_state { ROUTE_SERVING, ROUTE_RETIRED, ROUTE_DRAINING };

struct route_listener {
    struct loop_listener listener;
    struct route_worker *route_worker;
};

/* What auth_query has brought to light for one backend. */
struct route_lookup {
    struct verifier_cache *cache; /* NULL: nothing is remembered, or not any more */
    struct auth_query_keys keys;
};

/* Oldest first. */
struct pending_queue {
    struct conversation  *first;
    struct conversation **end;
};

struct route_worker {
    enum route_worker_state state;
    struct worker          *worker;
    struct generation      *generation; /* held: the route is part of it */
    const struct route     *route;
    struct tls_context     *client_context;   /* NULL: plaintext only */
    struct tls_context    **backend_contexts; /* by the place of a route; NULL: plaintext */
    struct route_lookup    *lookups;          /* by the place of a route */
    struct route_listener  *listeners;
    size_t                  listener_count;
    struct conversation    *conversations;
    struct pending_queue    lingering; /* those that a flood pushes out, and then */
    struct pending_queue    unproved;  /* those */
    struct backoff          backoff;
    struct refusals         refusals;
    uint64_t                flood_told_us; /* limit.reached for a flood: once a second */
    struct loop_timer       drain_deadline;
    /* Not serving any more, and the last conversation ended: it may be freed from here. */
    void (*emptied)(struct route_worker *rw);
    void                *owner;
    struct route_worker *next; /* the owner's */
};

/* For the server of this route, which is the port or one of its hosts. */
struct tls_context *route_worker_backend_context(const struct route_worker *rw,
                                                 const struct route        *route);

/* Of that server. */
struct route_lookup *route_worker_lookup(const struct route_worker *rw,
                                         const struct route        *route);

/* What auth_query has derived of its password for that server. */
void route_worker_forget_keys(struct route_worker *rw, const struct route *route);

struct route_worker_options {
    struct generation  *generation;
    const struct route *route; /* one of it */
    struct worker      *worker;
    struct trust_pool  *pool; /* of its thread: stores that others have too; NULL: own ones */
};

/* NULL with `why` filled on failure. */
struct route_worker *route_worker_new(const struct route_worker_options *options,
                                      struct failure                    *why);
void                 route_worker_free(struct route_worker *rw); /* no conversation is left */

/* Accepts from a socket of the route; at most one call for each of its addresses. */
enum fail route_worker_listen(struct route_worker *rw, int fd, bool shared,
                              struct failure *why) WARN_UNUSED;
void      route_worker_stop_listening(struct route_worker *rw);

/* A newer generation serves instead.  May free `rw` through `emptied`. */
void route_worker_retire(struct route_worker *rw);

/*
 * Stops accepting and ends sessions between messages; what is left at
 * drain_timeout is closed.  May free `rw` through `emptied`.
 */
void route_worker_drain(struct route_worker *rw);

/* Ends everything now; after route_worker_drain(). */
void route_worker_stop(struct route_worker *rw);

/* A conversation ended: the last one may end the route_worker. */
void route_worker_lost_one(struct route_worker *rw);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/route.h - one [[proxy]] of the configuration, loaded and proved
 *
 * A route is immutable but for its counters and shared by all workers.  Each
 * worker has a route_worker: the contexts made from the route's policies, the
 * listeners, and the conversations that run.
 */
#ifndef PGTLS_PROXY_ROUTE_H
#define PGTLS_PROXY_ROUTE_H

#include "proxy/settings.h"
#include "runtime/worker.h"
#include "session/gate.h"
#include "tls/context.h"

#include <stdatomic.h>

struct conversation;

struct route {
    const struct route_settings *settings; /* borrowed */
    enum gate_policy             gate_policy;
    struct tls_policy           *client_policy;  /* NULL: plaintext only */
    struct tls_policy           *backend_policy; /* NULL: plaintext */
    struct bytes                 own_leaf; /* DER of the listener's; borrowed from its policy */
    char                         backend_host[256]; /* name, numeric address, or socket path */
    uint16_t                     backend_port;
    bool                         backend_is_unix;
    struct stream_options        stream_options;
    atomic_uint_fast64_t         sessions;     /* past their startup packet */
    atomic_bool                  binding_told; /* channel_binding was logged */
};

/* Loads certificates, keys and CAs.  NULL: `problems` says why. */
struct route *route_new(const struct route_settings *settings, struct conf_problems *problems);
void          route_free(struct route *route); /* NULL is fine */

/* What would be served, for --check: a few lines for people. */
void route_describe(const struct route *route, struct buf *report);

/* Takes one of max_connections; false where none is left. */
bool route_take_session(struct route *route);
void route_give_session(struct route *route);

struct route_listener {
    struct loop_listener listener;
    struct route_worker *route_worker;
};

struct route_worker {
    struct worker         *worker;
    struct route          *route;
    struct tls_context    *client_context;  /* NULL: plaintext only */
    struct tls_context    *backend_context; /* NULL: plaintext */
    struct route_listener *listeners;
    size_t                 listener_count;
    struct conversation   *conversations;
    bool                   draining;
    struct loop_timer      drain_deadline;
    void (*emptied)(
        struct route_worker *route_worker); /* draining, and the last conversation ended */
};

/* In the worker's thread. */
enum fail route_worker_init(struct route_worker *rw, struct route *route, struct worker *worker,
                            struct failure *why) WARN_UNUSED;
void      route_worker_fini(struct route_worker *rw); /* no conversation is left */

/* Makes room for that many listeners, then accepts from each socket. */
enum fail route_worker_expect_listeners(struct route_worker *rw, size_t count,
                                        struct failure *why) WARN_UNUSED;
enum fail route_worker_listen(struct route_worker *rw, int fd, bool shared,
                              struct failure *why) WARN_UNUSED;

/*
 * Stops accepting and ends sessions between messages; what is left at
 * drain_timeout is closed.  `emptied` tells when none is left.
 */
void route_worker_drain(struct route_worker *rw);

/* Ends everything now; after route_worker_drain(). */
void route_worker_stop(struct route_worker *rw);

#endif

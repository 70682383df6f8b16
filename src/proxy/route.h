/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/route.h - one [[proxy]] of the configuration, loaded and proved
 *
 * A route is immutable, belongs to a generation, and is shared by all workers.
 * What is counted lives longer: the tally goes from a route to the route of the
 * same name in the next generation.  What a worker makes of a route is in
 * proxy/route_worker.h.
 */
#ifndef PGTLS_PROXY_ROUTE_H
#define PGTLS_PROXY_ROUTE_H

#include "base/secret.h"
#include "conf/ident_map.h"
#include "io/loop.h"
#include "io/network.h"
#include "proxy/settings.h"
#include "runtime/cancel_table.h"
#include "runtime/ip_counts.h"
#include "runtime/rate.h"
#include "scram/userlist.h"
#include "session/gate.h"
#include "tls/context.h"

#include <stdatomic.h>

/* Shared by all workers and by every generation of a route; counted. */
struct route_tally {
    atomic_uint          holders;
    atomic_uint_fast64_t sessions;          /* past their startup packet */
    atomic_uint_fast64_t pending;           /* not logged in yet */
    atomic_uint_fast64_t next_source;       /* takes source_address in turn */
    rate                 handshakes;        /* begun */
    rate                 broadcasts;        /* of unknown cancel keys */
    struct source_rate   cancels_by_source; /* whose session is not known here */
    struct ip_counts    *by_ip;
    struct cancel_table *cancels;      /* sessions whose backend is one of several */
    atomic_bool          binding_told; /* channel_binding was logged, for each of its reasons */
    atomic_bool          undefined_told;
    atomic_bool          withheld_told;
    atomic_bool          kernel_told[2]; /* record_layer.refused was logged: server, client */
};

/* One address of the backend, as it is written. */
struct route_target {
    const char *text;
    char        host[256]; /* name, numeric address, or socket path */
    char        name[256]; /* the same without the dot at the end that resolvers take */
    uint16_t    port;
    bool        is_unix;
    const char *verify_name;
    const char *sni;
    uint64_t    id; /* of its text: the same in the next generation */
};

/* A port, or one of its hosts, which is a route of its own with the tally of the port. */
struct route {
    const struct route_settings *settings; /* borrowed from the generation */
    struct route_tally          *tally;
    enum gate_policy             gate_policy;
    struct tls_policy           *client_policy; /* NULL: plaintext only, or hosts have theirs */
    struct tls_policy           *backend_policy; /* NULL: plaintext */
    struct ident_map            *map;            /* NULL: names must equal users */
    const struct userlist       *users;          /* of auth_file; NULL: none */
    struct userlist             *own_users;      /* the same, unless they are the port's */
    const struct secret         *query_password; /* of auth_query_user; NULL or empty: none */
    struct secret                own_query_password;
    struct route_target         *targets; /* in the order to try them */
    size_t                       target_count;
    struct network              *trusted; /* as many as trusted_proxies */
    struct network              *allow;   /* as many as the settings have */
    struct network              *deny;
    struct address              *sources; /* as many as the settings have */
    struct stream_options        stream_options;
    struct route               **hosts; /* of a port */
    size_t                       host_count;
    struct tls_hosts            *names; /* of the hosts; NULL: none */
    size_t                       place; /* 0: a port; n: its n-th host, from 1 */
    size_t backend_count; /* of a port: its own, and those of hosts that have their own */
};

/*
 * Loads certificates, keys and CAs, those that `pool` has already from there.  `before` is the
 * route of the same name that served until now, or NULL.  NULL: `problems` says why.
 */
struct route *route_new(const struct route_settings *settings, const struct route *before,
                        struct trust_pool *pool, struct conf_problems *problems);
void          route_free(struct route *route); /* NULL is fine */

/* Whether a PROXY header is taken from this peer. */
bool route_trusts(const struct route *route, const struct address *peer);

/* What listener.allow and listener.deny say of this client. */
enum admission { ADMITTED, NOT_ALLOWED, DENIED };

enum admission route_admits(const struct route *route, const struct address *client);

/* Of connections in both directions. */
struct stream_options route_stream_options(const struct route_settings *settings);

/* One of handshakes_per_second, at this time; false where none is left. */
bool route_take_handshake(const struct route *route, uint64_t now_us);

#define BROADCASTS_PER_SECOND 10

/* One of those; false where none is left. */
bool route_take_broadcast(const struct route *route, uint64_t now_us);

/*
 * Who guesses keys needs many requests; a client with a hundred queries to cancel at once is
 * served.  One whose session is known needs none of these.
 */
#define CANCELS_PER_SECOND 100

/* One of those of the client's address; false where none is left. */
bool route_take_cancel(const struct route *route, const struct address *client,
                       uint64_t now_us);

/* Those of source_address that are of the family of `to`, in turn; NULL: the system chooses. */
const struct address *route_source(const struct route *route, const struct address *to);

/* Takes one of max_connections; false where none is left. */
bool route_take_session(const struct route *route);
void route_give_session(const struct route *route);

#endif

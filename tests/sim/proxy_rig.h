/* SPDX-License-Identifier: PostgreSQL */
/*
 * sim/proxy_rig.h - one route of the proxy on a simulated network
 *
 * The test plays clients of FRONT and the server at BACK; with TLS: sim/talker.h.
 */
#ifndef PGTLS_SIM_PROXY_RIG_H
#define PGTLS_SIM_PROXY_RIG_H

#include "proxy/route_worker.h"
#include "sim/sim_loop.h"

#define FRONT "10.0.0.1:6432"
#define BACK  "10.0.0.5:5432"

#define SECONDS(n) ((uint64_t)(n)*1000000)

#define STARTUP      BYTES("\0\0\0\x14\0\3\0\0user\0alice\0\0")
#define SSL_REQUEST  BYTES("\0\0\0\x08\x04\xd2\x16\x2f")
#define CANCEL_WIRE  BYTES("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2")
#define AUTH_OK_WIRE BYTES("R\0\0\0\x08\0\0\0\0")
#define KEY_WIRE     BYTES("K\0\0\0\x0c\0\0\0\1\0\0\0\2")
#define READY_WIRE   BYTES("Z\0\0\0\x05I")
#define QUERY_WIRE   BYTES("Q\0\0\0\x0dSELECT 1\0")
#define LOGIN_WIRE   BYTES("R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\1\0\0\0\2Z\0\0\0\x05I")

/* Lines of the configuration, ended by line ends; "" or NULL: none. */
struct rig_route {
    const char *listener;
    const char *address; /* of the backend, as TOML has it; NULL: BACK */
    const char *backend;
    const char *limits;
    bool        is_logged; /* for rig_stop_and_read() */
};

struct proxy_rig {
    struct loop         *loop;
    struct worker        worker;
    struct generation   *generation;
    struct route_worker *rw;     /* NULL once it told that it is empty */
    struct generation   *before; /* of a reload; or NULL */
    struct route_worker *retired;
    int                  log_fd; /* -1: no log */
};

/* `limits` are lines for [proxy.limits]; the rest is a route in the clear from FRONT to BACK.
 */
void rig_start(struct proxy_rig *rig, uint64_t seed, const char *limits);

/* The same with a route of one's own. */
void rig_start_route(struct proxy_rig *rig, uint64_t seed, const struct rig_route *route);

/* Serves the same route by other settings from now on.  At most once. */
void rig_reload(struct proxy_rig *rig, const struct rig_route *route);

/* Ends everything, and checks that nothing is left behind. */
void rig_stop(struct proxy_rig *rig);

/* The same, and returns what was logged, to be freed. */
char *rig_stop_and_read(struct proxy_rig *rig);

/* Whether a line has both. */
bool rig_has_line(const char *log, const char *word, const char *other);

/* Conversations that have not ended. */
size_t rig_conversations(const struct proxy_rig *rig);

/* A client that has logged in, and the server's end of it. */
void rig_log_in(struct proxy_rig *rig, struct sim_peer **client, struct sim_peer **server);

/* Takes what came and tells whether it is exactly this. */
bool rig_got(struct sim_peer *peer, struct bytes expected);

/* What came starts with an ErrorResponse of this SQLSTATE. */
bool rig_got_error(struct sim_peer *peer, const char *sqlstate);
bool rig_is_error(struct bytes got, const char *sqlstate);

#endif

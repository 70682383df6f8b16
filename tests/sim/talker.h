/* SPDX-License-Identifier: PostgreSQL */
/*
 * sim/talker.h - a far end that a test plays, in the clear or in TLS
 *
 * A talker is a peer of the simulation with an engine of our own before it.
 * What it says goes out at once; what it hears comes in talkers_settle().
 */
#ifndef PGTLS_SIM_TALKER_H
#define PGTLS_SIM_TALKER_H

#include "harness/tls_pair.h"
#include "sim/proxy_rig.h"

enum talk_end {
    TALK_OPEN,
    TALK_ENDED,     /* as it should: close_notify, or a FIN in the clear */
    TALK_CUT_SHORT, /* in TLS a FIN without close_notify */
    TALK_RESET,
};

struct talker {
    struct sim_peer   *wire; /* NULL: not there yet */
    struct tls_engine *tls;  /* NULL: in the clear */
    enum tls_verdict   verdict;
    bool               is_secure;
    bool               has_closed;     /* its peer said close_notify */
    struct buf         heard;          /* plaintext */
    struct buf         raw;            /* the same as it was on the wire */
    size_t             largest_record; /* of application data, with its overhead */
    size_t             flip_in;        /* bytes, and then one bit is sent wrong; 0: never */
};

void talker_init(struct talker *talker, struct sim_peer *wire);
void talker_fini(struct talker *talker);

/* From here on in TLS; the engine is taken over.  A client sends its first flight. */
void talker_start_tls(struct talker *talker, struct tls_engine *engine);

void talker_say(struct talker *talker, struct bytes plain);

/* Tells new keys and asks the other end for new ones. */
void talker_update_keys(struct talker *talker);

/* close_notify in TLS, then FIN; it goes on hearing. */
void talker_finish(struct talker *talker);

/* Takes what it heard and tells whether it is exactly this. */
bool talker_heard(struct talker *talker, struct bytes expected);
bool talker_heard_error(struct talker *talker, const char *sqlstate); /* and takes nothing */

enum talk_end talker_end(const struct talker *talker); /* of the other end */

/* Runs the proxy and both (NULL or without a wire: not there) until nothing moves. */
void talkers_settle(struct loop *loop, struct talker *a, struct talker *b);

/* ---- with certificates ---- */

/*
 * A CA; a server's certificate for 10.0.0.5 and alice's, both of it; and
 * another CA with a certificate for 10.0.0.5 and one for bob.  Files are for the proxy.
 */
struct sim_pki {
    struct tls_pki   good;
    struct tls_pki   other;
    struct cert      bob_cert; /* of the good CA */
    struct identity *bob;
    char             tls[512];     /* listener: server_cert and server_key */
    char             mtls[768];    /* the same, and client_ca */
    char             root_ca[256]; /* backend: root_ca, the good one */
    char             shows[512];   /* backend: client_cert and client_key, alice's */
};

/* One for a program, made at its first use; sim_pki_free() at its end. */
const struct sim_pki *sim_pki(void);
void                  sim_pki_free(void);

/* Engines of far ends.  `identity` and `trust` may be NULL. */
struct tls_engine *sim_client_engine(struct identity *identity);
struct tls_engine *sim_server_engine(struct identity *identity, struct trust *trust);

/* The same rig, at a time at which the certificates are valid. */
void sim_start(struct proxy_rig *rig, uint64_t seed, const struct rig_route *route);

/* A client that asked for TLS and has it, with the answer S; `identity` may be NULL. */
void sim_connect_tls(struct proxy_rig *rig, struct talker *client, struct identity *identity);

/* The proxy's next connection to BACK; with TLS it asks for TLS and gets it. */
void sim_accept_clear(struct proxy_rig *rig, struct talker *server);
void sim_accept_tls(struct proxy_rig *rig, struct talker *client, struct talker *server,
                    struct tls_engine *engine);

/* Whether each leg has TLS. */
struct sim_legs {
    bool client;
    bool server;
};

/* A session that has logged in over these legs; both directions are empty. */
void sim_log_in(struct proxy_rig *rig, struct sim_legs legs, struct talker *client,
                struct talker *server);

/* Starts a rig whose listener and backend take and use TLS as `legs` says. */
void sim_start_legs(struct proxy_rig *rig, uint64_t seed, struct sim_legs legs,
                    const char *limits);

#endif

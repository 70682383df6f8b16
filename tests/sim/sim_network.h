/* SPDX-License-Identifier: PostgreSQL */
/*
 * sim/sim_network.h - the inside of the simulation: connections as pairs of
 * peers, doors where they are made, and what is under way between them
 *
 * A peer is the program's where it has a stream, or else the test's.  Peers
 * stay until the loop is freed, so nothing points to a dead one.
 */
#ifndef PGTLS_SIM_NETWORK_H
#define PGTLS_SIM_NETWORK_H

#include "io/loop_backend.h"
#include "sim/sim_loop.h"

#define SIM_NEVER   UINT64_MAX
#define SIM_WATCHES 32

struct sim_queue { /* bytes that arrived and were not taken */
    uint8_t *memory;
    size_t   len;
    size_t   capacity;
};

struct sim_peer {
    struct sim_loop *sim;
    struct sim_peer *other;
    struct stream   *stream;
    struct address   name; /* as the other end sees it */
    int              fd;
    bool             is_closed;
    bool             has_finished; /* its end of file is sent */
    bool             saw_end;
    bool             saw_reset;
    int              reset_error; /* not yet told to a receive: errno */
    struct sim_queue in;
    size_t           in_flight; /* towards `in` */
    size_t           window;
    size_t           piece_most;
    size_t           cut_at;
    size_t           delivered;
    uint64_t         last_us; /* nothing overtakes what arrives then */
    struct sim_peer *next_at_door;
};

struct sim_door {
    struct sim_door      *next;
    char                  name[ADDRESS_TEXT];
    int                   fd; /* -1: the test serves here */
    struct loop_listener *listener;
    enum sim_answer       answer;
    struct sim_peer      *waiting;
    struct sim_peer     **waiting_end;
};

enum sim_happening { SIM_DATA, SIM_END, SIM_RESET, SIM_KNOCK, SIM_CONNECTED, SIM_REFUSED };

struct sim_event {
    struct sim_event  *next;
    uint64_t           at_us;
    enum sim_happening what;
    struct sim_peer   *peer; /* to whom it happens */
    struct sim_door   *door;
    size_t             len;
    uint8_t            data[];
};

struct sim_watch {
    int                fd;
    unsigned           ready;
    struct loop_watch *watch;
};

struct sim_loop {
    struct loop       loop;
    uint64_t          random;
    bool              is_shuffled;
    int64_t           wall_at_start_s;
    uint64_t          turns;
    uint64_t          delay_us;
    bool              has_random_cuts;
    size_t            piece_most; /* 0: uncut */
    int               accept_error;
    unsigned          accept_failures;
    struct sim_event *events; /* by time, then in the order in which they were made */
    struct sim_door  *doors;
    struct sim_peer **peers;
    size_t            peer_count;
    struct sim_watch  watches[SIM_WATCHES];
};

static inline struct sim_loop *sim_of(struct loop *loop)
{
    return container_of(loop, struct sim_loop, loop);
}

void    *sim_allocate(void *old, size_t size);
uint64_t sim_random(struct sim_loop *sim, uint64_t below);

/* ---- sim_network.c ---- */

struct sim_door *sim_door_at(struct sim_loop *sim, const char *name); /* NULL: none */
struct sim_door *sim_door_make(struct sim_loop *sim, const char *name);

struct sim_peer *sim_door_take(struct sim_door *door); /* who waits there; NULL: nobody */

struct sim_peer *sim_pair(struct sim_loop *sim);            /* the near end */
struct sim_peer *sim_peer_of(struct sim_loop *sim, int fd); /* NULL: none */

void   sim_happen(struct sim_peer *peer, enum sim_happening what, struct sim_door *door,
                  struct bytes data, uint64_t delay_us);
void   sim_network_arrive(struct sim_loop *sim);   /* all that is due */
size_t sim_peer_room(const struct sim_peer *peer); /* for what its other end sends */
void   sim_peer_push(struct sim_peer *peer, struct bytes data); /* to its other end */
void   sim_peer_end(struct sim_peer *peer);
void   sim_peer_close(struct sim_peer *peer, bool abort);
void   sim_queue_skip(struct sim_queue *queue, size_t n);
void   sim_network_free(struct sim_loop *sim);

/* ---- sim_stream.c ---- */

extern const struct loop_stream_ops sim_stream_ops;

bool sim_stream_is_ready(const struct sim_peer *peer); /* something to do for its stream */
void sim_stream_serve(struct sim_peer *peer);

#endif

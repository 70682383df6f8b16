/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/relay.h - a session after login: two pipes and where the server stands
 *
 * Pure book-keeping; the bytes themselves move in proxy/.  Each direction is a
 * pipe of its own, so that half-close is a state and not a flag:
 *
 *   FLOWING --source ended--> FLUSHING --sink has it all--> FINISHED
 *
 * The relay reads nothing but message headers from server to client (WIRE T23).
 */
#ifndef PGTLS_SESSION_RELAY_H
#define PGTLS_SESSION_RELAY_H

#include "pg/frame.h"

enum pipe_state { PIPE_FLOWING, PIPE_FLUSHING, PIPE_FINISHED };

struct pipe {
    enum pipe_state state;
    uint64_t        bytes; /* of plaintext */
};

struct relay {
    struct pipe         to_server;
    struct pipe         to_client;
    struct frame_hopper hopper;
    bool                in_step; /* the hopper knows where messages begin */
    bool                waiting; /* the client sent something since the last ReadyForQuery */
    uint64_t            ready_before; /* ReadyForQuery count when the client last sent */
};

/* Starts behind the ReadyForQuery that ended the login, which had `status`. */
void relay_init(struct relay *relay, uint8_t status);

/* Accounts for bytes that pass on. */
void relay_from_client(struct relay *relay, size_t bytes);
void relay_from_server(struct relay *relay, struct bytes data);

/* Moves a pipe on; asserts that the step is in the drawing. */
void pipe_move(struct pipe *pipe, enum pipe_state next);
bool relay_is_finished(const struct relay *relay);

uint64_t relay_queries(const struct relay *relay);

/* A message to the client may be put in here. */
bool relay_is_between(const struct relay *relay);

/* The server said ReadyForQuery outside a transaction and the client has sent nothing since. */
bool relay_is_idle(const struct relay *relay);

#endif

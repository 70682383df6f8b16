/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/relay.h - a session after login: two pipes and where the server stands
 *
 * Pure book-keeping; the bytes themselves move in proxy/.  Each direction is a
 * pipe of its own, so that half-close is a state and not a flag:
 *
 *   FLOWING --source ended--> FLUSHING --sink has it all--> FINISHED
 *
 * The relay reads nothing but message headers: an error of ours inside a message would break
 * the stream.
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
    struct frame_hopper client;  /* what the client sent since its startup packet */
    struct frame_hopper server;  /* what the server sent since the login */
    bool                in_step; /* both hoppers know where messages begin */
};

/* Starts behind the startup packet. */
void relay_init(struct relay *relay);

/* The login ended with a ReadyForQuery of this status. */
void relay_logged_in(struct relay *relay, uint8_t status);

/* Account for bytes that pass on; those of the server from behind the login only. */
void relay_from_client(struct relay *relay, struct bytes data);
void relay_from_server(struct relay *relay, struct bytes data);

/* Moves a pipe on; asserts that the step is in the drawing. */
void pipe_move(struct pipe *pipe, enum pipe_state next);
bool relay_is_finished(const struct relay *relay);

uint64_t relay_queries(const struct relay *relay); /* that ended */

/* The client said that it is done. */
bool relay_client_is_done(const struct relay *relay);

/* A message to the client may be put in here. */
bool relay_is_between(const struct relay *relay);

/* The server has something to answer. */
bool relay_is_asked(const struct relay *relay);

/* It has, or the client is in the middle of a message. */
bool relay_is_busy(const struct relay *relay);

/* Not busy, and outside a transaction. */
bool relay_is_idle(const struct relay *relay);

#endif

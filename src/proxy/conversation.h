/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/conversation.h - one client, from accept to the last byte
 *
 * ACCEPTED: nothing was sent yet     OPENING: before or inside TLS, until the
 * startup packet     ...the drawing:
 *
 *   ACCEPTED --byte--> OPENING <--> CLIENT_TLS
 *                         | startup packet, or cancel request
 *                         v
 *       RESOLVING --> CONNECTING --> ASKING --S--> BACKEND_TLS
 *                      ^  | next address   |             |
 *                      \--/                v             v
 *                         in the clear: LOGIN or CANCELLING
 *                                          | ReadyForQuery
 *                                          v
 *                                       RELAYING
 *   from each: ENDING (last words are on their way) and CLOSED
 *
 * The files beside this one hold the handlers, by what is waited for: arrival.c (the client,
 * until its startup packet), backend.c (which of the next ones has the word of the server),
 * dialing.c (a connection to one of its addresses), greeting.c (PROXY header and TLS),
 * looking_up.c, logging_in.c with bridging.c, or cancelling.c, and relaying.c (the session).
 * It knows the loop only through io/loop.h: tests/sim runs it on a virtual clock.
 */
#ifndef PGTLS_PROXY_CONVERSATION_H
#define PGTLS_PROXY_CONVERSATION_H

#include "proxy/route_worker.h"

struct conversation;

/* Takes over the connection.  Out of memory: it is closed. */
void conversation_start(struct route_worker *rw, struct loop_accepted accepted);

struct conversation *conversation_next(const struct conversation *conversation);

/* Ends it between messages: at once where it is idle, else as soon as it is. */
void conversation_drain(struct conversation *conversation);

/* Ends it now: with 57P01 where the server stands between messages, else without a word. */
void conversation_stop(struct conversation *conversation);

#endif

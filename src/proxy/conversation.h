/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/conversation.h - one client, from accept to the last byte
 *
 * ACCEPTED: nothing was sent yet     OPENING: before or inside TLS, until the
 * startup packet     ...the drawing:
 *
 *   ACCEPTED --byte--> OPENING <--> CLIENT_TLS
 *                         | startup packet        \ cancel request
 *                         v                        v
 *       RESOLVING --> CONNECTING --> ASKING      CANCELLING: until its errands are over
 *                      ^  | next address |
 *                      \--/             S v
 *                                    BACKEND_TLS
 *                                        |
 *                                        v
 *                      at once in the clear: LOGIN, of an errand CANCEL_SENT
 *                                        | ReadyForQuery
 *                                        v
 *                                     RELAYING
 *   from each: ENDING (last words are on their way) and CLOSED
 *
 * An errand is a conversation without a client, which carries a cancel request to one server.
 *
 * Three files hold it together: conversation.c (its states and their limits),
 * conversation_begin.c and conversation_end.c.  The others hold the handlers, by what is waited
 * for; client.c and backend.c tell which of them has the word of which side: arrival.c (the
 * client, until its startup packet), pending.c (as long as it has not logged in), dialing.c (a
 * connection to one of its addresses), greeting.c (PROXY header and TLS), looking_up.c,
 * logging_in.c with bridging.c, and relaying.c (the session); for cancel requests cancelling.c
 * and errand.c. It knows the loop only through io/loop.h: tests/sim runs it on a virtual clock.
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

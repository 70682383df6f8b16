/* SPDX-License-Identifier: PostgreSQL */
/*
 * sim/sim_loop.h - a loop on a virtual clock and a virtual network
 *
 * The program under test uses loop.h as always.  The test plays the far ends:
 *
 *     loop = sim_loop_new(1);
 *     sim_serve(loop, "10.0.0.5:5432", SIM_ACCEPTS);      a server for stream_connect()
 *     fd = sim_listen(loop, "10.0.0.1:6432");             for loop_listener_start()
 *     client = sim_connect(loop, "10.0.0.1:6432");        a client
 *     sim_write(client, BYTES("hello"));
 *     sim_settle(loop);                                    the program runs
 *     server = sim_accept(loop, "10.0.0.5:5432");
 *     assert sim_received(server) ...
 *
 * Time stands still while the program computes and jumps to the next event when
 * it waits.  The same seed gives the same run; another seed serves connections
 * in another order.  A stream_connect() to a sim_listen() address works as well:
 * then the program plays both ends.
 *
 * Out of memory ends the test.  Nothing here is counted by harness/alloc.h.
 * Names are not looked up on this network: give the resolver numeric addresses.
 */
#ifndef PGTLS_SIM_LOOP_H
#define PGTLS_SIM_LOOP_H

#include "io/loop.h"

/* Free it with loop_free(): every peer goes with it. */
struct loop *sim_loop_new(uint64_t seed);

/* ---- running ---- */

/* Runs until nothing more will happen within a millisecond of virtual time, or loop_stop(). */
void sim_settle(struct loop *loop);

/* Lets `us` of virtual time pass. */
void sim_run_for(struct loop *loop, uint64_t us);

/* One turn, however far in time.  False: nothing will ever happen by itself.
 * (loop_run() returns then.) */
bool sim_turn(struct loop *loop);

uint64_t sim_turns(const struct loop *loop); /* how many there were: spinning shows here */

void sim_set_wall(struct loop *loop, int64_t seconds); /* the date; it goes on from there */

/* ---- the network ---- */

/* Every byte, connection and reset takes `us` to arrive, from now on.  At first 0. */
void sim_set_delay(struct loop *loop, uint64_t us);

/* Each `received` brings a random part of what is there. */
void sim_set_random_cuts(struct loop *loop, bool random);

/* Each `received` brings at most `n` bytes; 0: uncut. */
void sim_set_piece(struct loop *loop, size_t n);

/* A descriptor for loop_listener_start(). */
int sim_listen(struct loop *loop, const char *address);

/* The next `times` accepts fail with `error`. */
void sim_fail_accepts(struct loop *loop, int error, unsigned times);

/* What a stream_connect() to `address` meets; where nothing is said, SIM_REFUSES. */
enum sim_answer { SIM_ACCEPTS, SIM_REFUSES, SIM_IS_SILENT };
void sim_serve(struct loop *loop, const char *address, enum sim_answer answer);

/* What foreign descriptors given to loop_watch_start() are: a set of LOOP_READABLE ... */
void sim_set_ready(struct loop *loop, int fd, unsigned what);

/* ---- peers: far ends that the test plays ---- */

struct sim_peer;

/* A client of an address of sim_listen(); NULL where nobody listens. */
struct sim_peer *sim_connect(struct loop *loop, const char *address);

/* The same from a numeric address of one's own; the others share one. */
struct sim_peer *sim_connect_from(struct loop *loop, const char *address, const char *from);

/* The next connection that the program made to an address of sim_serve(); NULL: none. */
struct sim_peer *sim_accept(struct loop *loop, const char *address);

void sim_write(struct sim_peer *peer, struct bytes data); /* copied; never blocks */
void sim_finish(struct sim_peer *peer);                   /* end of file, still reading */
void sim_close(struct sim_peer *peer);                    /* as close(2) */
void sim_reset(struct sim_peer *peer);

/* What came from the program and was not taken, until the next call of the loop. */
struct bytes sim_received(const struct sim_peer *peer);
void         sim_take(struct sim_peer *peer, size_t n);
bool         sim_saw_end(const struct sim_peer *peer);
bool         sim_saw_reset(const struct sim_peer *peer);

/* Where the other end is: the source that the program bound, or one of the system's choice. */
const struct address *sim_far_name(const struct sim_peer *peer);

/* Of what the peer wrote, how many bytes the program has not taken yet. */
size_t sim_untaken(const struct sim_peer *peer);

/* The program may have so many bytes under way or untaken; more of them wait.  At first
 * there is no such limit. */
void sim_set_window(struct sim_peer *peer, size_t bytes);

/* What the peer writes comes in pieces of at most `n` bytes; 0: uncut. */
void sim_cut(struct sim_peer *peer, size_t n);

/* No piece crosses `offset`, counted from the first byte that the peer writes. */
void sim_cut_at(struct sim_peer *peer, size_t offset);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/worker.h - one event loop in one thread, and what it owns
 *
 * Workers share nothing on the data path.  Everything here is used by the
 * worker's own thread only; others reach it with worker_post().
 */
#ifndef PGTLS_RUNTIME_WORKER_H
#define PGTLS_RUNTIME_WORKER_H

#include "io/loop.h"
#include "io/resolve.h"
#include "runtime/buffers.h"
#include "runtime/log.h"
#include "runtime/slab.h"
#include "tls/aeads.h"

#include <pthread.h>

struct worker {
    unsigned          index;
    struct log       *log;
    struct loop      *loop;
    struct resolver  *resolver;
    struct buffers    buffers;
    struct slab       conversations;
    struct slab       approaches;      /* of those that have not logged in yet */
    struct tls_aeads *aeads;           /* for tls_context_share() */
    uint64_t          next_connection; /* ids differ between workers: see worker_new_id */
    uint64_t          id_step;
    pthread_t         thread;
};

/* Makes what a worker owns around `loop`, which it takes over; for the calling thread. */
enum fail worker_init(struct worker *worker, unsigned index, unsigned of, struct loop *loop,
                      struct log *log, struct failure *why) WARN_UNUSED;
void      worker_fini(struct worker *worker);

/*
 * Starts a thread with a loop of its own (io_uring wants its ring made there)
 * and waits until it runs.  worker_stop() ends the loop from any thread and joins.
 */
enum fail worker_start(struct worker *worker, unsigned index, unsigned of, enum loop_kind kind,
                       struct log *log, struct failure *why) WARN_UNUSED;
void      worker_stop(struct worker *worker);

/* Runs `task` in the worker's thread. */
void worker_post(struct worker *worker, struct loop_task *task);

/* Runs `task` in the worker's thread and waits for it. */
void worker_call(struct worker *worker, struct loop_task *task);

/* An id for a connection, unique within the process. */
uint64_t worker_new_id(struct worker *worker);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/station.h - one worker, and the routes it serves
 *
 * Every call is made by the control thread and carried out in the worker's.  A new
 * generation comes in two steps: all workers prepare, and only if each of them
 * could, all commit.
 */
#ifndef PGTLS_PROXY_STATION_H
#define PGTLS_PROXY_STATION_H

#include "proxy/listening.h"
#include "proxy/route_worker.h"

struct station {
    struct worker        worker;
    struct route_worker *routes;   /* of every generation that is still in use */
    struct route_worker *prepared; /* of the next one */
    bool                 is_running;
    bool                 is_draining;
    /* Draining, and the last conversation ended; in the worker's thread. */
    void (*emptied)(struct station *station);
};

/* Starts the worker's thread; `emptied` is set before. */
enum fail station_start(struct station *station, unsigned index, unsigned of,
                        enum loop_kind kind, struct log *log, struct failure *why) WARN_UNUSED;
void      station_end(struct station *station); /* no conversation is left; joins the thread */

/* Builds the TLS contexts; on failure what was prepared is freed again. */
enum fail station_prepare(struct station *station, struct generation *generation,
                          struct failure *why) WARN_UNUSED;
void      station_forget_prepared(struct station *station);

/*
 * Accepts for the prepared generation from now on.  Sessions live on, but for
 * those of routes that are gone: they drain.
 */
enum fail station_commit(struct station *station, const struct generation *generation,
                         const struct listening *listening, struct failure *why) WARN_UNUSED;

/* Accepts nothing more; what it listened on may be closed then. */
void station_stop_listening(struct station *station);

/* These two do not wait: `emptied` tells. */
void station_drain(struct station *station);
void station_stop(struct station *station);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * runtime/signals.h - signals as events of the control loop
 *
 * SIGTERM and SIGINT ask to stop, SIGHUP to reload.  SIGPIPE is ignored: a send to a peer that
 * is gone is an error of that send.
 */
#ifndef PGTLS_RUNTIME_SIGNALS_H
#define PGTLS_RUNTIME_SIGNALS_H

#include "io/loop.h"

struct signals {
    /* set before signals_start() */
    void (*stop_requested)(struct signals *signals);
    void (*reload_requested)(struct signals *signals);
    struct loop      *loop;  /* ours */
    struct loop_watch watch; /* ours */
};

/* Blocks the signals in this thread, and so in every thread that it starts from here on. */
void signals_block(void);

/* Whether one that asks to stop has come and waits to be told: who keeps the control thread
 * from its loop for long gives up then. */
bool signals_stop_waits(void);

/* They come through `loop`; after signals_block(). */
enum fail signals_start(struct signals *signals, struct loop *loop,
                        struct failure *why) WARN_UNUSED;
void      signals_stop(struct signals *signals);

#endif

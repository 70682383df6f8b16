/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/name_channel.h - c-ares on a loop, with the name servers of one reading of a file
 *
 * What is asked of it is counted by its owner, since c-ares does not give up the servers it has
 * while it waits for them.
 */
#ifndef PGTLS_IO_NAME_CHANNEL_H
#define PGTLS_IO_NAME_CHANNEL_H

#include "io/loop.h"

#include <ares.h>

struct name_channel {
    struct loop         *loop;
    ares_channel         ares;
    struct loop_timer    timeout; /* when c-ares wants to be called */
    struct name_socket  *sockets;
    struct name_channel *next;  /* the owner's */
    size_t               asked; /* the owner's: not answered yet */
};

/* `file`: as /etc/resolv.conf; one that is not there means a server of this machine.  NULL with
 * `why` filled on failure. */
struct name_channel *name_channel_new(struct loop *loop, const char *file, struct failure *why);

/* What is still asked is answered with ARES_EDESTRUCTION.  Never from within an answer. */
void name_channel_free(struct name_channel *channel);

/* Behind each question: c-ares may want to be called sooner. */
void name_channel_rearm(struct name_channel *channel);

#endif

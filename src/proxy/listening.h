/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/listening.h - the sockets that a configuration listens on
 *
 * They belong to the control thread.  A socket goes from one configuration to the
 * next where the address stays, so that no client waiting in its queue is lost:
 * the kernel drops it with the socket.
 */
#ifndef PGTLS_PROXY_LISTENING_H
#define PGTLS_PROXY_LISTENING_H

#include "io/address.h"
#include "proxy/settings.h"

/* One bind_address: a socket for each worker, or one that they share; counted. */
struct bound;

struct listening {
    struct listening_entry {
        const struct route_settings *route; /* borrowed */
        struct bound                *bound;
    } * entries;
    size_t count;
};

/*
 * Binds what is not bound in `before` (NULL: nothing is).  Any failure is a
 * problem of its route, and nothing new stays bound.
 */
struct listening *listening_open(const struct proxy_settings *settings,
                                 const struct listening *before, unsigned workers,
                                 struct conf_problems *problems);

/* Closes every socket that no other listening holds; no loop accepts from them any more. */
void listening_close(struct listening *listening); /* NULL is fine */

/* Warns of Unix sockets whose files this process cannot remove at the end. */
void listening_warn_of_leftovers(const struct listening *listening,
                                 struct conf_problems   *problems);

/* The socket for one worker, and whether others accept from it too. */
int  listening_fd(const struct listening_entry *entry, unsigned worker);
bool listening_is_shared(const struct listening_entry *entry);

/* Where it listens; tells the port where 0 was asked for. */
void listening_address(const struct listening_entry *entry, char out[static ADDRESS_TEXT]);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/socket.h - listening sockets and the limit of open files
 */
#ifndef PGTLS_IO_SOCKET_H
#define PGTLS_IO_SOCKET_H

#include "io/address.h"

struct stream_options;

struct socket_options {
    bool        reuse_port; /* one of several sockets on this address (SO_REUSEPORT) */
    unsigned    unix_mode;  /* mode of a Unix socket's file, for instance 0660 */
    const char *unix_user;  /* whose the file becomes; NULL: as it is */
    const char *unix_group; /* NULL: that of unix_user, or as it is */
    int         backlog;
    /* of connections, from the first that waits to be accepted on; NULL: the system's */
    const struct stream_options *connections;
};

/*
 * Binds and listens.  A stale Unix socket file (nobody accepts there) is
 * removed first; one that is in use, or a file of another kind, is a failure.
 * "address in use" gets a hint.  *fd is the caller's, to be closed with
 * socket_close() or, for a Unix socket, socket_close_and_unlink().
 */
enum fail socket_listen(int *fd, const struct address *address,
                        const struct socket_options *options, struct failure *why) WARN_UNUSED;
void      socket_close(int fd);
void      socket_close_and_unlink(int fd, const struct address *address);

/* Whether the file of a Unix socket can be removed by this process: its folder says. */
bool socket_may_unlink(const struct address *address);

/*
 * Whether something else listens at `address` already.  With SO_REUSEPORT a second
 * process of the same user could bind beside us without an error, and each would
 * get half of the clients.
 */
bool socket_address_in_use(const struct address *address);

/* The address a listening socket got: tells the port where 0 was asked for. */
enum fail socket_local_address(int fd, struct address *out, struct failure *why) WARN_UNUSED;

/*
 * Raises the limit of open files to at least `wanted` where the hard limit
 * allows it, and returns the limit that holds now.
 */
uint64_t socket_raise_open_files(uint64_t wanted);

#endif

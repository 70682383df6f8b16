/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/stream_socket.h - what the sockets of streams have in common, whatever
 * loop they belong to; for the backends only
 */
#ifndef PGTLS_IO_STREAM_SOCKET_H
#define PGTLS_IO_STREAM_SOCKET_H

#include "io/loop.h"

/* Options for what a listening socket accepts, and none of those that it had before: each
 * connection inherits them, which saves five system calls. */
void stream_socket_listens(int fd, const struct stream_options *options);

/*
 * Makes a socket that does not block and starts to connect it.  *fd is the caller's;
 * *error is 0 where it is connected already, EINPROGRESS where poll() will tell, or
 * why it is not.
 */
enum fail stream_socket_connect(int *fd, int *error, const struct address *address,
                                const struct stream_options *options,
                                struct failure              *why) WARN_UNUSED;

/* How connecting ended: 0 or an errno. */
int stream_socket_connect_error(int fd);

/* Our end's address; loop_stream_ops. */
bool stream_socket_local_address(const struct stream *stream, struct address *out);

/* What the kernel still holds is thrown away when the last holder closes it. */
void stream_socket_will_reset(int fd);

/* For send(): the last segment is not sent before its FIN is there. */
int stream_socket_send_flags(const struct stream *stream);

/* Sends the end of file; loop_stream_ops. */
void stream_socket_shutdown(struct stream *stream);

/* A send failed: nobody may find the connection alive.  Queues the completion. */
void stream_socket_send_failed(struct stream *stream, int error);

/* What a receive that found the end tells: the error that a send took away, or 0. */
int stream_socket_error_at_end(const struct stream *stream);

#endif

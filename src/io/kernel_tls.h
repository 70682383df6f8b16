/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/kernel_tls.h - a socket whose records the kernel protects (kTLS)
 *
 * The facts are those of Documentation/networking/tls.rst and net/tls of Linux.  Nothing here
 * knows what a record is about: keys are bytes for setsockopt(), records are a type and bytes.
 */
#ifndef PGTLS_IO_KERNEL_TLS_H
#define PGTLS_IO_KERNEL_TLS_H

#include "base/bytes.h"
#include "base/fail.h"

#include <sys/types.h>

/* As they pass through a stream (io/loop.h): type, 3, 3, length; then the content. */
#define KERNEL_TLS_HEADER 5u

/* A record that carries more is not TLS. */
#define KERNEL_TLS_CONTENT_MOST 16384u

/* No record: see stream_events.key, and kernel_tls_receive(). */
enum { KERNEL_TLS_KEY = 0, KERNEL_TLS_ERROR = 1 };

/* Makes keys possible; nothing changes before there are some.  0 or an errno. */
int kernel_tls_attach(int fd);

/* The first key of a direction, or the next one.  0 or an errno: EBUSY from a kernel older than
 * 6.14, which takes but one. */
int kernel_tls_set_key(int fd, bool sends, struct bytes keys);

/* One record, or its beginning: how many bytes of it, or -1 and errno. */
ssize_t kernel_tls_send(int fd, uint8_t type, struct bytes content);

/*
 * Receives records of one type, as frames: how many bytes they are, 0 at the end of file, -1
 * and errno.  `room` is at least KERNEL_TLS_HEADER + KERNEL_TLS_CONTENT_MOST.  Where the kernel
 * cannot read on, that is a frame too, KERNEL_TLS_ERROR with the errno in two bytes, and
 * sending goes on.
 */
ssize_t kernel_tls_receive(int fd, uint8_t *to, size_t room);

/* ---- what this kernel can do ---- */

struct kernel_tls_trial {
    struct bytes keys; /* of the cipher in question */
    bool         sends, receives;
};

struct kernel_tls_answer {
    int         error;   /* 0, or why there is nothing to try with */
    const char *refusal; /* the same in words, and what to do; static */
    const char *hint;
    bool        rekeys;
};

/* Tries each on a connection over loopback. */
struct kernel_tls_answer kernel_tls_probe(struct kernel_tls_trial *trials, size_t count);

#endif

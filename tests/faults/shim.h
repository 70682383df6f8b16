/* SPDX-License-Identifier: PostgreSQL */
/*
 * tests/faults/shim.h - what the files of the shim share
 */
#ifndef PGTLS_FAULTS_SHIM_H
#define PGTLS_FAULTS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

enum call {
    CALL_ACCEPT,
    CALL_SOCKET,
    CALL_CONNECT,
    CALL_GETSOCKOPT,
    CALL_SETSOCKOPT,
    CALL_RECV,
    CALL_SEND,
    CALL_SHUTDOWN,
    CALL_CLOSE,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_RING_ENTER,
    CALL_RING_OPERATION,
    CALLS
};

/* 0: let it be; else a number to choose the fault by. */
uint64_t fate(enum call call);

int choose(uint64_t number, const int *errors, size_t count);

#define CHOOSE(number, ...)                                                                    \
    choose(number, (const int[]){ __VA_ARGS__ },                                               \
           sizeof(const int[]){ __VA_ARGS__ } / sizeof(int))

void  be_late(uint64_t number); /* three milliseconds at the most */
void *real(const char *name);

/* The next definition of the function that this line stands in. */
#define REAL(name) ((__typeof__(&name))real(#name))

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/loop_uring.h - the io_uring backend: the kernel receives and sends, all
 * that a turn asked for is submitted in the one call that waits; private to
 * loop_uring*.c
 *
 * A stream's operation is first *wanted*: the stream stands in a queue until
 * the loop is about to wait, and the operations go into the ring then, so that
 * nothing called from above can find the ring full.  A send that is submitted
 * with the wait does not hand the processor to the peer it wakes, which is
 * where io_uring saves a third of a query on a busy machine.  One that is alone
 * in its turn leaves at once instead.
 *
 * Receives are single ones into buffers that belong to the loop: a direction
 * is received from when its owner asks, and an idle connection holds none.  At
 * most one receive and one send of a stream are in the ring, so bytes stay in
 * order.  The ring names streams by address: a stream's memory is given back
 * (`closed`) when the ring has nothing of it any more, in one place.
 *
 * Listeners, watches and posts stay with the epoll descriptor that is embedded,
 * of which the ring tells that it is ready.
 */
#ifndef PGTLS_IO_LOOP_URING_H
#define PGTLS_IO_LOOP_URING_H

#include "io/loop.h"

/* NULL with `why` filled where the kernel has no io_uring, lets us not use it, or lacks a part.
 */
struct loop *loop_uring_new(struct failure *why);

#endif

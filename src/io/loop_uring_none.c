/* SPDX-License-Identifier: PostgreSQL */
/* In place of the io_uring backend, where the program was built without liburing. */
#include "io/loop_uring.h"

struct loop *loop_uring_new(struct failure *why)
{
    fail(why, FAIL_IO, "io_uring: this program was built without liburing");
    return NULL;
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/clock.h - the time, for whoever has no loop
 *
 * What runs on a loop asks it instead (loop_now_us), except for log lines.
 */
#ifndef PGTLS_IO_CLOCK_H
#define PGTLS_IO_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970. */
uint64_t clock_wall_us(void);

/* Microseconds of a clock that nobody sets. */
uint64_t clock_monotonic_us(void);

#endif

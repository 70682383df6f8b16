/* SPDX-License-Identifier: PostgreSQL */
/*
 * io/clock.h - the time of day, for log lines
 *
 * Everything that depends on time asks the loop instead (loop_now_us).
 */
#ifndef PGTLS_IO_CLOCK_H
#define PGTLS_IO_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970. */
uint64_t clock_wall_us(void);

#endif

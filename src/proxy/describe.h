/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/describe.h - what a generation would serve, for `pgtls proxy --check`
 */
#ifndef PGTLS_PROXY_DESCRIBE_H
#define PGTLS_PROXY_DESCRIBE_H

#include "base/buf.h"
#include "proxy/generation.h"

/* Routes, and a table of everything that they loaded.  False when out of memory. */
bool describe_generation(const struct generation *generation, struct buf *report);

#endif

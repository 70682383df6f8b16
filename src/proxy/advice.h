/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/advice.h - what `pgtls proxy --check` warns of, and a start does not
 *
 * Nothing here keeps a route from being served, and none of it can be known for certain: what
 * a certificate is for, whether its chain is whole, which names it has.
 */
#ifndef PGTLS_PROXY_ADVICE_H
#define PGTLS_PROXY_ADVICE_H

#include "proxy/generation.h"

/* Each as a warning of the setting that names the file. */
void advice_give(const struct generation *generation, struct conf_problems *problems);

#endif

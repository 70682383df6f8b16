/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_claims.h - what only one route may say, and who says it
 *
 * Names and addresses that several routes or hosts may claim.  Sorted, the same ones are
 * neighbours, and the one that comes later in the file stands behind the other.
 */
#ifndef PGTLS_PROXY_SETTINGS_CLAIMS_H
#define PGTLS_PROXY_SETTINGS_CLAIMS_H

#include "proxy/settings.h"

#define CLAIM_TEXT 320 /* a host name of 255 bytes and what stands around it */

struct claim {
    const struct route_settings *route;
    size_t                       order;            /* of the route: the later one is told */
    const char                  *written;          /* in the file; borrowed from the settings */
    char                         text[CLAIM_TEXT]; /* what is compared */
};

void claims_sort(struct claim *claims, size_t count);

/* The text of a name: without case, and cut where it is too long for any. */
void claim_put_name(struct claim *claim, const char *name);

#endif

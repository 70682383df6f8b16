/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/inventory.h - everything a generation loaded that ends some day
 *
 * The certificates that are shown, with their chains, the authorities and the revocation lists,
 * of both legs of every route.  For --check, for the log, for metrics.
 */
#ifndef PGTLS_PROXY_INVENTORY_H
#define PGTLS_PROXY_INVENTORY_H

#include "proxy/generation.h"

/* Texts are borrowed from the generation. */
struct inventory_item {
    const char *route;
    const char *leg;  /* "client", "backend" */
    const char *what; /* "certificate", "chain", "ca", "crl" */
    const char *file;
    const char *subject; /* of a list: its issuer */
    const char *names;   /* "" where there are none */
    const char *key;     /* "EC P-256"; NULL for a list */
    const char *serial;  /* NULL for a list */
    const char *fingerprint;
    int64_t     not_after; /* 0: a list that never ends */
};

struct inventory {
    struct inventory_item *items; /* in the order of the routes */
    size_t                 count;
};

/* False when out of memory; end with inventory_fini(), whatever was returned. */
bool inventory_take(struct inventory *out, const struct generation *generation);
void inventory_fini(struct inventory *inventory); /* all-zero is fine */

/* Whether the item is a certificate that is shown to peers: the leaf. */
bool inventory_is_own(const struct inventory_item *item);

#endif

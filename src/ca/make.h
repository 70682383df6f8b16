/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/make.h - the recipes: keys and certificates as files
 *
 * All files of a recipe are written, or none (ca/file_set.h).  Runs at the same time wait for
 * each other.
 */
#ifndef PGTLS_CA_MAKE_H
#define PGTLS_CA_MAKE_H

#include "ca/order.h"

/*
 * A key and its certificate: NAME.key (0600) and NAME.crt (0644, the leaf first, then the
 * intermediate ones) with root.crt beside it where an authority signs.  An authority
 * gets its books too (ca/folder.h).  Files that are there are a failure unless the order says
 * otherwise; root.crt may be there if the root is in it.
 */
enum fail ca_make(const struct ca_order *order, struct ca_outcome *outcome,
                  struct failure *why) WARN_UNUSED;

/* A key and a request for its certificate: NAME.key and NAME.csr.  `ca` and `days` are not
 * looked at. */
enum fail ca_make_request(const struct ca_order *order, struct ca_outcome *outcome,
                          struct failure *why) WARN_UNUSED;

/* The certificate for a request of elsewhere: NAME.crt and root.crt. */
enum fail ca_sign(const struct ca_order *order, const char *request_file,
                  struct ca_outcome *outcome, struct failure *why) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/server.h - the whole proxy: every route of a configuration, served
 *
 * A server belongs to the thread that made it.  It borrows its settings, which
 * must outlive it.
 */
#ifndef PGTLS_PROXY_SERVER_H
#define PGTLS_PROXY_SERVER_H

#include "base/buf.h"
#include "base/fail.h"
#include "conf/problems.h"
#include "proxy/settings.h"

struct server;

/*
 * Loads certificates and keys, starts the log and binds every address.  NULL
 * after any error; `problems` has all of them.  Warnings are in `problems` with
 * success too.
 */
struct server *server_new(const struct proxy_settings *settings,
                          struct conf_problems        *problems);

/* Serves until it is told to stop by SIGTERM or SIGINT, and has drained. */
enum fail server_run(struct server *server, struct failure *why) WARN_UNUSED;

void server_free(struct server *server); /* NULL is fine */

/*
 * For --check: loads all that server_new() loads, binds nothing, and appends to
 * `report` what would be served, for people.  False after any error.
 */
bool server_check(const struct proxy_settings *settings, struct conf_problems *problems,
                  struct buf *report);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/server.h - the whole proxy: a configuration, served
 *
 * A server belongs to the thread that made it.
 */
#ifndef PGTLS_PROXY_SERVER_H
#define PGTLS_PROXY_SERVER_H

#include "base/buf.h"
#include "base/fail.h"
#include "proxy/settings.h"

struct server;

/*
 * Reads `source`, binds every address, becomes the user of the settings, and then reads
 * everything they name and starts the log.  NULL after any error; `problems` has all of
 * them.  Warnings are in `problems` with success too.  `source` is borrowed: a reload
 * reads it again.
 */
struct server *server_new(const struct settings_source *source, struct conf_problems *problems);

/*
 * Serves until it is told to stop by SIGTERM or SIGINT, and has drained; a second
 * one ends at once.  SIGHUP reads the configuration again: all of it or nothing.
 */
enum fail server_run(struct server *server, struct failure *why) WARN_UNUSED;

void server_free(struct server *server); /* NULL is fine */

/*
 * For --check: loads all that server_new() loads, binds nothing, and appends to
 * `report` what would be served, for people.  False after any error.
 */
bool server_check(const struct settings_source *source, struct conf_problems *problems,
                  struct buf *report);

#endif

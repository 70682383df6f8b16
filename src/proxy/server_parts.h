/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/server_parts.h - what the files of the server share
 */
#ifndef PGTLS_PROXY_SERVER_PARTS_H
#define PGTLS_PROXY_SERVER_PARTS_H

#include "proxy/expiry.h"
#include "proxy/renewal.h"
#include "proxy/server.h"
#include "proxy/station.h"
#include "runtime/file_watch.h"
#include "runtime/signals.h"

/* A station as the control thread sees it. */
struct post {
    struct station   station;
    struct server   *server;
    struct loop_task empty; /* posted to the control loop */
};

struct server {
    const struct settings_source *source;
    struct log                   *log;
    struct generation            *generation;
    struct listening             *listening;
    unsigned                      worker_count;
    struct post                  *posts;
    struct loop                  *control;
    struct signals                signals;
    struct file_watch            *watch; /* of the files of the generation */
    struct renewal                renewal;
    struct expiry                *expiry;
    uint64_t                      failed_reloads;
    unsigned                      posts_left; /* whose last conversation has not ended */
    unsigned                      stop_requests;
};

/* ---- server.c ---- */

void server_log_listeners(const struct server *server);
void server_log_simple(const struct server *server, enum log_event event, const char *key,
                       const char *value);
void server_complain_of_log(const struct generation *generation, const struct failure *why,
                            struct conf_problems *problems);

/* ---- reload_report.c ---- */

/* `cause` is "signal" or "files"; `before` is what served until now. */
void server_log_failed(struct server *server, const char *cause,
                       const struct conf_problems *problems);
void server_log_done(struct server *server, const struct generation *before, const char *cause,
                     const struct conf_problems *problems);

/* ---- reloading.c ---- */

/* From here on files that change are loaded, and certificates that end soon are told of. */
enum fail server_look_after_files(struct server *server, struct failure *why) WARN_UNUSED;
void      server_forget_files(struct server *server);

/* Reads the configuration again: all of it, or nothing changes. */
void server_reload(struct server *server);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/* What runs is replaced by another configuration, or goes on. */
#include "proxy/launch.h"
#include "proxy/server_parts.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void refuse_change(const struct generation *next, const char *setting,
                          struct conf_problems *problems)
{
    settings_top_problem(problems, false, next->settings, setting,
                         "cannot change while the proxy runs; restart it");
}

/* What a running process cannot change. */
static void check_fixed(const struct server *server, const struct generation *next,
                        struct conf_problems *problems)
{
    const struct proxy_settings *now = server->generation->settings;

    if (launch_worker_count(next->settings) != server->worker_count)
        refuse_change(next, "workers", problems);
    if (!same_text(settings_user(next->settings), settings_user(now)))
        refuse_change(next, "user", problems);
    if (next->settings->event_loop != now->event_loop)
        refuse_change(next, "event_loop", problems);
}

static bool prepare_all(struct server *server, struct generation *next,
                        struct conf_problems *problems)
{
    struct failure why = { 0 };
    unsigned       i = 0;

    while (i < server->worker_count &&
           station_prepare(&server->posts[i].station, next, &why) == FAIL_NONE)
        i++;
    if (i == server->worker_count)
        return true;
    while (i-- > 0)
        station_forget_prepared(&server->posts[i].station);
    conf_problem_add(problems, false, 0, "%s", why.text);
    return false;
}

/* From here on there is no way back; a failure is one of memory, and ends a listener. */
static void commit_all(struct server *server, struct generation *next,
                       struct listening *listening)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct failure why = { 0 };

        if (station_commit(&server->posts[i].station, next, listening, &why) != FAIL_NONE)
            server_log_simple(server, EVENT_ROUTE_FAILED, "reason", why.text);
    }
    listening_close(server->listening);
    generation_release(server->generation);
    server->listening = listening;
    server->generation = next;
}

/* The log is the last thing that can fail before the commit. */
static bool configure_log(struct server *server, const struct generation *next,
                          struct conf_problems *problems)
{
    struct failure     why = { 0 };
    struct log_options options;

    if (!launch_log_options(&options, next->settings, problems))
        return false;
    if (log_configure(server->log, &options, &why) == FAIL_NONE)
        return true;
    server_complain_of_log(next, &why, problems);
    return false;
}

static bool try_reload(struct server *server, struct conf_problems *problems)
{
    struct generation *next = generation_load(server->source, server->generation, problems);
    struct listening  *listening = NULL;

    if (next != NULL)
        check_fixed(server, next, problems);
    if (next != NULL && problems->error_count == 0)
        listening =
            listening_open(next->settings, server->listening, server->worker_count, problems);
    if (listening != NULL && prepare_all(server, next, problems)) {
        if (configure_log(server, next, problems)) {
            launch_raise_open_files(next->settings, problems);
            commit_all(server, next, listening);
            return true;
        }
        for (unsigned i = 0; i < server->worker_count; i++)
            station_forget_prepared(&server->posts[i].station);
    }
    listening_close(listening);
    generation_release(next);
    return false;
}

/* A log rotation needs the file opened again, whatever the configuration is like. */
static void reopen_log(struct server *server)
{
    struct failure  why = { 0 };
    struct log_line line;

    if (log_reopen(server->log, &why) == FAIL_NONE ||
        !log_begin(&line, server->log, EVENT_LOG_FAILED))
        return;
    log_failure(&line, &why);
    log_end(&line);
}

void server_reload(struct server *server)
{
    struct conf_problems problems = { .file = server->source->file };
    bool                 is_done = try_reload(server, &problems);
    struct log_line      line;

    reopen_log(server);
    for (size_t i = 0; i < problems.count; i++)
        server_log_simple(server, is_done ? EVENT_RELOAD_WARNING : EVENT_RELOAD_FAILED,
                          "reason", problems.items[i].text);
    if (is_done && log_begin(&line, server->log, EVENT_RELOAD_OK)) {
        log_number(&line, "generation", server->generation->number);
        log_number(&line, "routes", server->generation->settings->route_count);
        log_end(&line);
    }
    if (is_done)
        server_log_listeners(server);
    conf_problems_fini(&problems);
}

/* SPDX-License-Identifier: PostgreSQL */
/* What runs is replaced by another configuration, or goes on. */
#include "proxy/launch.h"
#include "proxy/server_parts.h"
#include "proxy/settings_paths.h"

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

static void forget_prepared(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        station_forget_prepared(&server->posts[i].station);
}

/* Takes `next` over. */
static bool replace(struct server *server, struct generation *next,
                    struct conf_problems *problems)
{
    struct listening *listening;

    launch_raise_open_files(next->settings, problems);
    listening =
        listening_open(next->settings, server->listening, server->worker_count, problems);
    if (listening != NULL && prepare_all(server, next, problems)) {
        if (configure_log(server, next, problems)) {
            commit_all(server, next, listening);
            return true;
        }
        forget_prepared(server);
    }
    listening_close(listening);
    generation_release(next);
    return false;
}

/* ---- files that change ---- */

static void on_changed(void *owner)
{
    struct server *server = owner;

    renewal_begin(&server->renewal);
}

static void on_blind(void *owner, const struct failure *why)
{
    const struct server *server = owner;
    struct log_line      line;

    if (log_begin(&line, server->log, EVENT_RELOAD_BLIND)) {
        log_failure(&line, why);
        log_end(&line);
    }
}

/* The generation that is served since now. */
static enum fail look_after(struct server *server, struct failure *why)
{
    struct generation *served = server->generation;
    uint64_t           interval_us = settings_refresh_interval_us(served->settings);

    renewal_rest(&server->renewal, interval_us);
    if (!expiry_set(server->expiry, served))
        return fail(why, FAIL_MEMORY, "out of memory");
    return file_watch_set(server->watch, &served->files, interval_us, served->digest, why);
}

/* The generation is served all the same. */
static void look_after_or_say(struct server *server)
{
    struct failure why = { 0 };

    if (look_after(server, &why) != FAIL_NONE)
        on_blind(server, &why);
}

static bool try_renewal(struct server *server, struct conf_problems *problems)
{
    struct generation *next = generation_renew(server->generation, problems);

    return next != NULL && replace(server, next, problems);
}

static bool attempt_renewal(struct renewal *renewal, struct conf_problems *problems)
{
    struct server     *server = container_of(renewal, struct server, renewal);
    struct generation *before = generation_hold(server->generation);
    bool               is_over = server->stop_requests > 0;
    bool               is_done = !is_over && try_renewal(server, problems);

    if (is_done) {
        server_log_done(server, before, "files", problems);
        look_after_or_say(server);
    }
    generation_release(before);
    return is_over || is_done;
}

static void tell_renewal(struct renewal *renewal, const struct conf_problems *problems)
{
    server_log_failed(container_of(renewal, struct server, renewal), "files", problems);
}

enum fail server_look_after_files(struct server *server, struct failure *why)
{
    static const struct file_watch_events events = { .changed = on_changed, .blind = on_blind };

    server->renewal.attempt = attempt_renewal;
    server->renewal.tell = tell_renewal;
    renewal_init(&server->renewal, server->control);
    server->watch = file_watch_new(server->control, &events, server);
    server->expiry = expiry_new(server->control, server->log);
    if (server->watch == NULL || server->expiry == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    return look_after(server, why);
}

void server_forget_files(struct server *server)
{
    renewal_fini(&server->renewal);
    file_watch_free(server->watch);
    expiry_free(server->expiry);
}

/* ---- SIGHUP ---- */

static bool try_reload(struct server *server, struct conf_problems *problems)
{
    struct generation *next;

    if (server->source->text != NULL) {
        conf_problem_add(problems, false, 0,
                         "came through a pipe when the proxy started and cannot be read again; "
                         "start it with -c and a file, which can");
        return false;
    }
    next = generation_load(server->source, server->generation, problems);
    if (next == NULL)
        return false;
    check_fixed(server, next, problems);
    if (problems->error_count == 0)
        return replace(server, next, problems);
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
    struct generation   *before = generation_hold(server->generation);
    bool                 is_done = try_reload(server, &problems);

    reopen_log(server);
    if (is_done) {
        server_log_done(server, before, "signal", &problems);
        server_log_listeners(server);
        look_after_or_say(server);
    } else
        server_log_failed(server, "signal", &problems);
    generation_release(before);
    conf_problems_fini(&problems);
}

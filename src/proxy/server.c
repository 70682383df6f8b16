/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/server.h"

#include "io/socket.h"
#include "proxy/describe.h"
#include "proxy/listening.h"
#include "proxy/station.h"
#include "runtime/privileges.h"
#include "runtime/signals.h"
#include "tls/context.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_FILES 64 /* descriptors beside those of connections */

struct server {
    const struct settings_source *source;
    struct log                   *log;
    struct generation            *generation;
    struct listening             *listening;
    unsigned                      worker_count;
    struct post                  *posts;
    struct loop                  *control;
    struct signals                signals;
    unsigned                      posts_left; /* whose last conversation has not ended */
    unsigned                      stop_requests;
};

/* A station as the control thread sees it. */
struct post {
    struct station   station;
    struct server   *server;
    struct loop_task empty; /* posted to the control loop */
};

/* What a reload must be able to read is read as the user that reads it then. */
static bool become_user(const struct proxy_settings *settings, struct conf_problems *problems)
{
    struct failure why = { 0 };

    if (settings->user == NULL || privileges_become(settings->user, &why) == FAIL_NONE)
        return true;
    conf_problem_add(problems, false, 0, "user: %s%s%s", why.text,
                     why.hint[0] != '\0' ? "; " : "", why.hint);
    return false;
}

bool server_check(const struct settings_source *source, struct conf_problems *problems,
                  struct buf *report)
{
    struct proxy_settings *settings = settings_load(source, problems);
    struct generation     *generation = NULL;

    if (settings != NULL && become_user(settings, problems))
        generation = generation_new(settings, NULL, problems);
    else
        settings_free(settings);
    if (generation == NULL)
        return false;
    describe_generation(generation, report);
    generation_release(generation);
    return true;
}

/* ---- the beginning ---- */

/* Two sockets a session, and one for each that has not logged in yet. */
static void raise_open_files(const struct proxy_settings *settings,
                             struct conf_problems        *problems)
{
    uint64_t wanted = OWN_FILES, limit;

    for (size_t i = 0; i < settings->route_count; i++)
        wanted += 2 * settings->routes[i].limits.max_connections;
    limit = socket_raise_open_files(wanted);
    if (limit < wanted)
        conf_problem_add(problems, true, 0,
                         "limits.max_connections needs %llu open files, but the limit is %llu; "
                         "raise it (ulimit -n, LimitNOFILE=) or lower max_connections",
                         (unsigned long long)wanted, (unsigned long long)limit);
}

static unsigned worker_count(const struct proxy_settings *settings)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->workers > 0)
        return (unsigned)settings->workers;
    return cpus > 0 ? (unsigned)cpus : 1;
}

/* PGTLS_LOG overrides the file. */
static bool read_log_options(struct log_options *out, const struct proxy_settings *settings,
                             struct conf_problems *problems)
{
    const char    *override = getenv("PGTLS_LOG");
    struct failure why = { 0 };

    *out = (struct log_options){ .format = (enum log_format)settings->log_format,
                                 .file = settings->log_file };
    if (log_levels_parse(&out->levels, override != NULL ? override : settings->log_level,
                         &why) == FAIL_NONE)
        return true;
    conf_problem_add(problems, false, 0, "PGTLS_LOG: %s; %s", why.text, why.hint);
    return false;
}

static bool start_log(struct server *server, struct conf_problems *problems)
{
    struct failure     why = { 0 };
    struct log_options options;

    if (!read_log_options(&options, server->generation->settings, problems))
        return false;
    server->log = log_new(&options, &why);
    if (server->log == NULL)
        conf_problem_add(problems, false, 0, "log_file: %s", why.text);
    return server->log != NULL;
}

/* Addresses first, since a port below 1024 may need root; everything else as the user. */
static bool load(struct server *server, struct conf_problems *problems)
{
    struct proxy_settings *settings = settings_load(server->source, problems);

    if (settings == NULL)
        return false;
    server->worker_count = worker_count(settings);
    server->listening = listening_open(settings, NULL, server->worker_count, problems);
    raise_open_files(settings, problems);
    if (!become_user(settings, problems)) {
        settings_free(settings);
        return false;
    }
    server->generation = generation_new(settings, NULL, problems);
    return server->generation != NULL && server->listening != NULL &&
           start_log(server, problems);
}

struct server *server_new(const struct settings_source *source, struct conf_problems *problems)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return NULL;
    }
    server->source = source;
    signals_block(); /* before the log's thread is there */
    if (load(server, problems))
        return server;
    server_free(server);
    return NULL;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    listening_close(server->listening);
    generation_release(server->generation);
    log_free(server->log);
    free(server);
}

/* ---- log lines ---- */

static void log_start(const struct server *server)
{
    struct log_line line;

    if (log_begin(&line, server->log, EVENT_PROXY_START)) {
        log_text(&line, "version", PGTLS_VERSION);
        log_text(&line, "tls_library", tls_library_version());
        log_text(&line, "event_loop", loop_name(server->control));
        log_number(&line, "workers", server->worker_count);
        log_number(&line, "routes", server->generation->settings->route_count);
        log_text(&line, "config", server->source->file);
        log_end(&line);
    }
}

static void log_listeners(const struct server *server)
{
    for (size_t i = 0; i < server->listening->count; i++) {
        const struct listening_entry *entry = &server->listening->entries[i];
        const struct route_settings  *settings = entry->route;
        struct log_line               line;
        char                          address[ADDRESS_TEXT];

        listening_address(entry, address);
        if (log_begin(&line, server->log, EVENT_LISTENER_READY)) {
            log_text(&line, "route", settings->name);
            log_text(&line, "address", address);
            log_text(&line, "sslmode", sslmode_name((enum sslmode)settings->listener.sslmode));
            log_text(&line, "backend", settings->backend.addresses.items[0]);
            log_text(&line, "backend_sslmode",
                     sslmode_name((enum sslmode)settings->backend.sslmode));
            log_end(&line);
        }
    }
}

static void log_simple(const struct server *server, enum log_event event, const char *key,
                       const char *value)
{
    struct log_line line;

    if (log_begin(&line, server->log, event)) {
        log_text(&line, key, value);
        log_end(&line);
    }
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What a running process cannot change. */
static void check_fixed(const struct server *server, const struct generation *next,
                        struct conf_problems *problems)
{
    static const char *const text = "cannot change while the proxy runs; restart it";

    if (worker_count(next->settings) != server->worker_count)
        conf_problem_add(problems, false, 0, "workers: %s", text);
    if (!same_text(next->settings->user, server->generation->settings->user))
        conf_problem_add(problems, false, 0, "user: %s", text);
    if (next->settings->event_loop != server->generation->settings->event_loop)
        conf_problem_add(problems, false, 0, "event_loop: %s", text);
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
            log_simple(server, EVENT_ROUTE_FAILED, "reason", why.text);
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

    if (!read_log_options(&options, next->settings, problems))
        return false;
    if (log_configure(server->log, &options, &why) == FAIL_NONE)
        return true;
    conf_problem_add(problems, false, 0, "log_file: %s", why.text);
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
    struct failure why = { 0 };

    if (log_reopen(server->log, &why) != FAIL_NONE)
        log_simple(server, EVENT_RELOAD_FAILED, "reason", why.text);
}

static void reload(struct server *server)
{
    struct conf_problems problems = { .file = server->source->file };
    bool                 is_done = try_reload(server, &problems);
    struct log_line      line;

    if (!is_done)
        reopen_log(server);
    for (size_t i = 0; i < problems.count; i++)
        log_simple(server, is_done ? EVENT_RELOAD_WARNING : EVENT_RELOAD_FAILED, "reason",
                   problems.items[i].text);
    if (is_done && log_begin(&line, server->log, EVENT_RELOAD_OK)) {
        log_number(&line, "generation", server->generation->number);
        log_number(&line, "routes", server->generation->settings->route_count);
        log_end(&line);
    }
    if (is_done)
        log_listeners(server);
    conf_problems_fini(&problems);
}

/* ---- signals and ends ---- */

static void on_reload_signal(struct signals *signals)
{
    struct server *server = container_of(signals, struct server, signals);

    if (server->stop_requests == 0)
        reload(server);
}

/* The first one drains, the second one ends. */
static void on_stop_signal(struct signals *signals)
{
    struct server *server = container_of(signals, struct server, signals);

    if (++server->stop_requests > 2)
        return;
    log_simple(server, EVENT_DRAIN, "how",
               server->stop_requests == 1 ? "between messages" : "at once");
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct station *station = &server->posts[i].station;

        if (server->stop_requests == 1)
            station_drain(station);
        else
            station_stop(station);
    }
}

static void on_post_empty(struct loop_task *task)
{
    struct server *server = container_of(task, struct post, empty)->server;

    if (--server->posts_left == 0)
        loop_stop(server->control);
}

static void on_station_emptied(struct station *station)
{
    struct post *post = container_of(station, struct post, station);

    loop_post(post->server->control, &post->empty);
}

/* ---- running ---- */

static enum fail start_post(struct server *server, unsigned index, struct failure *why)
{
    struct post *post = &server->posts[index];
    enum fail    rc;

    post->server = server;
    post->empty.run = on_post_empty;
    post->station.emptied = on_station_emptied;
    rc = station_start(&post->station, index, server->worker_count,
                       (enum loop_kind)server->generation->settings->event_loop, server->log,
                       why);
    if (rc == FAIL_NONE)
        rc = station_prepare(&post->station, server->generation, why);
    if (rc == FAIL_NONE)
        rc = station_commit(&post->station, server->generation, server->listening, why);
    return rc;
}

static enum fail serve(struct server *server, struct failure *why)
{
    enum fail rc = FAIL_NONE;

    server->posts = calloc(server->worker_count, sizeof *server->posts);
    if (server->posts == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    server->posts_left = server->worker_count;
    for (unsigned i = 0; rc == FAIL_NONE && i < server->worker_count; i++)
        rc = start_post(server, i, why);
    if (rc == FAIL_NONE) {
        log_start(server);
        log_listeners(server);
        loop_run(server->control);
        log_simple(server, EVENT_PROXY_STOP, "", NULL);
    }
    for (unsigned i = 0; i < server->worker_count; i++)
        station_end(&server->posts[i].station);
    free(server->posts);
    return rc;
}

enum fail server_run(struct server *server, struct failure *why)
{
    enum fail rc;

    server->signals.stop_requested = on_stop_signal;
    server->signals.reload_requested = on_reload_signal;
    server->control = loop_new((enum loop_kind)server->generation->settings->event_loop, why);
    if (server->control == NULL)
        return why->kind;
    rc = signals_start(&server->signals, server->control, why);
    if (rc == FAIL_NONE) {
        rc = serve(server, why);
        signals_stop(&server->signals);
    }
    loop_free(server->control);
    return rc;
}

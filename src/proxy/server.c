/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/advice.h"
#include "proxy/describe.h"
#include "proxy/launch.h"
#include "proxy/server_parts.h"
#include "tls/context.h"
#include "tls/key_schedule.h"
#include "x509/certificate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool server_check(const struct settings_source *source, struct conf_problems *problems,
                  struct buf *report)
{
    struct generation *generation = launch_check(source, problems);
    bool               is_described;

    if (generation == NULL)
        return false;
    advice_give(generation, problems);
    is_described = describe_generation(generation, report);
    if (!is_described)
        conf_problem_add(problems, false, 0, "out of memory");
    generation_release(generation);
    return is_described;
}

/* ---- the beginning ---- */

void server_complain_of_log(const struct generation *generation, const struct failure *why,
                            struct conf_problems *problems)
{
    settings_top_problem(problems, false, generation->settings, "log_file", "%s%s%s", why->text,
                         why->hint[0] != '\0' ? "; " : "", why->hint);
}

static bool start_log(struct server *server, struct conf_problems *problems)
{
    struct failure     why = { 0 };
    struct log_options options;

    if (!launch_log_options(&options, server->generation->settings, problems))
        return false;
    server->log = log_new(&options, &why);
    if (server->log == NULL)
        server_complain_of_log(server->generation, &why, problems);
    return server->log != NULL;
}

static bool load(struct server *server, struct conf_problems *problems)
{
    struct launch launch;

    if (!launch_start(&launch, server->source, problems))
        return false;
    server->worker_count = launch.worker_count;
    server->listening = launch.listening;
    server->generation = launch.generation;
    return start_log(server, problems);
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

static const struct loop *worker_loop(const struct server *server, unsigned index)
{
    return server->posts[index].station.worker.loop;
}

/* The first of the workers that has not the loop it was to have, or else the first. */
static const struct loop *telling_loop(const struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (loop_refusal(worker_loop(server, i)) != NULL)
            return worker_loop(server, i);
    }
    return worker_loop(server, 0);
}

static void log_refused_loops(const struct server *server)
{
    struct log_line line;

    if (server->generation->settings->event_loop != LOOP_IO_URING)
        return;
    for (unsigned i = 0; i < server->worker_count; i++) {
        const char *refusal = loop_refusal(worker_loop(server, i));

        if (refusal != NULL && log_begin(&line, server->log, EVENT_EVENT_LOOP_REFUSED)) {
            log_number(&line, "worker", i);
            log_text(&line, "event_loop", loop_name(worker_loop(server, i)));
            log_text(&line, "reason", refusal);
            log_end(&line);
        }
    }
}

static void log_start(const struct server *server)
{
    const struct loop *loop = telling_loop(server);
    bool               is_set = server->generation->settings->event_loop == LOOP_EPOLL;
    struct log_line    line;

    if (log_begin(&line, server->log, EVENT_PROXY_START)) {
        log_text(&line, "version", PGTLS_VERSION);
        log_text(&line, "tls_library", tls_library_version());
        log_text(&line, "event_loop", loop_name(loop));
        log_text(&line, "event_loop_reason",
                 is_set ? "the setting event_loop" : loop_refusal(loop));
        log_text(&line, "key_schedule",
                 tls_key_schedule_refusal() == NULL ? "pgtls" : "openssl");
        log_text(&line, "key_schedule_reason", tls_key_schedule_refusal());
        log_number(&line, "workers", server->worker_count);
        log_number(&line, "routes", server->generation->settings->route_count);
        log_text(&line, "config", server->source->file);
        log_end(&line);
    }
}

static void put_own_certificate(struct log_line *line, const struct route *route)
{
    const struct identity *identity = route != NULL && route->client_policy != NULL
                                          ? tls_policy_options(route->client_policy)->identity
                                          : NULL;
    char                   date[CERTIFICATE_DATE];

    if (identity == NULL)
        return;
    log_text(line, "serial", identity_facts(identity)->serial);
    log_text(line, "not_after", certificate_date(identity_facts(identity)->not_after, date));
}

void server_log_listeners(const struct server *server)
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
            put_own_certificate(&line, generation_route(server->generation, settings->name));
            if (settings->host_count > 0)
                log_number(&line, "hosts", settings->host_count);
            if (settings_has_backend(settings)) {
                log_text(&line, "backend", settings->backend.addresses.items[0]);
                log_text(&line, "backend_sslmode",
                         sslmode_name((enum sslmode)settings->backend.sslmode));
            }
            log_end(&line);
        }
    }
}

void server_log_simple(const struct server *server, enum log_event event, const char *key,
                       const char *value)
{
    struct log_line line;

    if (log_begin(&line, server->log, event)) {
        log_text(&line, key, value);
        log_end(&line);
    }
}

/* ---- signals and ends ---- */

static void on_reload_signal(struct signals *signals)
{
    struct server *server = container_of(signals, struct server, signals);

    if (server->stop_requests == 0)
        server_reload(server);
}

/* Whoever comes now is refused and may go elsewhere: nobody waits in a queue for the end. */
static void stop_listening(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        station_stop_listening(&server->posts[i].station);
    listening_close(server->listening);
    server->listening = NULL;
}

/* The first one drains, the second one ends. */
static void on_stop_signal(struct signals *signals)
{
    struct server *server = container_of(signals, struct server, signals);

    if (++server->stop_requests > 2)
        return;
    server_log_simple(server, EVENT_DRAIN, "how",
                      server->stop_requests == 1 ? "between messages" : "at once");
    if (server->stop_requests == 1)
        stop_listening(server);
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
        log_refused_loops(server);
        server_log_listeners(server);
        rc = server_look_after_files(server, why);
    }
    if (rc == FAIL_NONE) {
        loop_run(server->control);
        server_log_simple(server, EVENT_PROXY_STOP, "", NULL);
    }
    server_forget_files(server);
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
    server->control = loop_new(LOOP_EPOLL, why); /* it has little to do */
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

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/server.h"

#include "io/socket.h"
#include "proxy/route.h"
#include "runtime/signals.h"
#include "runtime/worker.h"
#include "tls/context.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096
#define OWN_FILES      64 /* descriptors beside those of connections */

/* One bind_address: a socket for each worker, or one that they share. */
struct bound {
    const struct route_settings *settings;
    struct address               address;
    int                         *fds;
    unsigned                     fd_count;
    bool                         is_shared;
};

/* What one worker serves. */
struct station {
    struct worker        worker;
    struct server       *server;
    struct route_worker *routes;
    size_t               route_count;
    size_t               routes_left; /* whose last conversation has not ended */
    bool                 is_running;
    enum fail            result;
    struct failure       failure;
    struct loop_task     adopt;
    struct loop_task     drain;
    struct loop_task     stop;
    struct loop_task     empty;  /* posted to the control loop */
    struct loop_task     resign; /* frees what the worker's thread made */
};

struct server {
    const struct proxy_settings *settings;
    struct log                  *log;
    struct route               **routes;
    struct bound                *bound;
    size_t                       bound_count;
    unsigned                     worker_count;
    struct station              *stations;
    struct loop                 *control;
    struct signals               signals;
    unsigned                     stations_left;
    unsigned                     stop_requests;
};

/* ---- loading ---- */

static void free_routes(struct route **routes, size_t count)
{
    for (size_t i = 0; routes != NULL && i < count; i++)
        route_free(routes[i]);
    free(routes);
}

/* All routes are tried, so that one run tells all problems. */
static struct route **load_routes(const struct proxy_settings *settings,
                                  struct conf_problems        *problems)
{
    struct route **routes = calloc(settings->route_count, sizeof(struct route *));
    size_t         errors = problems->error_count;

    if (routes == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < settings->route_count; i++)
        routes[i] = route_new(&settings->routes[i], problems);
    if (problems->error_count == errors)
        return routes;
    free_routes(routes, settings->route_count);
    return NULL;
}

bool server_check(const struct proxy_settings *settings, struct conf_problems *problems,
                  struct buf *report)
{
    struct route **routes = load_routes(settings, problems);

    for (size_t i = 0; routes != NULL && i < settings->route_count; i++)
        route_describe(routes[i], report);
    free_routes(routes, settings->route_count);
    return routes != NULL;
}

/* ---- binding ---- */

static enum fail bind_one(struct bound *bound, unsigned workers, struct failure *why)
{
    bool                        is_unix = address_is_unix(&bound->address);
    unsigned                    count = is_unix ? 1 : workers;
    const struct socket_options options = {
        .reuse_port = count > 1,
        .unix_mode = (unsigned)bound->settings->listener.unix_socket_mode,
        .backlog = LISTEN_BACKLOG,
    };

    bound->is_shared = is_unix && workers > 1;
    bound->fds = calloc(count, sizeof(int));
    if (bound->fds == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    /* with SO_REUSEPORT another process of ours would bind beside us without an error */
    if (count > 1 && socket_address_in_use(&bound->address)) {
        char text[ADDRESS_TEXT];

        fail_hint(why, "stop what listens there, or choose another port");
        return fail(why, FAIL_IO, "cannot listen on %s: address already in use",
                    address_format(&bound->address, text));
    }
    for (; bound->fd_count < count; bound->fd_count++) {
        enum fail rc =
            socket_listen(&bound->fds[bound->fd_count], &bound->address, &options, why);

        if (rc != FAIL_NONE)
            return rc;
    }
    return FAIL_NONE;
}

static void unbind(struct bound *bound)
{
    for (unsigned i = 0; i < bound->fd_count; i++) {
        if (address_is_unix(&bound->address))
            socket_close_and_unlink(bound->fds[i], &bound->address);
        else
            socket_close(bound->fds[i]);
    }
    free(bound->fds);
}

static size_t count_addresses(const struct proxy_settings *settings)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->route_count; i++)
        count += settings->routes[i].listener.bind_address.count;
    return count;
}

static void bind_route(struct server *server, const struct route_settings *settings,
                       struct conf_problems *problems)
{
    const struct conf_strings *addresses = &settings->listener.bind_address;

    for (size_t i = 0; i < addresses->count; i++) {
        struct bound  *bound = &server->bound[server->bound_count++];
        struct failure why = { 0 };

        bound->settings = settings;
        if (address_parse(&bound->address, addresses->items[i], &why) != FAIL_NONE ||
            bind_one(bound, server->worker_count, &why) != FAIL_NONE)
            settings_problem(problems, false, settings, "listener.bind_address", "%s%s%s",
                             why.text, why.hint[0] != '\0' ? "; " : "", why.hint);
    }
}

static bool bind_all(struct server *server, struct conf_problems *problems)
{
    size_t errors = problems->error_count;

    server->bound = calloc(count_addresses(server->settings), sizeof *server->bound);
    if (server->bound == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return false;
    }
    for (size_t i = 0; i < server->settings->route_count; i++)
        bind_route(server, &server->settings->routes[i], problems);
    return problems->error_count == errors;
}

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

/* ---- the beginning ---- */

static unsigned worker_count(const struct proxy_settings *settings)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->workers > 0)
        return (unsigned)settings->workers;
    return cpus > 0 ? (unsigned)cpus : 1;
}

static bool start_log(struct server *server, struct failure *why)
{
    const struct log_options options = {
        .level = (enum log_level)server->settings->log_level,
        .format = (enum log_format)server->settings->log_format,
        .fd = STDERR_FILENO,
    };

    server->log = log_new(&options, why);
    return server->log != NULL;
}

struct server *server_new(const struct proxy_settings *settings, struct conf_problems *problems)
{
    struct server *server = calloc(1, sizeof *server);
    struct failure why = { 0 };

    if (server == NULL) {
        conf_problem_add(problems, false, 0, "out of memory");
        return NULL;
    }
    server->settings = settings;
    server->worker_count = worker_count(settings);
    server->routes = load_routes(settings, problems);
    if (server->routes != NULL && bind_all(server, problems)) {
        raise_open_files(settings, problems);
        if (start_log(server, &why))
            return server;
        conf_problem_add(problems, false, 0, "%s", why.text);
    }
    server_free(server);
    return NULL;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->bound_count; i++)
        unbind(&server->bound[i]);
    free(server->bound);
    free_routes(server->routes, server->settings->route_count);
    log_free(server->log);
    free(server);
}

/* ---- a worker's thread ---- */

static void on_emptied(struct route_worker *rw)
{
    struct station *station = container_of(rw->worker, struct station, worker);

    if (--station->routes_left == 0)
        loop_post(station->server->control, &station->empty);
}

static enum fail listen_route(struct station *station, struct route_worker *rw)
{
    struct server *server = station->server;
    enum fail      rc = route_worker_expect_listeners(
             rw, rw->route->settings->listener.bind_address.count, &station->failure);

    for (size_t i = 0; rc == FAIL_NONE && i < server->bound_count; i++) {
        const struct bound *bound = &server->bound[i];

        if (bound->settings == rw->route->settings)
            rc = route_worker_listen(
                rw, bound->fds[bound->fd_count > 1 ? station->worker.index : 0],
                bound->is_shared, &station->failure);
    }
    return rc;
}

static void adopt(struct loop_task *task)
{
    struct station *station = container_of(task, struct station, adopt);
    struct server  *server = station->server;

    for (size_t i = 0; i < server->settings->route_count; i++) {
        struct route_worker *rw = &station->routes[i];

        rw->emptied = on_emptied;
        station->result =
            route_worker_init(rw, server->routes[i], &station->worker, &station->failure);
        station->route_count = i + 1;
        if (station->result == FAIL_NONE)
            station->result = listen_route(station, rw);
        if (station->result != FAIL_NONE)
            return;
    }
}

static void drain(struct loop_task *task)
{
    struct station *station = container_of(task, struct station, drain);

    station->routes_left = station->route_count;
    for (size_t i = 0; i < station->route_count; i++)
        route_worker_drain(&station->routes[i]);
}

static void stop(struct loop_task *task)
{
    struct station *station = container_of(task, struct station, stop);

    for (size_t i = 0; i < station->route_count; i++)
        route_worker_stop(&station->routes[i]);
}

static void resign(struct loop_task *task)
{
    struct station *station = container_of(task, struct station, resign);

    for (size_t i = 0; i < station->route_count; i++)
        route_worker_fini(&station->routes[i]);
}

/* ---- the control thread ---- */

static void on_station_empty(struct loop_task *task)
{
    struct server *server = container_of(task, struct station, empty)->server;

    if (--server->stations_left == 0)
        loop_stop(server->control);
}

static void log_drain(const struct server *server, const char *how)
{
    struct log_line line;

    if (log_begin(&line, server->log, EVENT_DRAIN)) {
        log_text(&line, "how", how);
        log_end(&line);
    }
}

/* The first one drains, the second one ends. */
static void on_stop_signal(struct signals *signals, int signal)
{
    struct server *server = container_of(signals, struct server, signals);

    if (++server->stop_requests > 2)
        return;
    log_drain(server, server->stop_requests == 1 ? "between messages" : "at once");
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct station *station = &server->stations[i];

        worker_post(&station->worker,
                    server->stop_requests == 1 ? &station->drain : &station->stop);
    }
}

static enum fail start_station(struct server *server, unsigned index, struct failure *why)
{
    struct station *station = &server->stations[index];
    enum fail       rc;

    *station = (struct station){
        .server = server,
        .adopt.run = adopt,
        .drain.run = drain,
        .stop.run = stop,
        .empty.run = on_station_empty,
        .resign.run = resign,
    };
    station->routes = calloc(server->settings->route_count, sizeof *station->routes);
    if (station->routes == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    rc = worker_start(&station->worker, index, server->worker_count, LOOP_EPOLL, server->log,
                      why);
    if (rc != FAIL_NONE)
        return rc;
    station->is_running = true;
    worker_call(&station->worker, &station->adopt);
    if (station->result != FAIL_NONE)
        *why = station->failure;
    return station->result;
}

static enum fail start_stations(struct server *server, struct failure *why)
{
    server->stations = calloc(server->worker_count, sizeof *server->stations);
    if (server->stations == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    server->stations_left = server->worker_count;
    for (unsigned i = 0; i < server->worker_count; i++) {
        enum fail rc = start_station(server, i, why);

        if (rc != FAIL_NONE)
            return rc;
    }
    return FAIL_NONE;
}

static void stop_stations(struct server *server)
{
    for (unsigned i = 0; server->stations != NULL && i < server->worker_count; i++) {
        struct station *station = &server->stations[i];

        if (station->is_running) {
            worker_call(&station->worker, &station->resign);
            worker_stop(&station->worker);
        }
        free(station->routes);
    }
    free(server->stations);
    server->stations = NULL;
}

static void log_start(const struct server *server)
{
    struct log_line line;

    if (log_begin(&line, server->log, EVENT_PROXY_START)) {
        log_text(&line, "version", PGTLS_VERSION);
        log_text(&line, "tls_library", tls_library_version());
        log_text(&line, "event_loop", loop_name(server->control));
        log_number(&line, "workers", server->worker_count);
        log_number(&line, "routes", server->settings->route_count);
        log_text(&line, "config", server->settings->file);
        log_end(&line);
    }
}

static void log_listeners(const struct server *server)
{
    for (size_t i = 0; i < server->bound_count; i++) {
        const struct bound *bound = &server->bound[i];
        struct address      address = bound->address;
        struct failure      ignored = { 0 };
        struct log_line     line;
        char                text[ADDRESS_TEXT];

        (void)!socket_local_address(bound->fds[0], &address, &ignored); /* port 0 */
        if (log_begin(&line, server->log, EVENT_LISTENER_READY)) {
            log_text(&line, "route", bound->settings->name);
            log_text(&line, "address", address_format(&address, text));
            log_text(&line, "sslmode",
                     sslmode_name((enum sslmode)bound->settings->listener.sslmode));
            log_text(&line, "backend", bound->settings->backend.address);
            log_text(&line, "backend_sslmode",
                     sslmode_name((enum sslmode)bound->settings->backend.sslmode));
            log_end(&line);
        }
    }
}

static void log_stop(const struct server *server)
{
    struct log_line line;

    if (log_begin(&line, server->log, EVENT_PROXY_STOP))
        log_end(&line);
}

static enum fail serve(struct server *server, struct failure *why)
{
    enum fail rc = start_stations(server, why);

    if (rc == FAIL_NONE) {
        log_start(server);
        log_listeners(server);
        loop_run(server->control);
        log_stop(server);
    }
    stop_stations(server);
    return rc;
}

enum fail server_run(struct server *server, struct failure *why)
{
    enum fail rc;

    server->signals.stop_requested = on_stop_signal;
    server->control = loop_new(LOOP_EPOLL, why);
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

/* SPDX-License-Identifier: PostgreSQL */
#include "sim/proxy_rig.h"

#include "harness/check.h"
#include "pg/error_response.h"
#include "proxy/conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- making one ---- */

static void on_emptied(struct route_worker *rw)
{
    struct proxy_rig *rig = rw->owner;

    if (rw == rig->rw)
        rig->rw = NULL;
    else
        rig->retired = NULL;
    route_worker_free(rw);
}

static void show_problems(struct conf_problems *problems)
{
    for (size_t i = 0; problems->error_count > 0 && i < problems->count; i++)
        print_error("%s\n", problems->items[i].text);
    assert_int_equal(problems->error_count, 0);
    conf_problems_fini(problems);
}

static const char *lines(const char *text)
{
    return text != NULL ? text : "";
}

static struct generation *load(const struct rig_route *route, const struct generation *before)
{
    char                   text[4096];
    struct conf_problems   problems = { .file = "sim.toml" };
    struct proxy_settings *settings;
    struct generation     *generation = NULL;
    int                    len;

    len = snprintf(text, sizeof text,
                   "[[proxy]]\nname = \"sim\"\n[proxy.listener]\nbind_address = \"" FRONT
                   "\"\n%s\n[proxy.backend]\naddress = %s\n%s\n[proxy.limits]\n%s\n",
                   lines(route->listener),
                   route->address != NULL ? route->address : "\"" BACK "\"",
                   lines(route->backend), lines(route->limits));
    assert_true((size_t)len < sizeof text);
    settings = settings_load_text("sim.toml", bytes_of_string(text), &problems);
    if (settings != NULL)
        generation = generation_new(settings, before, &problems);
    show_problems(&problems);
    assert_non_null(generation);
    return generation;
}

static struct log *make_log(struct proxy_rig *rig, bool is_logged)
{
    struct failure     why = { 0 };
    char               path[32];
    struct log_options options = { .file = path };
    struct log        *log;

    rig->log_fd = -1;
    if (!is_logged)
        return NULL;
    rig->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(rig->log_fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", rig->log_fd);
    assert_int_equal(log_levels_parse(&options.levels, "debug", &why), FAIL_NONE);
    log = log_new(&options, &why);
    assert_non_null(log);
    return log;
}

static void serve(struct proxy_rig *rig)
{
    struct failure why = { 0 };

    rig->rw =
        route_worker_new(&(struct route_worker_options){ .generation = rig->generation,
                                                         .route = rig->generation->routes[0],
                                                         .worker = &rig->worker },
                         &why);
    assert_non_null(rig->rw);
    rig->rw->emptied = on_emptied;
    rig->rw->owner = rig;
    assert_int_equal(route_worker_listen(rig->rw, sim_listen(rig->loop, FRONT), false, &why),
                     FAIL_NONE);
}

void rig_start_route(struct proxy_rig *rig, uint64_t seed, const struct rig_route *route)
{
    struct failure why = { 0 };

    *rig = (struct proxy_rig){ .loop = sim_loop_new(seed) };
    rig->generation = load(route, NULL);
    assert_int_equal(
        worker_init(&rig->worker, 0, 1, rig->loop, make_log(rig, route->is_logged), &why),
        FAIL_NONE);
    serve(rig);
    sim_serve(rig->loop, BACK, SIM_ACCEPTS);
}

void rig_start(struct proxy_rig *rig, uint64_t seed, const char *limits)
{
    rig_start_route(rig, seed,
                    &(struct rig_route){ .listener = "sslmode = \"disable\"",
                                         .backend = "sslmode = \"disable\"",
                                         .limits = limits });
}

void rig_reload(struct proxy_rig *rig, const struct rig_route *route)
{
    assert_null(rig->before);
    rig->before = rig->generation;
    rig->retired = rig->rw;
    rig->generation = load(route, rig->before);
    route_worker_stop_listening(rig->retired);
    serve(rig);
    route_worker_retire(rig->retired);
}

/* ---- ending it ---- */

static void drain(struct route_worker *const *rw)
{
    if (*rw != NULL)
        route_worker_drain(*rw);
    if (*rw != NULL)
        route_worker_stop(*rw);
}

static void check_tally(const struct proxy_rig *rig)
{
    const struct route_tally *tally = rig->generation->routes[0]->tally;

    assert_int_equal(atomic_load(&tally->sessions), 0);
    assert_int_equal(atomic_load(&tally->pending), 0);
}

void rig_stop(struct proxy_rig *rig)
{
    struct log *log = rig->worker.log;

    drain(&rig->rw);
    drain(&rig->retired);
    sim_run_for(rig->loop, SECONDS(10));
    assert_null(rig->rw);
    assert_null(rig->retired);
    check_tally(rig);
    assert_int_equal(atomic_load(&rig->generation->holders), 1);
    generation_release(rig->generation);
    generation_release(rig->before);
    worker_fini(&rig->worker);
    log_free(log);
    if (rig->log_fd >= 0)
        close(rig->log_fd);
}

char *rig_stop_and_read(struct proxy_rig *rig)
{
    int     fd = dup(rig->log_fd);
    off_t   len;
    char   *text;
    ssize_t got;

    rig_stop(rig);
    len = lseek(fd, 0, SEEK_END);
    text = malloc((size_t)len + 1);
    assert_non_null(text);
    got = pread(fd, text, (size_t)len, 0);
    assert_int_equal(got, len);
    text[len] = '\0';
    close(fd);
    return text;
}

/* ---- looking at it ---- */

bool rig_has_line(const char *log, const char *word, const char *other)
{
    for (const char *line = log; *line != '\0';) {
        size_t len = strcspn(line, "\n");

        if (memmem(line, len, word, strlen(word)) != NULL &&
            memmem(line, len, other, strlen(other)) != NULL)
            return true;
        line += len + (line[len] == '\n');
    }
    return false;
}

static size_t count(const struct route_worker *rw)
{
    size_t n = 0;

    if (rw == NULL)
        return 0;
    for (struct conversation *c = rw->conversations; c != NULL; c = conversation_next(c))
        n++;
    return n;
}

size_t rig_conversations(const struct proxy_rig *rig)
{
    return count(rig->rw) + count(rig->retired);
}

bool rig_got(struct sim_peer *peer, struct bytes expected)
{
    struct bytes got = sim_received(peer);
    bool         is = bytes_equal(got, expected);

    sim_take(peer, got.len);
    return is;
}

bool rig_is_error(struct bytes got, const char *sqlstate)
{
    struct error_response error;
    size_t                whole = got.len >= 5 ? bytes_u32(got.p + 1) + (size_t)1 : 0;

    return whole > 0 && whole <= got.len &&
           error_response_read(&error, bytes_first(got, whole)) &&
           error_response_has_code(&error, sqlstate);
}

bool rig_got_error(struct sim_peer *peer, const char *sqlstate)
{
    return rig_is_error(sim_received(peer), sqlstate);
}

void rig_log_in(struct proxy_rig *rig, struct sim_peer **client, struct sim_peer **server)
{
    *client = sim_connect(rig->loop, FRONT);
    assert_non_null(*client);
    sim_write(*client, STARTUP);
    sim_settle(rig->loop);
    *server = sim_accept(rig->loop, BACK);
    assert_non_null(*server);
    assert_true(rig_got(*server, STARTUP));
    sim_write(*server, LOGIN_WIRE);
    sim_settle(rig->loop);
    assert_true(rig_got(*client, LOGIN_WIRE));
}

/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/station.h"

#include <stdlib.h>

/* ---- calls into the worker's thread ---- */

struct order {
    struct loop_task         task;
    struct station          *station;
    struct generation       *generation; /* to prepare */
    const struct generation *next;       /* to commit */
    const struct listening  *listening;
    struct failure          *why;
    enum fail                result;
};

static enum fail carry_out(struct station *station, struct order *order,
                           void (*run)(struct loop_task *task))
{
    order->task.run = run;
    order->station = station;
    worker_call(&station->worker, &order->task);
    return order->result;
}

/* The same without waiting; the order frees itself. */
static void post(struct station *station, void (*run)(struct loop_task *task))
{
    struct order *order = calloc(1, sizeof *order);

    if (order == NULL)
        abort(); /* a program that cannot be told to stop is worse than one that stopped */
    order->task.run = run;
    order->station = station;
    worker_post(&station->worker, &order->task);
}

/* ---- the list of routes ---- */

static void on_emptied(struct route_worker *rw)
{
    struct station       *station = rw->owner;
    struct route_worker **link = &station->routes;

    while (*link != rw)
        link = &(*link)->next;
    *link = rw->next;
    route_worker_free(rw);
    if (station->routes == NULL && station->is_draining)
        station->emptied(station);
}

static void free_list(struct route_worker **list)
{
    while (*list != NULL) {
        struct route_worker *rw = *list;

        *list = rw->next;
        route_worker_free(rw);
    }
}

/* ---- prepare ---- */

static bool prepare_route(struct station *station, const struct route_worker_options *options,
                          struct failure *why)
{
    struct route_worker *rw = route_worker_new(options, why);

    if (rw == NULL)
        return false;
    rw->owner = station;
    rw->emptied = on_emptied;
    rw->next = station->prepared;
    station->prepared = rw;
    return true;
}

static void run_prepare(struct loop_task *task)
{
    struct order               *order = container_of(task, struct order, task);
    struct station             *station = order->station;
    struct route_worker_options options = { .generation = order->generation,
                                            .worker = &station->worker,
                                            .pool = trust_pool_new() };

    for (size_t i = 0; i < order->generation->settings->route_count; i++) {
        options.route = order->generation->routes[i];
        if (prepare_route(station, &options, order->why))
            continue;
        order->result = order->why->kind;
        free_list(&station->prepared);
        break;
    }
    trust_pool_free(options.pool);
}

enum fail station_prepare(struct station *station, struct generation *generation,
                          struct failure *why)
{
    struct order order = { .generation = generation, .why = why };

    return carry_out(station, &order, run_prepare);
}

static void run_forget(struct loop_task *task)
{
    free_list(&container_of(task, struct order, task)->station->prepared);
}

void station_forget_prepared(struct station *station)
{
    struct order order = { 0 };

    (void)carry_out(station, &order, run_forget);
}

/* ---- commit ---- */

static enum fail start_listening(struct station *station, const struct listening *listening,
                                 struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (struct route_worker *rw = station->prepared; rw != NULL; rw = rw->next)
        for (size_t i = 0; rc == FAIL_NONE && i < listening->count; i++) {
            const struct listening_entry *entry = &listening->entries[i];

            if (entry->route == rw->route->settings)
                rc = route_worker_listen(rw, listening_fd(entry, station->worker.index),
                                         listening_is_shared(entry), why);
        }
    return rc;
}

/* What served until now: its sessions live on where the route does. */
static void dismiss(struct route_worker *old, const struct generation *generation)
{
    struct route_worker *next;

    for (; old != NULL; old = next) {
        next = old->next;
        if (generation_route(generation, old->route->settings->name) == NULL)
            route_worker_drain(old);
        else if (old->state == ROUTE_SERVING)
            route_worker_retire(old);
    }
}

/* Puts what was prepared in front of what is still in use. */
static void adopt_prepared(struct station *station)
{
    struct route_worker **end = &station->prepared;

    while (*end != NULL)
        end = &(*end)->next;
    *end = station->routes;
    station->routes = station->prepared;
    station->prepared = NULL;
}

static void stop_listening(const struct station *station)
{
    for (struct route_worker *rw = station->routes; rw != NULL; rw = rw->next)
        route_worker_stop_listening(rw);
}

static void run_commit(struct loop_task *task)
{
    struct order   *order = container_of(task, struct order, task);
    struct station *station = order->station;

    stop_listening(station);
    order->result = start_listening(station, order->listening, order->why);
    dismiss(station->routes, order->next);
    adopt_prepared(station);
}

enum fail station_commit(struct station *station, const struct generation *generation,
                         const struct listening *listening, struct failure *why)
{
    struct order order = { .next = generation, .listening = listening, .why = why };

    return carry_out(station, &order, run_commit);
}

/* ---- the end ---- */

static void run_stop_listening(struct loop_task *task)
{
    stop_listening(container_of(task, struct order, task)->station);
}

void station_stop_listening(struct station *station)
{
    struct order order = { 0 };

    (void)carry_out(station, &order, run_stop_listening);
}

static void run_drain(struct loop_task *task)
{
    struct order        *order = container_of(task, struct order, task);
    struct station      *station = order->station;
    struct route_worker *next;

    free(order);
    if (station->routes == NULL) {
        station->emptied(station);
        return;
    }
    station->is_draining = true;
    for (struct route_worker *rw = station->routes; rw != NULL; rw = next) {
        next = rw->next;
        route_worker_drain(rw);
    }
}

void station_drain(struct station *station)
{
    post(station, run_drain);
}

static void run_stop(struct loop_task *task)
{
    struct order   *order = container_of(task, struct order, task);
    struct station *station = order->station;

    free(order);
    for (struct route_worker *rw = station->routes; rw != NULL; rw = rw->next)
        route_worker_stop(rw);
}

void station_stop(struct station *station)
{
    post(station, run_stop);
}

enum fail station_start(struct station *station, unsigned index, unsigned of,
                        enum loop_kind kind, struct log *log, struct failure *why)
{
    enum fail rc = worker_start(&station->worker, index, of, kind, log, why);

    station->is_running = rc == FAIL_NONE;
    return rc;
}

static void run_end(struct loop_task *task)
{
    struct station *station = container_of(task, struct order, task)->station;

    free_list(&station->prepared);
    free_list(&station->routes);
}

void station_end(struct station *station)
{
    struct order order = { 0 };

    if (!station->is_running)
        return;
    (void)carry_out(station, &order, run_end);
    worker_stop(&station->worker);
    station->is_running = false;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "sim/proxy_rig.h"

#include "harness/check.h"
#include "pg/error_response.h"
#include "proxy/conversation.h"

#include <stdio.h>

static void on_emptied(struct route_worker *rw)
{
    struct proxy_rig *rig = rw->owner;

    assert_ptr_equal(rig->rw, rw);
    rig->rw = NULL;
    route_worker_free(rw);
}

static struct proxy_settings *load(const char *listener, const char *backend,
                                   const char *limits)
{
    char                   text[4096];
    struct conf_problems   problems = { .file = "sim.toml" };
    struct proxy_settings *settings;

    snprintf(text, sizeof text,
             "[[proxy]]\nname = \"sim\"\n[proxy.listener]\nbind_address = \"" FRONT "\"\n%s\n"
             "[proxy.backend]\naddress = \"" BACK "\"\n%s\n[proxy.limits]\n%s\n",
             listener, backend, limits);
    settings = settings_load_text("sim.toml", bytes_of_string(text), &problems);
    for (size_t i = 0; settings == NULL && i < problems.count; i++)
        print_error("%s\n", problems.items[i].text);
    assert_non_null(settings);
    conf_problems_fini(&problems);
    return settings;
}

void rig_start_with(struct proxy_rig *rig, uint64_t seed, const char *listener,
                    const char *backend, const char *limits)
{
    struct conf_problems problems = { .file = "sim.toml" };
    struct failure       why = { 0 };

    *rig = (struct proxy_rig){ .loop = sim_loop_new(seed) };
    rig->generation = generation_new(load(listener, backend, limits), NULL, &problems);
    for (size_t i = 0; rig->generation == NULL && i < problems.count; i++)
        print_error("%s\n", problems.items[i].text);
    assert_non_null(rig->generation);
    conf_problems_fini(&problems);
    assert_int_equal(worker_init(&rig->worker, 0, 1, rig->loop, NULL, &why), FAIL_NONE);
    rig->rw = route_worker_new(rig->generation, rig->generation->routes[0], &rig->worker, &why);
    assert_non_null(rig->rw);
    rig->rw->emptied = on_emptied;
    rig->rw->owner = rig;
    assert_int_equal(route_worker_listen(rig->rw, sim_listen(rig->loop, FRONT), false, &why),
                     FAIL_NONE);
    sim_serve(rig->loop, BACK, SIM_ACCEPTS);
}

void rig_start(struct proxy_rig *rig, uint64_t seed, const char *limits)
{
    rig_start_with(rig, seed, "sslmode = \"disable\"", "sslmode = \"disable\"", limits);
}

size_t rig_conversations(const struct proxy_rig *rig)
{
    size_t count = 0;

    if (rig->rw == NULL)
        return 0;
    for (struct conversation *c = rig->rw->conversations; c != NULL; c = conversation_next(c))
        count++;
    return count;
}

void rig_stop(struct proxy_rig *rig)
{
    if (rig->rw != NULL)
        route_worker_drain(rig->rw);
    if (rig->rw != NULL)
        route_worker_stop(rig->rw);
    sim_run_for(rig->loop, SECONDS(10));
    assert_null(rig->rw);
    assert_int_equal(atomic_load(&rig->generation->routes[0]->tally->sessions), 0);
    assert_int_equal(atomic_load(&rig->generation->holders), 1);
    generation_release(rig->generation);
    worker_fini(&rig->worker);
}

bool rig_got(struct sim_peer *peer, struct bytes expected)
{
    struct bytes got = sim_received(peer);
    bool         is = bytes_equal(got, expected);

    sim_take(peer, got.len);
    return is;
}

bool rig_got_error(struct sim_peer *peer, const char *sqlstate)
{
    struct bytes          got = sim_received(peer);
    struct error_response error;
    size_t                whole = got.len >= 5 ? bytes_u32(got.p + 1) + (size_t)1 : 0;

    return whole > 0 && whole <= got.len &&
           error_response_read(&error, bytes_first(got, whole)) &&
           error_response_has_code(&error, sqlstate);
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
    sim_write(*server, AUTH_OK_WIRE);
    sim_write(*server, KEY_WIRE);
    sim_write(*server, READY_WIRE);
    sim_settle(rig->loop);
    assert_true(
        rig_got(*client, BYTES("R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\1\0\0\0\2Z\0\0\0\x05I")));
}

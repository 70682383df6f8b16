/* SPDX-License-Identifier: PostgreSQL */
/* What can be done once for a worker is not done again for each connection. */
#include "tls/engine_parts.h"
#include "tls/key_schedule.h"
#include "tls/tickets.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/lookups.h"
#include "harness/tls_pair.h"

static struct tls_pki          pki;
static struct tls_ticket_keys *keys;

static int make_pki(void **state)
{
    tls_pki_init(&pki);
    keys = tls_ticket_keys_random(NULL);
    return keys == NULL;
}

static int remove_pki(void **state)
{
    tls_ticket_keys_release(keys);
    tls_pki_fini(&pki);
    return 0;
}

struct worker {
    struct tls_context *client, *server;
};

static struct tls_context *new_context(const struct tls_policy_options *options)
{
    struct failure      why = { 0 };
    struct tls_policy  *policy = tls_policy_new(options, &why);
    struct tls_context *context = policy != NULL ? tls_context_new(policy, &why) : NULL;

    assert_non_null(context);
    tls_policy_release(policy);
    return context;
}

/* Everything that costs something: certificates on both sides, and tickets. */
static struct worker new_worker(void)
{
    return (struct worker){
        new_context(&(struct tls_policy_options){ .role = TLS_CLIENT,
                                                  .identity = pki.client,
                                                  .peer_check = TLS_PEER_NAME,
                                                  .trust = pki.trust }),
        new_context(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                  .identity = pki.server,
                                                  .peer_check = TLS_PEER_CHAIN,
                                                  .trust = pki.trust,
                                                  .ticket_keys = keys,
                                                  .ticket_scope = BYTES("once") }),
    };
}

static void end_worker(struct worker *worker)
{
    tls_context_release(worker->client);
    tls_context_release(worker->server);
}

static void say(struct tls_side *from, struct tls_side *to)
{
    struct buf plain = BUF_LIMIT(100);

    assert_int_equal(tls_engine_write(from->engine, BYTES("text"), &from->out), FAIL_NONE);
    assert_int_equal(tls_pair_carry(from, to, SIZE_MAX, &plain), TLS_WANT_MORE);
    buf_fini(&plain);
}

/* Both ends, from the first byte to the last. */
static void connect_once(const struct worker *worker)
{
    static const struct tls_engine_options options = { .wall_s = CERTS_NOW,
                                                       .verify_name = "db.example.com",
                                                       .sni = "db.example.com",
                                                       .alpn = "postgresql" };
    struct tls_pair                        pair;

    tls_pair_init(&pair, tls_engine_new(worker->client, &options, NULL),
                  tls_engine_new(worker->server, &options, NULL));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_int_equal(pair.client.verdict, TLS_DONE);
    say(&pair.client, &pair.server);
    say(&pair.server, &pair.client);
    tls_pair_fini(&pair);
}

static void nothing_is_fetched_for_a_connection(void **state)
{
    struct worker worker = new_worker();

    assert_true(lookups_take() > 0); /* they are counted */
    connect_once(&worker);
    lookups_take();
    for (int i = 0; i < 3; i++) {
        connect_once(&worker);
        assert_int_equal(lookups_take(), 0);
    }
    end_worker(&worker);
}

#define MOST 20

/* It is 17 for both ends, what they send included.  Whoever needs more should know. */
static void a_connection_takes_few_allocations_of_ours(void **state)
{
    struct worker worker = new_worker();

    connect_once(&worker);
    alloc_fail_at(MOST + 1);
    connect_once(&worker);
    assert_false(alloc_has_failed());
    end_worker(&worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_fetched_for_a_connection),
        cmocka_unit_test(a_connection_takes_few_allocations_of_ours),
    };

    if (!tls_key_schedule_start())
        return 1;
    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}

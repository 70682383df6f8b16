/* SPDX-License-Identifier: PostgreSQL */
#include "sim/talker.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "tls/engine_parts.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST ((size_t)64 << 20)

/* ---- talking ---- */

void talker_init(struct talker *talker, struct sim_peer *wire)
{
    *talker = (struct talker){
        .wire = wire,
        .heard = BUF_LIMIT(MOST),
        .raw = BUF_LIMIT(MOST),
        .verdict = TLS_WANT_MORE,
    };
}

void talker_fini(struct talker *talker)
{
    tls_engine_free(talker->tls);
    buf_fini(&talker->heard);
    buf_fini(&talker->raw);
    *talker = (struct talker){ .wire = NULL };
}

static bool can_write(const struct talker *talker)
{
    return !sim_saw_reset(talker->wire);
}

static void flip(struct talker *talker, struct buf *out)
{
    if (talker->flip_in > 0 && talker->flip_in <= out->len)
        out->memory[out->head + talker->flip_in - 1] ^= 4;
    talker->flip_in -= talker->flip_in > out->len ? out->len : talker->flip_in;
}

/* Sends what the engine wants sent. */
static void post(struct talker *talker, struct buf *out)
{
    assert_true(buf_ok(out));
    flip(talker, out);
    if (out->len > 0 && can_write(talker))
        sim_write(talker->wire, buf_bytes(out));
    buf_fini(out);
}

static void shake_hands(struct talker *talker, struct bytes *in)
{
    struct buf out = BUF_LIMIT(MOST);

    talker->verdict = tls_engine_handshake(talker->tls, in, &out);
    talker->is_secure = talker->verdict == TLS_DONE;
    post(talker, &out);
}

void talker_start_tls(struct talker *talker, struct tls_engine *engine)
{
    struct bytes nothing = { NULL, 0 };

    talker->tls = engine;
    shake_hands(talker, &nothing);
}

void talker_say(struct talker *talker, struct bytes plain)
{
    struct buf out = BUF_LIMIT(MOST);

    if (talker->tls == NULL) {
        sim_write(talker->wire, plain);
        return;
    }
    if (talker->verdict == TLS_FAILED)
        return;
    assert_int_equal(tls_engine_write(talker->tls, plain, &out), FAIL_NONE);
    post(talker, &out);
}

void talker_update_keys(struct talker *talker)
{
    struct buf out = BUF_LIMIT(MOST);

    talker->tls->out = &out;
    assert_int_equal(SSL_key_update(talker->tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(talker->tls->ssl), 1);
    talker->tls->out = NULL;
    assert_true(out.len > 0);
    post(talker, &out);
}

void talker_finish(struct talker *talker)
{
    struct buf out = BUF_LIMIT(MOST);

    if (talker->tls != NULL)
        tls_engine_close(talker->tls, &out);
    post(talker, &out);
    sim_finish(talker->wire);
}

/* ---- hearing ---- */

static void measure_records(struct talker *talker)
{
    struct bytes wire = buf_bytes(&talker->raw);

    while (wire.len >= 5 && wire.len >= 5 + (size_t)bytes_u16(wire.p + 3)) {
        size_t len = bytes_u16(wire.p + 3);

        if (wire.p[0] == 23 && len > talker->largest_record)
            talker->largest_record = len;
        bytes_skip(&wire, 5 + len);
    }
    buf_skip(&talker->raw, talker->raw.len - wire.len);
}

static void read_records(struct talker *talker, struct bytes *in)
{
    struct buf out = BUF_LIMIT(MOST);
    uint8_t    room[4096];
    size_t     got;

    do {
        talker->verdict = tls_engine_read(talker->tls, in, room, sizeof room, &got, &out);
        buf_put(&talker->heard, bytes_of(room, got));
    } while (talker->verdict == TLS_DONE);
    talker->has_closed |= talker->verdict == TLS_CLOSED;
    post(talker, &out);
}

static void hear_tls(struct talker *talker, struct bytes in)
{
    buf_put(&talker->raw, in);
    measure_records(talker);
    if (!talker->is_secure && talker->verdict == TLS_WANT_MORE)
        shake_hands(talker, &in);
    if (talker->is_secure && talker->verdict != TLS_FAILED)
        read_records(talker, &in);
}

/* Whether anything came. */
static bool hear(struct talker *talker)
{
    struct bytes in;
    struct buf   copy = BUF_LIMIT(MOST);

    if (talker == NULL || talker->wire == NULL || sim_received(talker->wire).len == 0)
        return false;
    in = sim_received(talker->wire);
    buf_put(&copy, in);
    sim_take(talker->wire, in.len);
    if (talker->tls != NULL)
        hear_tls(talker, buf_bytes(&copy));
    else
        buf_put(&talker->heard, buf_bytes(&copy));
    buf_fini(&copy);
    return true;
}

void talkers_settle(struct loop *loop, struct talker *a, struct talker *b)
{
    bool moved = true;

    while (moved) {
        sim_settle(loop);
        alloc_pause(true);
        moved = hear(a);
        moved = hear(b) || moved;
        alloc_pause(false);
    }
}

bool talker_heard(struct talker *talker, struct bytes expected)
{
    bool is = bytes_equal(buf_bytes(&talker->heard), expected);

    buf_clear(&talker->heard);
    return is;
}

bool talker_heard_error(struct talker *talker, const char *sqlstate)
{
    return rig_is_error(buf_bytes(&talker->heard), sqlstate);
}

enum talk_end talker_end(const struct talker *talker)
{
    if (sim_saw_reset(talker->wire))
        return TALK_RESET;
    if (!sim_saw_end(talker->wire))
        return TALK_OPEN;
    return talker->tls == NULL || talker->has_closed ? TALK_ENDED : TALK_CUT_SHORT;
}

/* ---- certificates ---- */

static struct sim_pki *the_pki;

static char *write_leaf(const struct tls_pki *pki, const char *name, const struct cert *cert)
{
    const struct cert *const chain[] = { cert, &pki->issuing, NULL };

    return certs_write_chain(pki->dir, name, chain);
}

static void write_files(struct sim_pki *pki)
{
    const struct cert *const root[] = { &pki->good.root, NULL };
    const char              *dir = pki->good.dir;
    char                    *files[] = {
                           write_leaf(&pki->good, "server.crt", &pki->good.server_cert),
                           certs_write_key(dir, "server.key", &pki->good.server_cert),
                           write_leaf(&pki->good, "client.crt", &pki->good.client_cert),
                           certs_write_key(dir, "client.key", &pki->good.client_cert),
                           certs_write_chain(dir, "root.crt", root),
    };

    snprintf(pki->tls, sizeof pki->tls, "server_cert = \"%s\"\nserver_key = \"%s\"\n", files[0],
             files[1]);
    snprintf(pki->mtls, sizeof pki->mtls, "%sclient_ca = \"%s\"\n", pki->tls, files[4]);
    snprintf(pki->root_ca, sizeof pki->root_ca, "root_ca = \"%s\"\n", files[4]);
    snprintf(pki->shows, sizeof pki->shows, "client_cert = \"%s\"\nclient_key = \"%s\"\n",
             files[2], files[3]);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        free(files[i]);
}

const struct sim_pki *sim_pki(void)
{
    const struct cert *chain[] = { NULL, NULL, NULL };

    if (the_pki != NULL)
        return the_pki;
    the_pki = calloc(1, sizeof *the_pki);
    assert_non_null(the_pki);
    tls_pki_init(&the_pki->good);
    tls_pki_init(&the_pki->other);
    the_pki->bob_cert =
        cert_make(&(struct cert_spec){ .common_name = "bob", .usage = "clientAuth" },
                  &the_pki->good.issuing);
    chain[0] = &the_pki->bob_cert;
    chain[1] = &the_pki->good.issuing;
    the_pki->bob = tls_pki_identity(&the_pki->good, chain);
    write_files(the_pki);
    return the_pki;
}

void sim_pki_free(void)
{
    if (the_pki == NULL)
        return;
    identity_release(the_pki->bob);
    cert_free(&the_pki->bob_cert);
    tls_pki_fini(&the_pki->good);
    tls_pki_fini(&the_pki->other);
    free(the_pki);
    the_pki = NULL;
}

struct tls_engine *sim_client_engine(struct identity *identity)
{
    return tls_pair_engine(
        &(struct tls_policy_options){
            .role = TLS_CLIENT, .identity = identity, .record_layer = TLS_RECORDS_LIBRARY },
        &(struct tls_engine_options){ .alpn = "postgresql", .wall_s = CERTS_NOW });
}

struct tls_engine *sim_server_engine(struct identity *identity, struct trust *trust)
{
    return tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_SERVER,
                                      .record_layer = TLS_RECORDS_LIBRARY,
                                      .identity = identity,
                                      .trust = trust,
                                      .peer_check =
                                          trust != NULL ? TLS_PEER_CHAIN : TLS_PEER_ANY },
        &(struct tls_engine_options){ .alpn = "postgresql", .wall_s = CERTS_NOW });
}

/* ---- whole legs ---- */

void sim_start(struct proxy_rig *rig, uint64_t seed, const struct rig_route *route)
{
    rig_start_route(rig, seed, route);
    sim_set_wall(rig->loop, CERTS_NOW);
}

void sim_connect_tls(struct proxy_rig *rig, struct talker *client, struct identity *identity)
{
    talker_init(client, sim_connect(rig->loop, FRONT));
    assert_non_null(client->wire);
    sim_write(client->wire, SSL_REQUEST);
    sim_settle(rig->loop);
    assert_true(rig_got(client->wire, BYTES("S")));
    talker_start_tls(client, sim_client_engine(identity));
    talkers_settle(rig->loop, client, NULL);
}

void sim_accept_clear(struct proxy_rig *rig, struct talker *server)
{
    sim_settle(rig->loop);
    talker_init(server, sim_accept(rig->loop, BACK));
    assert_non_null(server->wire);
}

void sim_accept_tls(struct proxy_rig *rig, struct talker *client, struct talker *server,
                    struct tls_engine *engine)
{
    sim_accept_clear(rig, server);
    sim_settle(rig->loop);
    assert_true(rig_got(server->wire, SSL_REQUEST));
    sim_write(server->wire, BYTES("S"));
    talker_start_tls(server, engine);
    talkers_settle(rig->loop, client, server);
}

void sim_log_in(struct proxy_rig *rig, struct sim_legs legs, struct talker *client,
                struct talker *server)
{
    if (legs.client)
        sim_connect_tls(rig, client, sim_pki()->good.client);
    else
        talker_init(client, sim_connect(rig->loop, FRONT));
    talker_say(client, STARTUP);
    talkers_settle(rig->loop, client, NULL);
    if (legs.server)
        sim_accept_tls(rig, client, server, sim_server_engine(sim_pki()->good.server, NULL));
    else
        sim_accept_clear(rig, server);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(server, STARTUP));
    talker_say(server, LOGIN_WIRE);
    talkers_settle(rig->loop, client, server);
    assert_true(talker_heard(client, LOGIN_WIRE));
}

void sim_start_legs(struct proxy_rig *rig, uint64_t seed, struct sim_legs legs,
                    const char *limits)
{
    char listener[1024], backend[512];

    snprintf(listener, sizeof listener, "%s",
             legs.client ? sim_pki()->mtls : "sslmode = \"disable\"");
    snprintf(backend, sizeof backend, "%s",
             legs.server ? sim_pki()->root_ca : "sslmode = \"disable\"");
    sim_start(
        rig, seed,
        &(struct rig_route){ .listener = listener, .backend = backend, .limits = limits });
}

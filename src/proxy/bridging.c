/* SPDX-License-Identifier: PostgreSQL */
/* How SCRAM passes between the two legs, and the login that is made of two. */
#include "proxy/conversation_state.h"

#include <stdlib.h>

/* ---- which way ---- */

static const struct identity *shown_to_client(const struct conversation *c)
{
    return leg_facts(&c->client.leg) != NULL ? tls_engine_own_identity(c->client.leg.tls)
                                             : NULL;
}

/* Channel binding passes where the client sees the server's own certificate. */
static bool shows_leaf_of_server(const struct conversation *c)
{
    const struct identity *shown = shown_to_client(c);

    return shown != NULL && leg_facts(&c->backend.leg) != NULL &&
           tls_engine_peer_is(c->backend.leg.tls, identity_leaf_der(shown));
}

static const struct scram_verifier *verifier_of_user(const struct conversation *c)
{
    const struct approach       *a = c->approach;
    const struct scram_verifier *listed =
        c->route->users != NULL ? userlist_find(c->route->users, c->user) : NULL;

    return listed != NULL ? listed : a->has_verifier ? &a->verifier : NULL;
}

static bool takes_bridge(const struct conversation *c, const struct login_legs *legs,
                         const struct scram_verifier *verifier)
{
    switch ((enum scram_way)backend_settings(c)->scram) {
    case SCRAM_BRIDGE: return true;
    case SCRAM_AUTO:
        return legs->client_tls && legs->server_tls && !legs->binding_passes &&
               verifier != NULL;
    default: return false;
    }
}

static bool strips(const struct conversation *c, const struct login_legs *legs)
{
    switch ((enum scram_way)backend_settings(c)->scram) {
    case SCRAM_STRIP: return true;
    case SCRAM_AUTO: return legs->server_tls && !legs->client_tls;
    default: return false;
    }
}

/* Said once a route: every further login would say the same. */
static void report_undefined(struct conversation *c, const struct endpoint_hash *server)
{
    struct failure why = { 0 };

    if (server == NULL || server->len > 0 ||
        atomic_exchange(&c->route->tally->undefined_told, true))
        return;
    (void)fail(&why, FAIL_REFUSED,
               "the server's certificate is signed with %s, for which channel binding is not "
               "defined: the bridge logs in without it",
               server->signature);
    report_failure(c, EVENT_CHANNEL_BINDING, "login", &why);
}

/* Likewise: a client that demands channel binding is refused by itself, and cannot know why. */
static void report_withheld(struct conversation *c)
{
    struct failure why = { 0 };

    if (!c->approach->bridge->withholds_plus ||
        atomic_exchange(&c->route->tally->withheld_told, true))
        return;
    (void)fail(
        &why, FAIL_REFUSED,
        "the login to the server is not bound to its certificate, which is not verified: "
        "clients are not offered channel binding either");
    fail_hint(
        &why,
        "set root_ca with sslmode = \"verify-full\", or sslmode = \"disable\" where the way "
        "there is safe");
    report_failure(c, EVENT_CHANNEL_BINDING, "login", &why);
}

/* Is the far end the server, by its certificate or because the configuration says so? */
static bool may_be_else(const struct conversation *c)
{
    const struct tls_facts *facts = leg_facts(&c->backend.leg);

    return backend_settings(c)->sslmode != SSLMODE_DISABLE &&
           (facts == NULL || !facts->peer_verified);
}

static bool build_bridge(struct conversation *c, const struct scram_verifier *verifier)
{
    const struct identity      *shown = shown_to_client(c);
    const struct tls_facts     *facts = leg_facts(&c->backend.leg);
    const struct endpoint_hash *server = facts != NULL ? facts->peer_endpoint : NULL;
    struct bridge_options       options = {
              .user = c->user,
              .verifier = verifier,
              .only_scram = backend_settings(c)->scram == SCRAM_BRIDGE,
              .may_be_else = may_be_else(c),
    };

    if (shown != NULL)
        options.own_hash = endpoint_hash_bytes(identity_endpoint_hash(shown));
    if (server != NULL)
        options.server_hash = endpoint_hash_bytes(server);
    c->approach->bridge = calloc(1, sizeof *c->approach->bridge);
    if (c->approach->bridge == NULL)
        return false;
    bridge_init(c->approach->bridge, &options);
    report_undefined(c, server);
    return true;
}

bool bridging_start(struct conversation *c)
{
    struct approach             *a = c->approach;
    const struct scram_verifier *verifier = verifier_of_user(c);
    struct login_legs            legs = {
                   .client_tls = leg_facts(&c->client.leg) != NULL,
                   .server_tls = leg_facts(&c->backend.leg) != NULL,
                   .binding_passes = shows_leaf_of_server(c),
    };

    legs.strips_plus = strips(c, &legs);
    login_fini(&a->login);
    bridging_stop(a);
    if (takes_bridge(c, &legs, verifier)) {
        legs.binding_passes = true;
        if (!build_bridge(c, verifier)) {
            conversation_close(c, END_NO_MEMORY);
            return false;
        }
    }
    login_init(&a->login, &legs);
    return true;
}

void bridging_stop(struct approach *a)
{
    if (a->bridge == NULL)
        return;
    bridge_fini(a->bridge);
    free(a->bridge);
    a->bridge = NULL;
}

/* ---- its messages ---- */

/* What it said to both sides within one call. */
struct said {
    struct buf to_client, to_server;
};

static struct said said_init(struct conversation *c)
{
    return (struct said){ buffers_take(&c->rw->worker->buffers),
                          buffers_take(&c->rw->worker->buffers) };
}

static void said_fini(struct conversation *c, struct said *said)
{
    buffers_give(&c->rw->worker->buffers, &said->to_client);
    buffers_give(&c->rw->worker->buffers, &said->to_server);
}

/* The login watches what the client gets as if the server had said it. */
static enum login_verdict hand_out(struct conversation *c, struct said *said, struct buf *out)
{
    struct bytes       for_client = buf_bytes(&said->to_client);
    enum login_verdict verdict = LOGIN_WANT_MORE;

    if (for_client.len > 0)
        verdict = login_feed(&c->approach->login, &for_client, out);
    if (said->to_server.len > 0 &&
        pump_write(&c->backend, buf_bytes(&said->to_server)) != FAIL_NONE)
        c->approach->bridged = BRIDGE_BROKEN;
    pump_flush(&c->backend);
    return verdict;
}

/* Both logins are done, or there is only one: the rest passes as it is. */
static void take_away(struct conversation *c)
{
    struct approach *a = c->approach;
    struct bytes     waiting = bridge_waiting(a->bridge);

    a->was_bridged = a->login.authenticated;
    if (waiting.len > 0 && pump_write(&c->backend, waiting) != FAIL_NONE)
        a->bridged = BRIDGE_BROKEN;
    pump_flush(&c->backend);
    bridging_stop(a);
}

enum login_verdict bridging_from_server(struct conversation *c, struct bytes *in,
                                        struct buf *out)
{
    struct approach   *a = c->approach;
    struct said        said = said_init(c);
    enum login_verdict verdict;

    a->bridged = bridge_from_server(a->bridge, in, &said.to_client, &said.to_server);
    report_withheld(c);
    verdict = hand_out(c, &said, out);
    said_fini(c, &said);
    if (a->bridged != BRIDGE_PASSES || verdict != LOGIN_WANT_MORE)
        return verdict;
    take_away(c);
    return login_feed(&a->login, in, out);
}

void bridging_from_client(struct conversation *c, struct bytes data)
{
    struct approach *a = c->approach;
    struct said      said = said_init(c);
    struct buf       out = buffers_take(&c->rw->worker->buffers);
    bool             complete;

    relay_from_client(&c->relay, data);
    a->bridged = bridge_from_client(a->bridge, data, &said.to_client, &said.to_server);
    (void)hand_out(c, &said, &out);
    said_fini(c, &said);
    complete = out.len == 0 || pump_write(&c->client, buf_bytes(&out)) == FAIL_NONE;
    complete = complete && buf_ok(&out);
    buffers_give(&c->rw->worker->buffers, &out);
    pump_flush(&c->client);
    if (!complete)
        conversation_close(c, END_NO_MEMORY);
    else
        (void)bridging_goes_on(c);
}

static void is_broken(struct conversation *c, const struct failure *why)
{
    if (why->kind == FAIL_MEMORY || !failed(why)) {
        conversation_close(c, END_NO_MEMORY);
        return;
    }
    report_failure(c, EVENT_BACKEND_CONNECT_FAILED, "login", why);
    conversation_refuse(c, END_PROTOCOL, "08P01", "the database server broke the protocol",
                        NULL);
}

bool bridging_goes_on(struct conversation *c)
{
    struct approach *a = c->approach;
    struct failure   why = { 0 };

    if (a->bridged != BRIDGE_REFUSED && a->bridged != BRIDGE_BROKEN)
        return true;
    if (a->bridge != NULL) {
        why = a->bridge->why;
        if (bridge_is_outdated(a->bridge))
            looking_up_forget(c);
    }
    bridging_stop(a);
    if (a->bridged == BRIDGE_BROKEN) {
        is_broken(c, &why);
        return false;
    }
    report_failure(c, EVENT_AUTH_FAILED, "login", &why);
    conversation_end(c, END_AUTH_FAILED, true);
    return false;
}

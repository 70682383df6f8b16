/* SPDX-License-Identifier: PostgreSQL */
#include "session/bridge.h"

#include "base/secret.h"
#include "pg/error_response.h"
#include "pg/frame.h"
#include "pg/sasl.h"

#include <stdio.h>

#define SCRAM "SCRAM-SHA-256"
#define PLUS  "SCRAM-SHA-256-PLUS"

/* Where what is said goes, within one call. */
struct ends {
    struct buf *to_client, *to_server;
};

void bridge_init(struct bridge *bridge, const struct bridge_options *options)
{
    const struct scram_server_options client_side = {
        .offers_plus = options->own_hash.len > 0,
        .hash = options->own_hash,
    };

    *bridge = (struct bridge){
        .user = options->user,
        .is_known = options->verifier != NULL,
        .only_scram = options->only_scram,
        .may_be_else = options->may_be_else,
        .server_hash = options->server_hash,
        .offers_plus = client_side.offers_plus,
        .waiting = BUF_LIMIT(BRIDGE_CLIENT_MOST),
    };
    if (options->verifier != NULL)
        bridge->verifier = *options->verifier;
    collector_init(&bridge->from_server, BRIDGE_SERVER_MOST);
    collector_init(&bridge->from_client, BRIDGE_CLIENT_MOST);
    scram_server_init(&bridge->client_side, &client_side);
}

void bridge_fini(struct bridge *bridge)
{
    scram_server_fini(&bridge->client_side);
    scram_client_fini(&bridge->server_side);
    collector_fini(&bridge->from_server);
    collector_fini(&bridge->from_client);
    secret_wipe_buf(&bridge->waiting);
    secret_wipe(bridge, sizeof *bridge);
}

bool bridge_is_outdated(const struct bridge *bridge)
{
    return bridge->is_known && bridge->server_side.stretch.salt_len > 0 &&
           !scram_stretch_equal(&bridge->verifier.stretch, &bridge->server_side.stretch);
}

/* ---- ends ---- */

static enum bridge_verdict broken(struct bridge *bridge, const char *what)
{
    (void)fail(&bridge->why, FAIL_PROTOCOL, "the server broke the protocol: %s", what);
    return BRIDGE_BROKEN;
}

/* `why` says it already. */
static enum bridge_verdict failed_within(struct bridge *bridge)
{
    (void)fail(&bridge->why, FAIL_MEMORY, "out of memory");
    return BRIDGE_BROKEN;
}

static enum bridge_verdict refuse(struct bridge *bridge, struct ends ends,
                                  const struct error_response *error)
{
    (void)fail(&bridge->why, FAIL_REFUSED, "%s%s%s", error->message,
               error->detail != NULL ? ": " : "", error->detail != NULL ? error->detail : "");
    error_response_write(ends.to_client, error);
    return buf_ok(ends.to_client) ? BRIDGE_REFUSED : failed_within(bridge);
}

/* The same words for all of them: a client is not told which it was. */
static enum bridge_verdict refuse_password(struct bridge *bridge, struct ends ends)
{
    char                  message[256];
    struct error_response error = { .severity = "FATAL", .code = "28P01", .message = message };

    snprintf(message, sizeof message, "password authentication failed for user \"%.200s\"",
             bridge->user);
    if (!bridge->is_known) {
        (void)fail(&bridge->why, FAIL_REFUSED, "no verifier is known for the user");
        fail_hint(&bridge->why,
                  "add the user to auth_file, or let auth_query return a verifier");
    } else if (bridge_is_outdated(bridge)) {
        (void)fail(&bridge->why, FAIL_REFUSED,
                   "the salt or iteration count of the user's verifier is not the server's");
        fail_hint(&bridge->why, "copy the verifier from pg_authid.rolpassword again");
    } else {
        (void)fail(&bridge->why, FAIL_REFUSED, "the password is wrong");
    }
    return refuse(bridge, ends, &error);
}

static enum bridge_verdict refuse_scram(struct bridge *bridge, struct ends ends)
{
    const struct scram_refusal *refusal = &bridge->client_side.refusal;

    if (refusal->message == NULL)
        return refuse_password(bridge, ends);
    return refuse(bridge, ends,
                  &(struct error_response){ .severity = "FATAL",
                                            .code = refusal->sqlstate,
                                            .message = refusal->message,
                                            .detail = refusal->detail });
}

static enum bridge_verdict refuse_layout(struct bridge *bridge, struct ends ends,
                                         const char *message)
{
    return refuse(
        bridge, ends,
        &(struct error_response){ .severity = "FATAL", .code = "08P01", .message = message });
}

static enum bridge_verdict go_on(struct bridge *bridge, struct ends ends,
                                 enum bridge_state next)
{
    bridge->state = next;
    return buf_ok(ends.to_client) && buf_ok(ends.to_server) ? BRIDGE_WANT_MORE
                                                            : failed_within(bridge);
}

static enum bridge_verdict end(struct bridge *bridge, struct bytes message, struct ends ends)
{
    buf_put(ends.to_client, message);
    bridge->state = BRIDGE_OVER;
    return buf_ok(ends.to_client) ? BRIDGE_PASSES : failed_within(bridge);
}

/* ---- the server's messages ---- */

/* The strongest flag that is true (scram/client.h). */
static enum scram_flag flag_for(const struct bridge *bridge, struct bytes message)
{
    if (bridge->server_hash.len == 0)
        return SCRAM_UNABLE;
    return sasl_offers(message, PLUS) ? SCRAM_BOUND : SCRAM_UNOFFERED;
}

/* The client may bind to us only if nobody can stand between us and the server. */
static void offer_plus(struct bridge *bridge)
{
    bridge->withholds_plus = bridge->offers_plus && bridge->may_be_else && !bridge->is_bound;
    if (bridge->withholds_plus)
        bridge->offers_plus = bridge->client_side.offers_plus = false;
}

/* Our own exchange begins at once: its salt is what the client is shown. */
static enum bridge_verdict begin(struct bridge *bridge, enum scram_flag flag, struct ends ends)
{
    const struct scram_client_options options = { .flag = flag, .hash = bridge->server_hash };
    struct buf                        first = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail                         rc;

    bridge->is_bound = flag == SCRAM_BOUND;
    offer_plus(bridge);
    scram_client_init(&bridge->server_side, &options);
    rc = scram_client_first(&bridge->server_side, &first, &bridge->why);
    if (rc == FAIL_NONE) {
        sasl_write_initial(ends.to_server, scram_client_mechanism(&bridge->server_side),
                           buf_bytes(&first));
        sasl_write_list(ends.to_client, bridge->offers_plus);
    }
    buf_fini(&first);
    return rc == FAIL_NONE ? go_on(bridge, ends, BRIDGE_FIRSTS) : BRIDGE_BROKEN;
}

static enum bridge_verdict on_methods(struct bridge *bridge, struct bytes message,
                                      struct ends ends)
{
    enum scram_flag flag = flag_for(bridge, message);

    if (sasl_offers(message, flag == SCRAM_BOUND ? PLUS : SCRAM))
        return begin(bridge, flag, ends);
    if (!bridge->only_scram)
        return end(bridge, message, ends);
    return refuse(
        bridge, ends,
        &(struct error_response){
            .severity = "FATAL",
            .code = "28000",
            .message = "the database server did not ask for SCRAM-SHA-256 authentication",
            .hint = "the proxy logs in with SCRAM only (backend.scram is bridge): the server's "
                    "pg_hba.conf must say scram-sha-256 for it" });
}

/* Both first messages are there. */
static enum bridge_verdict show_salt(struct bridge *bridge, struct ends ends)
{
    struct buf first = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail  rc = scram_server_first(&bridge->client_side, &bridge->server_side.stretch,
                                       &first, &bridge->why);

    if (rc == FAIL_NONE)
        auth_write(ends.to_client, AUTH_SASL_CONTINUE, buf_bytes(&first));
    buf_fini(&first);
    return rc == FAIL_NONE ? go_on(bridge, ends, BRIDGE_PROOF) : BRIDGE_BROKEN;
}

static enum bridge_verdict on_server_first(struct bridge *bridge, struct bytes body,
                                           struct ends ends)
{
    if (scram_client_read_first(&bridge->server_side, body, &bridge->why) != FAIL_NONE)
        return BRIDGE_BROKEN;
    return bridge->state == BRIDGE_FIRSTS ? go_on(bridge, ends, BRIDGE_CLIENT_FIRST)
                                          : show_salt(bridge, ends);
}

/* Only now does the client learn that it is in: the server has accepted and proved itself. */
static enum bridge_verdict on_server_final(struct bridge *bridge, struct bytes body,
                                           struct ends ends)
{
    struct buf final = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail  rc = scram_client_read_final(&bridge->server_side, body, &bridge->why);

    if (rc == FAIL_NONE)
        rc = scram_server_final(&bridge->client_side, &bridge->verifier, &final, &bridge->why);
    if (rc == FAIL_NONE)
        auth_write(ends.to_client, AUTH_SASL_FINAL, buf_bytes(&final));
    buf_fini(&final);
    return rc == FAIL_NONE ? go_on(bridge, ends, BRIDGE_OK) : BRIDGE_BROKEN;
}

static enum bridge_verdict on_authentication(struct bridge *bridge, struct bytes message,
                                             struct ends ends)
{
    int64_t code = auth_code(message);

    if (code < 0)
        return broken(bridge, "an Authentication message without a code");
    switch (bridge->state) {
    case BRIDGE_METHODS: return on_methods(bridge, message, ends);
    case BRIDGE_FIRSTS:
    case BRIDGE_SERVER_FIRST:
        if (code == AUTH_SASL_CONTINUE)
            return on_server_first(bridge, auth_body(message), ends);
        break;
    case BRIDGE_SERVER_FINAL:
        if (code == AUTH_SASL_FINAL)
            return on_server_final(bridge, auth_body(message), ends);
        break;
    case BRIDGE_OK:
        if (code == AUTH_OK)
            return end(bridge, message, ends);
        break;
    default: break;
    }
    return broken(bridge, code == AUTH_OK ? "it let in whom it has not proved itself to"
                                          : "an Authentication message out of its order");
}

static enum bridge_verdict on_server_message(struct bridge *bridge, struct bytes message,
                                             struct ends ends)
{
    switch (message.p[0]) {
    case 'R': return on_authentication(bridge, message, ends);
    case 'E': return end(bridge, message, ends);
    case 'N':
    case 'v': buf_put(ends.to_client, message); return go_on(bridge, ends, bridge->state);
    default: return broken(bridge, "a message that has no place in a login");
    }
}

/* ---- the client's messages ---- */

static enum bridge_verdict on_client_first(struct bridge *bridge, struct bytes body,
                                           struct ends ends)
{
    if (scram_server_read_first(&bridge->client_side, bridge->mechanism, body) != SCRAM_GOES_ON)
        return refuse_scram(bridge, ends);
    return bridge->state == BRIDGE_FIRSTS ? go_on(bridge, ends, BRIDGE_SERVER_FIRST)
                                          : show_salt(bridge, ends);
}

static enum bridge_verdict on_initial(struct bridge *bridge, struct bytes message,
                                      struct ends ends)
{
    struct sasl_initial initial;

    if (!sasl_read_initial(&initial, message))
        return refuse_layout(bridge, ends, "malformed SASLInitialResponse message");
    /* an unknown one is refused by the name that it does not have */
    bridge->mechanism = strcmp(initial.mechanism, PLUS) == 0    ? PLUS
                        : strcmp(initial.mechanism, SCRAM) == 0 ? SCRAM
                                                                : "";
    if (initial.has_body)
        return on_client_first(bridge, initial.body, ends);
    auth_write(ends.to_client, AUTH_SASL_CONTINUE, bytes_of(NULL, 0));
    return go_on(bridge, ends, bridge->state);
}

/* What the proof shows is turned into one for the server, and forgotten. */
static enum bridge_verdict on_proof(struct bridge *bridge, struct bytes body, struct ends ends)
{
    bool fits = bridge->is_known &&
                scram_stretch_equal(&bridge->verifier.stretch, &bridge->server_side.stretch);
    struct scram_keys  keys = { 0 };
    struct buf         answer = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    enum fail          rc = FAIL_NONE;
    enum scram_verdict verdict =
        scram_server_read_final(&bridge->client_side, body, fits ? &bridge->verifier : NULL,
                                keys.client_key, &bridge->why);

    if (verdict == SCRAM_GOES_ON) {
        memcpy(keys.server_key, bridge->verifier.server_key, SCRAM_KEY_LEN);
        rc = scram_client_final(&bridge->server_side, &keys, &answer, &bridge->why);
    }
    scram_keys_wipe(&keys);
    if (verdict == SCRAM_GOES_ON && rc == FAIL_NONE)
        sasl_write_response(ends.to_server, buf_bytes(&answer));
    buf_fini(&answer);
    if (verdict == SCRAM_REFUSED)
        return refuse_scram(bridge, ends);
    if (verdict == SCRAM_FAILED || rc != FAIL_NONE)
        return failed_within(bridge);
    return go_on(bridge, ends, BRIDGE_SERVER_FINAL);
}

static enum bridge_verdict on_client_message(struct bridge *bridge, struct bytes message,
                                             struct ends ends)
{
    struct bytes body = message;

    if (message.p[0] != 'p')
        return refuse_layout(bridge, ends, "expected SASL response");
    bytes_skip(&body, FRAME_HEADER_LEN);
    if (bridge->state == BRIDGE_PROOF)
        return on_proof(bridge, body, ends);
    return bridge->mechanism == NULL ? on_initial(bridge, message, ends)
                                     : on_client_first(bridge, body, ends);
}

/* It is the client's turn. */
static bool listens(const struct bridge *bridge)
{
    return bridge->state == BRIDGE_FIRSTS || bridge->state == BRIDGE_CLIENT_FIRST ||
           bridge->state == BRIDGE_PROOF;
}

/* Reads what the client has said, as far as it is its turn. */
static enum bridge_verdict listen(struct bridge *bridge, struct ends ends)
{
    struct bytes        in = buf_bytes(&bridge->waiting), message;
    enum bridge_verdict verdict = BRIDGE_WANT_MORE;

    while (verdict == BRIDGE_WANT_MORE && listens(bridge) && in.len > 0) {
        enum collected collected = collector_next(&bridge->from_client, &in, &message);

        if (collected == COLLECTED_BROKEN)
            verdict = refuse_layout(bridge, ends, "malformed SCRAM message");
        else if (collected == COLLECTED_MESSAGE)
            verdict = on_client_message(bridge, message, ends);
    }
    buf_skip(&bridge->waiting, bridge->waiting.len - in.len);
    return verdict;
}

enum bridge_verdict bridge_from_client(struct bridge *bridge, struct bytes in,
                                       struct buf *to_client, struct buf *to_server)
{
    struct ends ends = { to_client, to_server };

    buf_put(&bridge->waiting, in);
    if (!buf_ok(&bridge->waiting))
        return refuse_layout(bridge, ends, "the client sent too much during its login");
    return listen(bridge, ends);
}

enum bridge_verdict bridge_from_server(struct bridge *bridge, struct bytes *in,
                                       struct buf *to_client, struct buf *to_server)
{
    struct ends         ends = { to_client, to_server };
    enum bridge_verdict verdict = BRIDGE_WANT_MORE;
    struct bytes        message;

    while (verdict == BRIDGE_WANT_MORE) {
        enum collected collected = collector_next(&bridge->from_server, in, &message);

        if (collected == COLLECTED_NOTHING)
            return listen(bridge, ends);
        verdict = collected == COLLECTED_BROKEN
                      ? broken(bridge, "a message that is too long for a login")
                      : on_server_message(bridge, message, ends);
    }
    return verdict;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "sync/fetch.h"

#include "io/clock.h"
#include "session/dial.h"
#include "sync/talk.h"
#include "tls/engine.h"

#include <stdio.h>

#define REQUEST_BYTES ((size_t)64)

/* The first address that takes a connection; `talk` is to be closed whatever is returned. */
static enum fail connect_to(struct talk *talk, const struct fetch_order *order,
                            uint64_t deadline_us, struct failure *why)
{
    struct blocking_addresses found = { .count = 0 };
    enum fail rc = blocking_resolve(&found, order->host, order->port, NULL, deadline_us, why);

    *talk = (struct talk){ .socket = BLOCKING_CLOSED };
    if (rc != FAIL_NONE)
        return rc;
    for (size_t i = 0; i < found.count; i++) {
        talk_close(talk);
        *why = (struct failure){ 0 };
        rc = talk_open(talk, &found.items[i], deadline_us, why);
        if (rc == FAIL_NONE)
            break;
    }
    return rc;
}

static enum fail ask(struct talk *talk, struct failure *why)
{
    struct buf request = BUF_LIMIT(REQUEST_BYTES);
    uint8_t    answer = 0;
    enum fail  rc;

    dial_ask_for_tls(&request);
    rc = talk_send(talk, buf_bytes(&request), why);
    if (rc == FAIL_NONE)
        rc = talk_receive_byte(talk, &answer, why);
    if (rc == FAIL_CLOSED) {
        *why = (struct failure){ 0 };
        rc = dial_no_answer(why);
    } else if (rc == FAIL_NONE)
        rc = dial_answer(answer, why);
    buf_fini(&request);
    return rc;
}

static struct tls_context *new_context(struct failure *why)
{
    const struct tls_policy_options options = { .role = TLS_CLIENT,
                                                .peer_check = TLS_PEER_ANY };
    struct tls_policy              *policy = tls_policy_new(&options, why);
    struct tls_context *context = policy != NULL ? tls_context_new(policy, why) : NULL;

    tls_policy_release(policy);
    return context;
}

static void take_facts(const struct tls_engine *engine, struct fetch_facts *facts)
{
    const struct tls_facts *known = tls_engine_facts(engine);

    snprintf(facts->version, sizeof facts->version, "%s",
             known->version != NULL ? known->version : "");
    snprintf(facts->cipher, sizeof facts->cipher, "%s",
             known->cipher != NULL ? known->cipher : "");
}

static enum fail shake_hands(struct talk *talk, const struct fetch_order *order,
                             struct chain **out, struct fetch_facts *facts, struct failure *why)
{
    const struct tls_engine_options options = {
        .sni = order->host,
        .alpn = order->way == FETCH_DIRECT ? "postgresql" : NULL,
        .alpn_required = order->way == FETCH_DIRECT,
        .keep_chain = true,
        .wall_s = order->wall_s,
    };
    struct tls_context *context = new_context(why);
    enum fail rc = context != NULL ? talk_start_tls(talk, context, &options, why) : FAIL_TLS;

    if (context != NULL && talk_engine(talk) != NULL)
        *out = tls_engine_take_chain(talk_engine(talk));
    if (rc == FAIL_NONE)
        take_facts(talk_engine(talk), facts);
    else if (*out != NULL)
        rc = FAIL_NONE;
    if (rc == FAIL_NONE && *out == NULL)
        rc = fail(why, FAIL_TLS, "the server sent no certificate");
    tls_context_release(context);
    return rc;
}

enum fail fetch_chain(const struct fetch_order *order, struct chain **out,
                      struct fetch_facts *facts, struct failure *why)
{
    struct talk     talk;
    struct failure  unseen = { 0 };
    struct failure *told = why != NULL ? why : &unseen;
    uint64_t        deadline_us = clock_monotonic_us() + order->timeout_us;
    enum fail       rc = connect_to(&talk, order, deadline_us, told);

    *out = NULL;
    *facts = (struct fetch_facts){ 0 };
    if (rc == FAIL_NONE && order->way == FETCH_SSLREQUEST)
        rc = ask(&talk, told);
    if (rc == FAIL_NONE)
        rc = shake_hands(&talk, order, out, facts, told);
    talk_close(&talk);
    return rc;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "session/leg.h"

#include "tls/kernel.h"

#include <assert.h>

void leg_init(struct leg *leg)
{
    *leg = (struct leg){ .state = LEG_CLEAR, .last = TLS_WANT_MORE };
}

void leg_fini(struct leg *leg)
{
    tls_engine_free(leg->tls);
    leg->tls = NULL;
}

static enum leg_verdict broken(struct leg *leg)
{
    leg->state = LEG_BROKEN;
    leg->end = LEG_TRUNCATED;
    return LEG_FAILED;
}

static enum leg_verdict shake_hands(struct leg *leg, struct bytes *in, struct buf *out)
{
    switch (tls_engine_handshake(leg->tls, in, out)) {
    case TLS_WANT_MORE: return LEG_WANT_MORE;
    case TLS_DONE: leg->state = LEG_SECURE; return LEG_SECURED;
    case TLS_CLOSED:
    case TLS_FAILED: break;
    }
    return broken(leg);
}

enum fail leg_start_tls(struct leg *leg, struct tls_context *context,
                        const struct tls_engine_options *options, struct buf *out,
                        struct failure *why)
{
    struct bytes nothing = { NULL, 0 };

    assert(leg->state == LEG_CLEAR);
    leg->tls = tls_engine_new(context, options, why);
    if (leg->tls == NULL)
        return why->kind;
    leg->state = LEG_HANDSHAKE;
    if (shake_hands(leg, &nothing, out) != LEG_FAILED)
        return FAIL_NONE;
    *why = *tls_engine_failure(leg->tls);
    return why->kind;
}

/* What the engine's last verdict means once its plaintext was handed out. */
static enum leg_verdict after_plaintext(struct leg *leg)
{
    switch (leg->last) {
    case TLS_CLOSED: leg->end = LEG_ENDED; return LEG_PEER_ENDED;
    case TLS_FAILED: return broken(leg);
    case TLS_WANT_MORE:
    case TLS_DONE: break;
    }
    return LEG_WANT_MORE;
}

static enum leg_verdict open_records(struct leg *leg, struct bytes *in, uint8_t *scratch,
                                     size_t scratch_size, struct bytes *plain, struct buf *out)
{
    size_t got = 0;

    if (leg->last == TLS_CLOSED || leg->last == TLS_FAILED)
        return after_plaintext(leg);
    /* TLS_DONE: plaintext is left inside, and no event of the socket will tell */
    if (in->len == 0 && leg->last != TLS_DONE)
        return LEG_WANT_MORE;
    leg->last = tls_engine_read(leg->tls, in, scratch, scratch_size, &got, out);
    if (got == 0)
        return after_plaintext(leg);
    *plain = bytes_of(scratch, got);
    return LEG_PLAINTEXT;
}

enum leg_verdict leg_open(struct leg *leg, struct bytes *in, uint8_t *scratch,
                          size_t scratch_size, struct bytes *plain, struct buf *out)
{
    switch (leg->state) {
    case LEG_CLEAR:
        if (in->len == 0)
            return LEG_WANT_MORE;
        *plain = *in;
        bytes_skip(in, in->len);
        return LEG_PLAINTEXT;
    case LEG_HANDSHAKE: return in->len == 0 ? LEG_WANT_MORE : shake_hands(leg, in, out);
    case LEG_SECURE:
        if (leg->end !=
            LEG_OPEN) { /* what comes behind close_notify is ignored: RFC 8446 6.1 */
            bytes_skip(in, in->len);
            return LEG_WANT_MORE;
        }
        return open_records(leg, in, scratch, scratch_size, plain, out);
    case LEG_BROKEN: break;
    }
    bytes_skip(in, in->len);
    return LEG_FAILED;
}

enum fail leg_seal(struct leg *leg, struct bytes plain, struct buf *out)
{
    if (leg->state == LEG_SECURE)
        return tls_engine_write(leg->tls, plain, out);
    assert(leg->state == LEG_CLEAR);
    buf_put(out, plain);
    return buf_ok(out) ? FAIL_NONE : buf_failure(out, FAIL_LIMIT, "", NULL);
}

void leg_transport_ended(struct leg *leg, bool reset)
{
    if (leg->end != LEG_OPEN)
        return;
    if (leg->tls != NULL)
        tls_engine_eof(leg->tls);
    leg->end = leg->state == LEG_CLEAR && !reset ? LEG_ENDED : LEG_TRUNCATED;
}

void leg_lost_kernel(struct leg *leg, int error, struct buf *out)
{
    tls_kernel_lost(leg->tls, error, out);
    broken(leg);
}

void leg_finish(struct leg *leg, struct buf *out)
{
    if (leg->said_end)
        return;
    leg->said_end = true;
    if (leg->state == LEG_SECURE)
        tls_engine_close(leg->tls, out);
}

void leg_forget_peer(struct leg *leg)
{
    if (leg->tls != NULL)
        tls_engine_forget_peer(leg->tls);
}

const struct failure *leg_failure(const struct leg *leg)
{
    return leg->tls != NULL ? tls_engine_failure(leg->tls) : NULL;
}

const struct tls_facts *leg_facts(const struct leg *leg)
{
    return leg->state == LEG_SECURE ? tls_engine_facts(leg->tls) : NULL;
}

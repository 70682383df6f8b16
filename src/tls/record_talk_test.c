/* SPDX-License-Identifier: PostgreSQL */
/*
 * Long talks between our record layer and OpenSSL: random sizes, random cuts, new keys at any
 * time from either side, and now and then our end goes on in another engine.
 *
 *     PGTLS_RECORDS=400000 build/tests/tls_record_talk_test
 */
#include "tls/record_own.h"

#include "harness/check.h"
#include "harness/group_pki.h"

#include <openssl/ssl.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static size_t random_below(size_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % n;
}

/* Mostly small, now and then more than a record; the borders too. */
static size_t random_size(void)
{
    static const size_t borders[] = { 1, 2, 16, 255, 512, 513, 8191, 8192, 8193, 16384, 16385 };

    switch (random_below(8)) {
    case 0: return borders[random_below(sizeof borders / sizeof *borders)];
    case 1: return 1 + random_below(40000);
    case 2: return 1 + random_below(9000);
    default: return 1 + random_below(300);
    }
}

/* A direction: both ends count along on the same endless text. */
struct text {
    uint64_t sent, heard;
};

static uint8_t letter(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

static void check_heard(struct text *text, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != letter(text->heard + i))
            assert_int_equal(text->heard + i, UINT64_MAX);
    text->heard += n;
    assert_true(text->heard <= text->sent);
}

static void make_text(struct text *text, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = letter(text->sent + i);
    text->sent += n;
}

struct talk {
    struct tls_engine *engine;
    struct buf         out; /* of the engine */
    struct buf         in;  /* for the engine, on its way */
    SSL_CTX           *library;
    SSL               *peer;
    BIO               *to_peer, *from_peer;
    struct text        up, down; /* to the engine, from it */
    uint64_t           records, updates, moves;
};

static uint8_t room[70000];

static void start_peer(struct talk *talk, bool is_server, const char *suite)
{
    talk->library = SSL_CTX_new(is_server ? TLS_client_method() : TLS_server_method());
    assert_int_equal(SSL_CTX_set_ciphersuites(talk->library, suite), 1);
    SSL_CTX_set_block_padding(talk->library, is_server ? 64 : 0);
    if (!is_server)
        SSL_CTX_use_cert_and_key(talk->library, identity_leaf(pki.server),
                                 identity_key(pki.server), identity_intermediates(pki.server),
                                 1);
    talk->peer = SSL_new(talk->library);
    talk->to_peer = BIO_new(BIO_s_mem());
    talk->from_peer = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(talk->to_peer, -1);
    SSL_set_bio(talk->peer, talk->to_peer, talk->from_peer);
    if (is_server)
        SSL_set_connect_state(talk->peer);
    else
        SSL_set_accept_state(talk->peer);
}

static void peer_to_wire(struct talk *talk)
{
    char *data;
    long  len = BIO_get_mem_data(talk->from_peer, &data);

    buf_put(&talk->in, bytes_of(data, (size_t)len));
    BIO_reset(talk->from_peer);
}

static void engine_to_peer(struct talk *talk)
{
    if (talk->out.len > 0)
        BIO_write(talk->to_peer, buf_bytes(&talk->out).p, (int)talk->out.len);
    buf_clear(&talk->out);
}

static void talk_init(struct talk *talk, bool is_server, const char *suite)
{
    enum tls_verdict verdict = TLS_WANT_MORE;

    *talk =
        (struct talk){ .out = BUF_LIMIT((size_t)1 << 24), .in = BUF_LIMIT((size_t)1 << 24) };
    talk->engine = tls_pair_engine(
        &(struct tls_policy_options){ .role = is_server ? TLS_SERVER : TLS_CLIENT,
                                      .identity = is_server ? pki.server : NULL,
                                      .max_record_bytes = is_server ? 8192 : 16384,
                                      .record_layer = TLS_RECORDS_OWN },
        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    start_peer(talk, is_server, suite);
    for (int round = 0; round < 10 && verdict == TLS_WANT_MORE; round++) {
        struct bytes in;

        SSL_do_handshake(talk->peer);
        peer_to_wire(talk);
        in = buf_bytes(&talk->in);
        verdict = tls_engine_handshake(talk->engine, &in, &talk->out);
        buf_skip(&talk->in, talk->in.len - in.len);
        engine_to_peer(talk);
    }
    assert_int_equal(verdict, TLS_DONE);
    assert_int_equal(SSL_do_handshake(talk->peer), 1);
    tls_aeads_set_records_per_key(tls_context_aeads(talk->engine->context), 37);
}

static void talk_fini(struct talk *talk)
{
    tls_engine_free(talk->engine);
    buf_fini(&talk->out);
    buf_fini(&talk->in);
    SSL_free(talk->peer);
    SSL_CTX_free(talk->library);
}

/* ---- turns ---- */

static void peer_writes(struct talk *talk)
{
    size_t n = random_size();

    make_text(&talk->up, room, n);
    assert_int_equal(SSL_write(talk->peer, room, (int)n), n);
    talk->records += 1 + n / 16384;
}

/* Not so often that the engine has had enough of it. */
static void peer_updates(struct talk *talk)
{
    int type = random_below(2) == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

    if (random_below(8) != 0)
        return;
    assert_int_equal(SSL_key_update(talk->peer, type), 1);
    assert_int_equal(SSL_do_handshake(talk->peer), 1);
    talk->updates++;
}

static void engine_writes(struct talk *talk)
{
    size_t n = random_size(), before = talk->out.len, sealed;

    make_text(&talk->down, room, n);
    sealed = tls_engine_sealed_size(talk->engine, n);
    assert_int_equal(tls_engine_write(talk->engine, bytes_of(room, n), &talk->out), FAIL_NONE);
    assert_true(talk->out.len - before <= sealed);
    talk->records += 1 + n / 8192;
}

/* Takes some of what is on its way, with little room now and then. */
static void engine_reads(struct talk *talk)
{
    struct bytes     in;
    size_t           offered, got;
    enum tls_verdict verdict;

    peer_to_wire(talk);
    in = buf_bytes(&talk->in);
    in.len = in.len > 0 && random_below(3) > 0 ? 1 + random_below(in.len) : in.len;
    offered = in.len;
    do {
        size_t space = random_below(4) == 0 ? 1 + random_below(200) : sizeof room;

        verdict = tls_engine_read(talk->engine, &in, room, space, &got, &talk->out);
        check_heard(&talk->up, room, got);
    } while (verdict == TLS_DONE);
    assert_int_equal(verdict, TLS_WANT_MORE);
    assert_int_equal(in.len, 0);
    buf_skip(&talk->in, offered);
}

static void peer_reads(struct talk *talk)
{
    int n;

    engine_to_peer(talk);
    while ((n = SSL_read(talk->peer, room, sizeof room)) > 0)
        check_heard(&talk->down, room, (size_t)n);
    assert_int_equal(SSL_get_error(talk->peer, n), SSL_ERROR_WANT_READ);
}

static void engine_moves(struct talk *talk)
{
    struct buf          given = BUF_LIMIT(100000);
    struct failure      why = { 0 };
    struct tls_context *context = tls_context_hold(talk->engine->context);

    assert_int_equal(tls_engine_give(talk->engine, &given, &why), FAIL_NONE);
    assert_int_equal(tls_engine_write(talk->engine, BYTES("x"), &talk->out), FAIL_CLOSED);
    tls_engine_free(talk->engine);
    talk->engine = tls_engine_take(context, buf_bytes(&given), &why);
    assert_non_null(talk->engine);
    tls_context_release(context);
    buf_fini(&given);
    talk->moves++;
}

static void (*const turns[])(struct talk *talk) = {
    peer_writes,  peer_writes, engine_writes, engine_writes, engine_reads,
    engine_reads, peer_reads,  peer_reads,    peer_updates,  engine_moves,
};

static void hear_all(struct talk *talk)
{
    while (talk->in.len > 0 || BIO_pending(talk->from_peer) > 0)
        engine_reads(talk);
    peer_reads(talk);
    assert_int_equal(talk->up.heard, talk->up.sent);
    assert_int_equal(talk->down.heard, talk->down.sent);
}

/* Both ends say close_notify, and hear it. */
static void part(struct talk *talk)
{
    struct bytes in;
    size_t       got;

    SSL_shutdown(talk->peer);
    peer_to_wire(talk);
    in = buf_bytes(&talk->in);
    assert_int_equal(tls_engine_read(talk->engine, &in, room, sizeof room, &got, &talk->out),
                     TLS_CLOSED);
    tls_engine_close(talk->engine, &talk->out);
    engine_to_peer(talk);
    assert_int_equal(SSL_read(talk->peer, room, sizeof room), 0);
    assert_int_equal(SSL_get_shutdown(talk->peer), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

static void talk_with(bool is_server, const char *suite, uint64_t records)
{
    struct talk talk;

    talk_init(&talk, is_server, suite);
    while (talk.records < records)
        turns[random_below(sizeof turns / sizeof *turns)](&talk);
    hear_all(&talk);
    assert_true(talk.updates > records / 200 && talk.moves > records / 200);
    part(&talk);
    talk_fini(&talk);
}

static void both_sides_hear_what_the_other_says(void **state)
{
    static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                          "TLS_CHACHA20_POLY1305_SHA256" };
    const char              *records = getenv("PGTLS_RECORDS");

    for (int i = 0; i < 6; i++)
        talk_with(i % 2 == 0, suites[i / 2],
                  (records != NULL ? strtoull(records, NULL, 10) : 12000) / 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(both_sides_hear_what_the_other_says) };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

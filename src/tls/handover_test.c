/* SPDX-License-Identifier: PostgreSQL */
/*
 * From OpenSSL's handshake to records of our own, after every kind of handshake: the far end is
 * an OpenSSL that hears what we say next, so a sequence number that is one off is seen.
 */
#include "tls/engine_parts.h"
#include "tls/key_schedule.h"

#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/meeting.h"

#include <openssl/err.h>

static void meet(const struct meeting_kind *kind)
{
    struct tls_context *context = meeting_context(kind);
    SSL_CTX            *library = meeting_library(kind);
    SSL_SESSION        *session = NULL;

    for (int turn = 0; turn < (kind->tickets && !kind->is_client ? 3 : 1); turn++) {
        struct meeting m;

        meeting_init(&m, kind, context, library, session);
        meeting_shake(&m, kind);
        meeting_talk(&m);
        assert_int_equal(tls_engine_facts(m.engine)->resumed, turn > 0);
        assert_int_equal(tls_engine_facts(m.engine)->peer_verified,
                         kind->is_client || kind->mutual);
        SSL_SESSION_free(session);
        session = SSL_get1_session(m.peer); /* with the ticket that was read */
        meeting_fini(&m);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(library);
    tls_context_release(context);
    ERR_clear_error();
}

static void after_every_kind_of_handshake_both_hear_each_other(void **state)
{
    for (unsigned bits = 0; bits < 3 * 32; bits++)
        meet(&(struct meeting_kind){ .is_client = bits & 1,
                                     .tickets = (bits & 2) != 0,
                                     .mutual = (bits & 4) != 0,
                                     .retry = (bits & 8) != 0,
                                     .early = (bits & 16) != 0,
                                     .suite = (int)(bits / 32) });
}

/* ---- what is not handed over ---- */

static void secret_line(struct tls_engine *engine, const char *line)
{
    tls_handover_line(engine->ssl, line);
}

static void only_the_two_secrets_are_taken_from_the_key_log(void **state)
{
    static const char *const lines[] = {
        "CLIENT_RANDOM 00 0102",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET 00 0102",
        "EXPORTER_SECRET 00 0102",
        "CLIENT_TRAFFIC_SECRET_1 00 0102",
        "CLIENT_TRAFFIC_SECRET_0",
        "CLIENT_TRAFFIC_SECRET_0 00",
        "",
        "CLIENT_TRAFFIC_SECRET_0 00 010",
        "CLIENT_TRAFFIC_SECRET_0 00 0g",
        "CLIENT_TRAFFIC_SECRET_0 00 "
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "202122232425262728292a2b2c2d2e2f30",
    };
    struct meeting_kind kind = { .is_client = true };
    struct tls_context *context = meeting_context(&kind);
    struct tls_engine  *engine =
        tls_engine_new(context, &(struct tls_engine_options){ .wall_s = CERTS_NOW }, NULL);

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        secret_line(engine, lines[i]);
        assert_int_equal(engine->handover.written.secret, 0);
        assert_int_equal(engine->handover.read.secret, 0);
    }
    secret_line(engine, "CLIENT_TRAFFIC_SECRET_0 00 0aFf");
    assert_int_equal(engine->handover.written.secret, 2);
    assert_memory_equal(engine->session.write.secret, "\x0a\xff", 2);
    secret_line(engine, "SERVER_TRAFFIC_SECRET_0 00 102030");
    assert_int_equal(engine->handover.read.secret, 3);
    tls_engine_free(engine);
    tls_context_release(context);
}

/* Up to the flight that ends it, which the client's Finished begins or is. */
static struct bytes last_flight(struct meeting *m, const struct meeting_kind *kind)
{
    struct bytes in;
    char        *data;

    for (int round = 0; round < 2; round++) {
        meeting_moves(m, kind);
        in.len = (size_t)BIO_get_mem_data(m->from_peer, &data);
        in.p = (const uint8_t *)data;
        if (round == 1)
            break;
        assert_int_equal(tls_engine_handshake(m->engine, &in, &m->out), TLS_WANT_MORE);
        BIO_reset(m->from_peer);
        meeting_carry(m);
    }
    return in;
}

static void assert_not_handed_over(void (*doubt)(struct tls_engine *engine))
{
    struct meeting_kind kind = { .early = true };
    struct tls_context *context = meeting_context(&kind);
    SSL_CTX            *library = meeting_library(&kind);
    struct meeting      m;
    struct bytes        in;

    meeting_init(&m, &kind, context, library, NULL);
    in = last_flight(&m, &kind);
    doubt(m.engine);
    assert_int_equal(tls_engine_handshake(m.engine, &in, &m.out), TLS_FAILED);
    assert_non_null(strstr(tls_engine_failure(m.engine)->text, "no record layer of our own"));
    assert_non_null(m.engine->ssl);
    meeting_fini(&m);
    SSL_CTX_free(library);
    tls_context_release(context);
    ERR_clear_error();
}

static void read_ahead(struct tls_engine *engine)
{
    SSL_set_read_ahead(engine->ssl, 1); /* then the client's data would be lost in it */
}

static void forget_secret(struct tls_engine *engine)
{
    engine->handover.written.secret = 0;
}

static void shorten_secret(struct tls_engine *engine)
{
    engine->handover.written.secret--;
}

static void any_doubt_leaves_it_with_openssl(void **state)
{
    /* from 3.2 on OpenSSL does not tell what it has read ahead; context.c forbids it that */
    if (OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 2)
        assert_not_handed_over(read_ahead);
    assert_not_handed_over(forget_secret);
    assert_not_handed_over(shorten_secret);
}

static void a_suite_that_is_not_ours_leaves_no_secret_here(void **state)
{
    static const struct tls_session nothing;
    struct tls_pair                 pair;

    tls_pair_init(
        &pair,
        tls_pair_engine(
            &(struct tls_policy_options){ .role = TLS_CLIENT,
                                          .ciphersuites = "TLS_AES_128_CCM_SHA256" },
            &(struct tls_engine_options){ .wall_s = CERTS_NOW }),
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                      .ciphersuites = "TLS_AES_128_CCM_SHA256",
                                                      .identity = pki.server },
                        &(struct tls_engine_options){ .wall_s = CERTS_NOW }));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_string_equal(tls_engine_facts(pair.server.engine)->record_layer, "library");
    assert_int_equal(pair.server.engine->handover.written.secret, 32); /* it was told */
    assert_memory_equal(&pair.server.engine->session, &nothing, sizeof nothing);
    assert_memory_equal(&pair.client.engine->session, &nothing, sizeof nothing);
    tls_pair_fini(&pair);
}

/* That they are the right ones is seen above: the peers hear each other. */
static void keys_that_were_derived_already_are_taken(void **state)
{
    struct tls_pair pair = tls_pair_open(&pki, TLS_RECORDS_AUTO, TLS_RECORDS_AUTO);

    for (int i = 0; i < 2; i++) {
        const struct tls_engine *engine = i == 0 ? pair.client.engine : pair.server.engine;
        const struct tls_told   *told[] = { &engine->handover.read, &engine->handover.written };

        for (int side = 0; side < 2; side++) {
            assert_int_equal(told[side]->secret, 48);
            assert_int_equal(told[side]->key, 32);
            assert_int_equal(told[side]->iv, 12);
        }
        assert_int_equal(engine->session.read.suite, TLS_SUITE_AES_256_GCM_SHA384);
    }
    tls_pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest own_tests[] = {
        cmocka_unit_test(keys_that_were_derived_already_are_taken),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_every_kind_of_handshake_both_hear_each_other),
        cmocka_unit_test(any_doubt_leaves_it_with_openssl),
        cmocka_unit_test(a_suite_that_is_not_ours_leaves_no_secret_here),
        cmocka_unit_test(only_the_two_secrets_are_taken_from_the_key_log),
    };

    /* the secrets from OpenSSL's key log, then from derivations of our own */
    if (cmocka_run_group_tests(tests, meeting_group_make, meeting_group_remove) != 0 ||
        !tls_key_schedule_start())
        return 1;
    return cmocka_run_group_tests(tests, meeting_group_make, meeting_group_remove) +
           cmocka_run_group_tests(own_tests, meeting_group_make, meeting_group_remove);
}

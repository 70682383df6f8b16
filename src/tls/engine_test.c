/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"

#include <openssl/err.h>
#include <stdlib.h>

static struct tls_engine *new_server(const char *alpn)
{
    return tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_SERVER, .identity = pki.server },
        &(struct tls_engine_options){ .alpn = alpn, .wall_s = CERTS_NOW });
}

static struct tls_engine *new_client(const char *alpn, const char *sni)
{
    return tls_pair_engine(
        &(struct tls_policy_options){
            .role = TLS_CLIENT, .peer_check = TLS_PEER_NAME, .trust = pki.trust },
        &(struct tls_engine_options){
            .alpn = alpn, .sni = sni, .verify_name = "db.example.com", .wall_s = CERTS_NOW });
}

static struct tls_pair shaken(const char *client_alpn, const char *server_alpn)
{
    struct tls_pair pair;

    tls_pair_init(&pair, new_client(client_alpn, "db.example.com"), new_server(server_alpn));
    tls_pair_handshake(&pair, SIZE_MAX);
    return pair;
}

static void send_text(struct tls_side *from, const char *text)
{
    assert_int_equal(tls_engine_write(from->engine, bytes_of_string(text), &from->out),
                     FAIL_NONE);
}

static void assert_plain_passes(struct tls_side *from, struct tls_side *to, const char *text)
{
    struct buf plain = BUF_LIMIT(100);

    assert_int_equal(tls_engine_write(from->engine, bytes_of_string(text), &from->out),
                     FAIL_NONE);
    assert_int_equal(tls_pair_carry(from, to, SIZE_MAX, &plain), TLS_WANT_MORE);
    assert_buf_is(&plain, bytes_of_string(text));
    buf_fini(&plain);
}

static void both_sides_know_what_was_agreed(void **state)
{
    struct tls_pair         pair = shaken("postgresql", "postgresql");
    const struct tls_facts *client = tls_engine_facts(pair.client.engine);
    const struct tls_facts *server = tls_engine_facts(pair.server.engine);

    assert_int_equal(pair.client.verdict, TLS_DONE);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    assert_string_equal(client->version, "TLSv1.3");
    assert_string_equal(server->version, "TLSv1.3");
    assert_string_equal(client->cipher, "TLS_AES_256_GCM_SHA384");
    assert_non_null(client->group);
    assert_string_equal(client->group, server->group);
    assert_string_equal(client->alpn, "postgresql");
    assert_string_equal(server->alpn, "postgresql");
    assert_string_equal(server->sni, "db.example.com");
    assert_false(server->resumed);
    assert_true(client->peer_presented && client->peer_verified);
    assert_string_equal(client->peer_subject, "CN=server");
    assert_string_equal(client->peer_issuer, "CN=issuing");
    assert_int_equal(strlen(client->peer_fingerprint), 64);
    assert_true(bytes_equal(endpoint_hash_bytes(client->peer_endpoint),
                            endpoint_hash_bytes(identity_endpoint_hash(pki.server))));
    assert_int_equal(client->peer_endpoint->len, 32);
    assert_false(server->peer_presented || server->peer_verified);
    assert_null(server->peer_subject);
    assert_null(server->peer_endpoint);
    assert_true(tls_engine_peer_is(pair.client.engine, identity_leaf_der(pki.server)));
    assert_false(tls_engine_peer_is(pair.client.engine, identity_leaf_der(pki.client)));
    assert_false(tls_engine_peer_is(pair.server.engine, identity_leaf_der(pki.client)));
    tls_pair_fini(&pair);
}

static void the_handshake_works_however_it_is_cut(void **state)
{
    for (size_t piece = 1; piece < 1200; piece = piece < 70 ? piece + 1 : piece * 2 + 1) {
        struct tls_pair pair;

        tls_pair_init(&pair, new_client(NULL, NULL), new_server(NULL));
        tls_pair_handshake(&pair, piece);
        assert_int_equal(pair.client.verdict, TLS_DONE);
        assert_int_equal(pair.server.verdict, TLS_DONE);
        assert_plain_passes(&pair.client, &pair.server, "up");
        assert_plain_passes(&pair.server, &pair.client, "down");
        tls_pair_fini(&pair);
    }
}

static void data_sent_right_behind_the_handshake_is_left_for_read(void **state)
{
    struct tls_pair pair;
    struct bytes    in = { NULL, 0 };
    struct buf      plain = BUF_LIMIT(100);

    tls_pair_init(&pair, new_client(NULL, NULL), new_server(NULL));
    tls_engine_handshake(pair.client.engine, &in, &pair.client.out);
    in = buf_bytes(&pair.client.out);
    assert_int_equal(tls_engine_handshake(pair.server.engine, &in, &pair.server.out),
                     TLS_WANT_MORE);
    assert_int_equal(in.len, 0);
    buf_clear(&pair.client.out);
    in = buf_bytes(&pair.server.out);
    assert_int_equal(tls_engine_handshake(pair.client.engine, &in, &pair.client.out), TLS_DONE);
    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("startup"), &pair.client.out),
                     0);

    in = buf_bytes(&pair.client.out);
    assert_int_equal(tls_engine_handshake(pair.server.engine, &in, &pair.server.out), TLS_DONE);
    assert_int_equal(in.len, 22 + 7);
    buf_skip(&pair.client.out, pair.client.out.len - in.len);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain),
                     TLS_WANT_MORE);
    assert_buf_is(&plain, BYTES("startup"));
    buf_fini(&plain);
    tls_pair_fini(&pair);
}

static void a_handshake_that_ends_early_says_how(void **state)
{
    struct tls_engine *server = new_server(NULL);
    struct tls_engine *client = new_client(NULL, NULL);
    struct bytes       in = { NULL, 0 };
    struct buf         out = BUF_LIMIT(10000), answer = BUF_LIMIT(10000);

    tls_engine_handshake(client, &in, &out);
    tls_engine_eof(client);
    assert_int_equal(tls_engine_failure(client)->kind, FAIL_CLOSED);
    assert_string_equal(tls_engine_failure(client)->text,
                        "TLS handshake: the server closed the connection without a word");
    in = bytes_of(out.memory, 5);
    assert_int_equal(tls_engine_handshake(server, &in, &answer), TLS_WANT_MORE);
    tls_engine_eof(server);
    assert_string_equal(tls_engine_failure(server)->text,
                        "TLS handshake: the client closed the connection in the middle");
    assert_int_equal(tls_engine_handshake(server, &in, &answer), TLS_FAILED);
    tls_engine_free(client);
    tls_engine_free(server);
    buf_fini(&out);
    buf_fini(&answer);
}

static void alpn_is_chosen_if_ours_is_offered_and_refused_with_alert_120_if_not(void **state)
{
    static const struct {
        const char *offered, *spoken;
        bool        good;
    } cases[] = {
        { NULL, "postgresql", true },          { "postgresql", "postgresql", true },
        { "postgres", "postgresql", false },   { "postgresql2", "postgresql", false },
        { "POSTGRESQL", "postgresql", false }, { "http/1.1", NULL, true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_pair pair = shaken(cases[i].offered, cases[i].spoken);

        if (cases[i].good) {
            assert_int_equal(pair.client.verdict, TLS_DONE);
            assert_int_equal(pair.server.verdict, TLS_DONE);
            if (i == 1)
                assert_string_equal(tls_engine_facts(pair.client.engine)->alpn, "postgresql");
            else
                assert_null(tls_engine_facts(pair.server.engine)->alpn);
        } else {
            assert_int_equal(pair.server.verdict, TLS_FAILED);
            assert_int_equal(tls_engine_alert_sent(pair.server.engine), 120);
            assert_string_equal(tls_engine_facts(pair.server.engine)->sni, "db.example.com");
            assert_int_equal(pair.client.verdict, TLS_FAILED);
            assert_int_equal(tls_engine_alert_received(pair.client.engine), 120);
            assert_non_null(strstr(tls_engine_failure(pair.client.engine)->text,
                                   "the server sent alert 120 no_application_protocol"));
        }
        tls_pair_fini(&pair);
    }
}

static void an_address_is_never_announced(void **state)
{
    static const struct {
        const char *sni, *seen;
    } cases[] = {
        { "10.0.0.5", NULL }, { "::1", NULL }, { "", NULL },
        { NULL, NULL },       { "db", "db" },  { "10.0.0.5.example", "10.0.0.5.example" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_pair pair;
        const char     *seen;

        tls_pair_init(&pair, new_client(NULL, cases[i].sni), new_server(NULL));
        tls_pair_handshake(&pair, SIZE_MAX);
        seen = tls_engine_facts(pair.server.engine)->sni;
        if (cases[i].seen == NULL)
            assert_null(seen);
        else
            assert_string_equal(seen, cases[i].seen);
        tls_pair_fini(&pair);
    }
}

/* Random plaintext in random writes, carried in random pieces. */
static void transfer(struct tls_side *from, struct tls_side *to, size_t total)
{
    uint8_t   *data = malloc(total);
    struct buf plain = BUF_LIMIT(total);

    for (size_t i = 0; i < total; i++)
        data[i] = (uint8_t)rand();
    for (size_t at = 0; at < total;) {
        size_t n = (size_t)rand() % 70000;

        n = n < total - at ? n : total - at;
        assert_int_equal(tls_engine_write(from->engine, bytes_of(data + at, n), &from->out), 0);
        assert_int_equal(tls_pair_carry(from, to, (size_t)rand() % 30000 + 1, &plain),
                         TLS_WANT_MORE);
        at += n;
        assert_int_equal(plain.len, at);
    }
    assert_buf_is(&plain, bytes_of(data, total));
    buf_fini(&plain);
    free(data);
}

static void large_transfers_of_random_sizes_arrive_whole_both_ways(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);

    srand(1);
    for (int i = 0; i < 4; i++) {
        transfer(&pair.client, &pair.server, 700001);
        transfer(&pair.server, &pair.client, 900001);
    }
    tls_pair_fini(&pair);
}

static void a_cut_at_every_byte_of_a_record_loses_nothing(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);

    for (size_t cut = 1; cut < 60; cut++) {
        struct buf   plain = BUF_LIMIT(100);
        struct bytes in;
        uint8_t      room[100];
        size_t       got;

        send_text(&pair.client, "twenty bytes of text");
        in = bytes_first(buf_bytes(&pair.client.out), cut);
        tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out);
        assert_int_equal(in.len, 0);
        assert_int_equal(got, cut < 42 ? 0 : 20);
        buf_skip(&pair.client.out, cut < 42 ? cut : 42);
        tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain);
        assert_int_equal(plain.len, 20 - got);
        buf_fini(&plain);
    }
    tls_pair_fini(&pair);
}

static void done_means_room_used_up_and_want_more_that_nothing_is_left(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);
    struct bytes    in;
    uint8_t         room[10];
    size_t          got, total = 0;

    send_text(&pair.client, "1234567890123456789012345");
    send_text(&pair.client, "abcde");
    in = buf_bytes(&pair.client.out);
    for (int call = 0; call < 2; call++) {
        assert_int_equal(
            tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out),
            TLS_DONE);
        assert_int_equal(got, 10);
        total += got;
    }
    assert_int_equal(
        tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out),
        TLS_WANT_MORE);
    assert_int_equal(in.len, 0);
    assert_int_equal(total + got, 30);
    assert_memory_equal(room, "12345abcde", 10);
    assert_int_equal(tls_engine_read(pair.server.engine, &in, room, 0, &got, &pair.server.out),
                     TLS_DONE);
    tls_pair_fini(&pair);
}

static void close_notify_ends_one_direction_and_the_other_goes_on(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);
    struct buf      plain = BUF_LIMIT(100);

    send_text(&pair.client, "bye");
    tls_engine_close(pair.client.engine, &pair.client.out);
    tls_engine_close(pair.client.engine, &pair.client.out);
    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("x"), &pair.client.out),
                     FAIL_CLOSED);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_CLOSED);
    assert_buf_is(&plain, BYTES("bye"));
    tls_engine_eof(pair.server.engine);
    assert_false(failed(tls_engine_failure(pair.server.engine)));
    for (int i = 0; i < 3; i++)
        assert_plain_passes(&pair.server, &pair.client, "still here");
    tls_engine_close(pair.server.engine, &pair.server.out);
    assert_int_equal(tls_pair_carry(&pair.server, &pair.client, SIZE_MAX, &plain), TLS_CLOSED);
    tls_pair_fini(&pair);
    buf_fini(&plain);
}

static void an_end_without_close_notify_is_a_truncation_and_writing_goes_on(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);
    struct bytes    in = { NULL, 0 };
    uint8_t         room[10];
    size_t          got;

    tls_engine_eof(pair.server.engine);
    assert_int_equal(tls_engine_failure(pair.server.engine)->kind, FAIL_CLOSED);
    assert_string_equal(tls_engine_failure(pair.server.engine)->text,
                        "TLS: the client closed the connection without close_notify");
    assert_int_equal(
        tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out),
        TLS_FAILED);
    assert_plain_passes(&pair.server, &pair.client, "late answer");
    tls_pair_fini(&pair);
}

static void a_changed_byte_anywhere_ends_the_connection_with_an_alert(void **state)
{
    for (size_t at = 0; at < 26; at++) {
        struct tls_pair pair = shaken(NULL, NULL);
        struct buf      plain = BUF_LIMIT(100);

        send_text(&pair.client, "text");
        pair.client.out.memory[pair.client.out.head + at] ^= 0x40;
        send_text(&pair.client, "more");
        if (tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain) != TLS_FAILED)
            assert_in_range(at, 3, 4); /* a longer record: waits for its end */
        else {
            assert_true(tls_engine_alert_sent(pair.server.engine) > 0);
            assert_true(pair.server.out.len > 0);
            assert_int_equal(tls_engine_write(pair.server.engine, BYTES("x"), &pair.server.out),
                             FAIL_CLOSED);
        }
        assert_int_equal(plain.len, 0);
        tls_pair_fini(&pair);
        buf_fini(&plain);
    }
}

static void a_write_without_room_appends_nothing_and_may_be_tried_again(void **state)
{
    struct tls_pair pair = shaken(NULL, NULL);
    size_t          sealed = tls_engine_sealed_size(pair.client.engine, 20000);
    uint8_t         data[20000] = { 7 };
    struct buf      small = BUF_LIMIT(sealed - 1), enough = BUF_LIMIT(sealed);
    struct buf      plain = BUF_LIMIT(20000);

    assert_int_equal(tls_engine_write(pair.client.engine, bytes_of(data, 20000), &small),
                     FAIL_LIMIT);
    assert_int_equal(small.len, 0);
    assert_int_equal(tls_engine_write(pair.client.engine, bytes_of(data, 20000), &enough),
                     FAIL_NONE);
    assert_int_equal(enough.len, sealed);
    buf_put(&pair.client.out, buf_bytes(&enough));
    tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain);
    assert_buf_is(&plain, bytes_of(data, 20000));
    tls_pair_fini(&pair);
    buf_fini(&small);
    buf_fini(&enough);
    buf_fini(&plain);
}

static void a_handshake_without_room_for_its_bytes_fails(void **state)
{
    struct tls_engine *client = new_client(NULL, NULL);
    struct bytes       in = { NULL, 0 };
    struct buf         small = BUF_LIMIT(100);

    assert_int_equal(tls_engine_handshake(client, &in, &small), TLS_FAILED);
    assert_int_equal(tls_engine_failure(client)->kind, FAIL_LIMIT);
    tls_engine_free(client);
    buf_fini(&small);
}

/* Everything from the policies to the first bytes; false if any allocation was missed. */
static bool whole_connection(void)
{
    struct tls_policy_options sp = { .role = TLS_SERVER, .identity = pki.server };
    struct tls_policy_options cp = { .role = TLS_CLIENT };
    struct tls_engine_options options = { .alpn = "postgresql",
                                          .sni = "db",
                                          .wall_s = CERTS_NOW };
    struct tls_policy *policies[2] = { tls_policy_new(&sp, NULL), tls_policy_new(&cp, NULL) };
    struct tls_engine *engines[2] = { NULL, NULL };
    struct tls_pair    pair;
    bool               good = false;

    for (int i = 0; i < 2; i++) {
        struct tls_context *context = policies[i] ? tls_context_new(policies[i], NULL) : NULL;

        engines[i] = context ? tls_engine_new(context, &options, NULL) : NULL;
        tls_context_release(context);
        tls_policy_release(policies[i]);
    }
    tls_pair_init(&pair, engines[1], engines[0]);
    if (engines[0] != NULL && engines[1] != NULL) {
        tls_pair_handshake(&pair, SIZE_MAX);
        good = pair.client.verdict == TLS_DONE && pair.server.verdict == TLS_DONE &&
               tls_engine_write(pair.client.engine, BYTES("x"), &pair.client.out) == FAIL_NONE;
    }
    tls_pair_fini(&pair);
    return good;
}

static void every_allocation_that_fails_is_a_clean_failure(void **state)
{
    unsigned n;

    for (n = 1; n < 300; n++) {
        bool good;

        alloc_fail_at(n);
        good = whole_connection();
        assert_int_equal(ERR_peek_error(), 0);
        if (!alloc_has_failed()) {
            assert_true(good);
            break;
        }
        assert_false(good);
    }
    assert_true(n > 15 && n < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_know_what_was_agreed),
        cmocka_unit_test(the_handshake_works_however_it_is_cut),
        cmocka_unit_test(data_sent_right_behind_the_handshake_is_left_for_read),
        cmocka_unit_test(a_handshake_that_ends_early_says_how),
        cmocka_unit_test(alpn_is_chosen_if_ours_is_offered_and_refused_with_alert_120_if_not),
        cmocka_unit_test(an_address_is_never_announced),
        cmocka_unit_test(large_transfers_of_random_sizes_arrive_whole_both_ways),
        cmocka_unit_test(a_cut_at_every_byte_of_a_record_loses_nothing),
        cmocka_unit_test(done_means_room_used_up_and_want_more_that_nothing_is_left),
        cmocka_unit_test(close_notify_ends_one_direction_and_the_other_goes_on),
        cmocka_unit_test(an_end_without_close_notify_is_a_truncation_and_writing_goes_on),
        cmocka_unit_test(a_changed_byte_anywhere_ends_the_connection_with_an_alert),
        cmocka_unit_test(a_write_without_room_appends_nothing_and_may_be_tried_again),
        cmocka_unit_test(a_handshake_without_room_for_its_bytes_fails),
        cmocka_unit_test(every_allocation_that_fails_is_a_clean_failure),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

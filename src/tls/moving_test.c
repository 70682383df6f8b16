/* SPDX-License-Identifier: PostgreSQL */
#include "tls/engine_parts.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"

#include <stdlib.h>

/* Both with a certificate, shaken; the server's records are by `layer`. */
static struct tls_pair new_pair(enum tls_records layer)
{
    struct tls_pair pair;

    tls_pair_init(&pair,
                  tls_pair_engine(&(struct tls_policy_options){ .role = TLS_CLIENT,
                                                                .identity = pki.client,
                                                                .trust = pki.trust,
                                                                .peer_check = TLS_PEER_CHAIN },
                                  &(struct tls_engine_options){ .alpn = "postgresql",
                                                                .sni = "db.example.com",
                                                                .wall_s = CERTS_NOW }),
                  tls_pair_engine(&(struct tls_policy_options){ .role = TLS_SERVER,
                                                                .identity = pki.server,
                                                                .trust = pki.trust,
                                                                .peer_check = TLS_PEER_CHAIN,
                                                                .record_layer = layer },
                                  &(struct tls_engine_options){ .alpn = "postgresql",
                                                                .wall_s = CERTS_NOW }));
    tls_pair_handshake(&pair, SIZE_MAX);
    assert_int_equal(pair.server.verdict, TLS_DONE);
    return pair;
}

static struct buf give(struct tls_engine *engine)
{
    struct buf     given = BUF_LIMIT(100000);
    struct failure why = { 0 };

    assert_int_equal(tls_engine_give(engine, &given, &why), FAIL_NONE);
    return given;
}

/* The engine of `side` goes on as another one. */
static void move(struct tls_side *side)
{
    struct buf          given = give(side->engine);
    struct tls_context *context = tls_context_hold(side->engine->context);

    tls_engine_free(side->engine);
    side->engine = tls_engine_take(context, buf_bytes(&given), NULL);
    assert_non_null(side->engine);
    tls_context_release(context);
    buf_fini(&given);
}

static void assert_passes(struct tls_side *from, struct tls_side *to, const char *text)
{
    struct buf plain = BUF_LIMIT(1000);

    assert_int_equal(tls_engine_write(from->engine, bytes_of_string(text), &from->out),
                     FAIL_NONE);
    assert_int_equal(tls_pair_carry(from, to, SIZE_MAX, &plain), TLS_WANT_MORE);
    assert_buf_is(&plain, bytes_of_string(text));
    buf_fini(&plain);
}

static void both_ends_move_and_nobody_notices(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_OWN);

    for (int i = 0; i < 10; i++) {
        assert_passes(&pair.client, &pair.server, "up");
        assert_passes(&pair.server, &pair.client, "down");
        move(i % 3 == 0 ? &pair.client : &pair.server);
    }
    tls_pair_fini(&pair);
}

static void all_facts_come_along(void **state)
{
    struct tls_pair         pair = new_pair(TLS_RECORDS_OWN);
    const struct tls_facts *before = tls_engine_facts(pair.client.engine);
    const struct tls_facts *after;

    move(&pair.server);
    after = tls_engine_facts(pair.server.engine);
    assert_string_equal(after->version, "TLSv1.3");
    assert_string_equal(after->cipher, before->cipher);
    assert_string_equal(after->group, before->group);
    assert_string_equal(after->alpn, "postgresql");
    assert_string_equal(after->sni, "db.example.com");
    assert_string_equal(after->record_layer, "record");
    assert_true(after->peer_presented && after->peer_verified && !after->resumed);
    assert_string_equal(after->peer_subject, "CN=alice");
    assert_string_equal(after->peer_issuer, "CN=issuing");
    assert_int_equal(strlen(after->peer_fingerprint), 64);
    tls_pair_fini(&pair);
}

static void all_of_the_session_comes_along(void **state)
{
    struct tls_pair           pair = new_pair(TLS_RECORDS_OWN);
    struct tls_session        before = pair.client.engine->session;
    const struct tls_session *after;

    before.messages = (struct tls_messages){ .header = { 4, 0, 0, 40 },
                                             .have = 4,
                                             .field = 5,
                                             .request = 1,
                                             .value = 300,
                                             .field_left = 17,
                                             .body_left = 23 };
    before.most_read = 512;
    before.most_written = 1024;
    before.empty_records = 31;
    before.warnings = 3;
    before.unpaid = 1000;
    before.answer_due = before.requested = true;
    before.read.sequence = (uint64_t)1 << 40 | 5;
    before.write.sequence = 7;
    pair.client.engine->session = before;
    move(&pair.client);
    after = &pair.client.engine->session;
    assert_memory_equal(&after->read, &before.read, sizeof before.read);
    assert_memory_equal(&after->write, &before.write, sizeof before.write);
    assert_memory_equal(&after->messages, &before.messages, sizeof before.messages);
    assert_int_equal(after->most_read, 512);
    assert_int_equal(after->most_written, 1024);
    assert_int_equal(after->empty_records, 31);
    assert_int_equal(after->warnings, 3);
    assert_int_equal(after->unpaid, 1000);
    assert_true(after->is_client && after->answer_due && after->requested);
    tls_pair_fini(&pair);
}

static void a_record_that_is_cut_comes_along(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_OWN);

    for (size_t cut = 1; cut < 40; cut++) {
        struct buf   plain = BUF_LIMIT(100);
        struct bytes in;
        uint8_t      room[100];
        size_t       got;

        assert_int_equal(tls_engine_write(pair.client.engine, BYTES("twenty bytes of text"),
                                          &pair.client.out),
                         FAIL_NONE);
        in = bytes_first(buf_bytes(&pair.client.out), cut);
        tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out);
        buf_skip(&pair.client.out, cut);
        move(&pair.server);
        assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain),
                         TLS_WANT_MORE);
        assert_buf_is(&plain, BYTES("twenty bytes of text"));
        buf_fini(&plain);
    }
    tls_pair_fini(&pair);
}

static void plaintext_that_found_no_room_comes_along(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_OWN);
    struct bytes    in;
    uint8_t         room[20];
    size_t          got;

    assert_int_equal(
        tls_engine_write(pair.client.engine, BYTES("twenty bytes of text"), &pair.client.out),
        FAIL_NONE);
    in = buf_bytes(&pair.client.out);
    for (size_t at = 0; at < 20; at += 5) {
        assert_int_equal(
            tls_engine_read(pair.server.engine, &in, room, 5, &got, &pair.server.out),
            at < 15 ? TLS_DONE : TLS_WANT_MORE);
        assert_int_equal(got, 5);
        assert_memory_equal(room, &"twenty bytes of text"[at], 5);
        move(&pair.server);
    }
    tls_pair_fini(&pair);
}

static void a_direction_that_has_ended_stays_ended(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_OWN);
    struct buf      plain = BUF_LIMIT(100);

    tls_engine_close(pair.client.engine, &pair.client.out);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_CLOSED);
    move(&pair.server);
    move(&pair.client);
    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("x"), &pair.client.out),
                     FAIL_CLOSED);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_CLOSED);
    assert_passes(&pair.server, &pair.client, "still here");
    tls_pair_fini(&pair);
}

static void who_gave_it_away_has_nothing_left(void **state)
{
    static const struct tls_session nothing;
    struct tls_pair                 pair = new_pair(TLS_RECORDS_OWN);
    struct buf                      given = give(pair.server.engine);
    struct failure                  why = { 0 };

    assert_memory_equal(&pair.server.engine->session.read, &nothing.read, sizeof nothing.read);
    assert_memory_equal(&pair.server.engine->session.write, &nothing.write,
                        sizeof nothing.write);
    assert_int_equal(tls_engine_write(pair.server.engine, BYTES("x"), &pair.server.out),
                     FAIL_CLOSED);
    tls_engine_close(pair.server.engine, &pair.server.out);
    assert_int_equal(pair.server.out.len, 0);
    assert_int_equal(tls_engine_give(pair.server.engine, &given, &why), FAIL_REFUSED);
    buf_fini(&given);
    tls_pair_fini(&pair);
}

/* Memory that grows leaves copies of the secrets where it was. */
static void what_is_given_takes_its_memory_at_once(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_OWN);
    struct buf      given;

    alloc_fail_at(2);
    given = give(pair.server.engine);
    assert_false(alloc_has_failed());
    buf_fini(&given);
    tls_pair_fini(&pair);
}

static void openssl_gives_nothing_away(void **state)
{
    struct tls_pair pair = new_pair(TLS_RECORDS_LIBRARY);
    struct buf      given = BUF_LIMIT(100000);
    struct failure  why = { 0 };

    assert_int_equal(tls_engine_give(pair.server.engine, &given, &why), FAIL_REFUSED);
    assert_int_equal(given.len, 0);
    assert_passes(&pair.server, &pair.client, "still here");
    tls_pair_fini(&pair);
}

/* The server has the front of a record, the rest is on its way. */
static void say_half(struct tls_pair *pair)
{
    struct bytes in;

    assert_int_equal(
        tls_engine_write(pair->client.engine, BYTES("twenty bytes of text"), &pair->client.out),
        FAIL_NONE);
    in = bytes_first(buf_bytes(&pair->client.out), 20);
    tls_engine_read(pair->server.engine, &in, (uint8_t[9]){ 0 }, 9, &(size_t){ 0 },
                    &pair->server.out);
    buf_skip(&pair->client.out, 20);
}

static void what_is_cut_or_for_another_role_is_refused(void **state)
{
    struct tls_pair     pair = new_pair(TLS_RECORDS_OWN);
    struct tls_context *server = tls_context_hold(pair.server.engine->context);
    struct buf          given = give(pair.server.engine);
    struct failure      why = { 0 };

    for (size_t len = 0; len < given.len; len++)
        assert_null(tls_engine_take(server, bytes_of(given.memory, len), &why));
    assert_int_equal(why.kind, FAIL_PROTOCOL);
    assert_null(tls_engine_take(pair.client.engine->context, buf_bytes(&given), &why));
    given.memory[9] ^= 1; /* another version */
    assert_null(tls_engine_take(server, buf_bytes(&given), &why));
    given.memory[9] ^= 1;
    buf_put_u8(&given, 0);
    assert_null(tls_engine_take(server, buf_bytes(&given), &why));
    given.len--;
    tls_engine_free(pair.server.engine);
    pair.server.engine = tls_engine_take(server, buf_bytes(&given), &why);
    assert_passes(&pair.server, &pair.client, "here again");
    tls_context_release(server);
    buf_fini(&given);
    tls_pair_fini(&pair);
}

/* Whatever it is taken for: nothing is read or written that is not there (sanitizers see it).
 */
static void what_is_damaged_is_refused_or_goes_on(void **state)
{
    static const uint8_t damages[] = { 0x01, 0x80, 0xff };
    struct tls_pair      pair = new_pair(TLS_RECORDS_OWN);
    struct tls_context  *server = tls_context_hold(pair.server.engine->context);
    struct buf           given;
    struct bytes         in;

    say_half(&pair);
    given = give(pair.server.engine);
    for (size_t i = 0; i < given.len * sizeof damages; i++) {
        struct tls_engine *engine;
        struct buf         out = BUF_LIMIT(100000);
        uint8_t            room[64];
        size_t             got;

        given.memory[i / sizeof damages] ^= damages[i % sizeof damages];
        engine = tls_engine_take(server, buf_bytes(&given), NULL);
        given.memory[i / sizeof damages] ^= damages[i % sizeof damages];
        if (engine == NULL)
            continue;
        in = buf_bytes(&pair.client.out);
        while (tls_engine_read(engine, &in, room, sizeof room, &got, &out) == TLS_DONE)
            assert_true(got > 0);
        if (tls_engine_write(engine, BYTES("an answer"), &out) == FAIL_NONE)
            assert_true(out.len >= 9 + TLS_RECORD_OVERHEAD);
        tls_engine_close(engine, &out);
        tls_engine_free(engine);
        buf_fini(&out);
    }
    tls_context_release(server);
    buf_fini(&given);
    tls_pair_fini(&pair);
}

static void taking_fails_cleanly_when_memory_runs_out(void **state)
{
    struct tls_pair     pair = new_pair(TLS_RECORDS_OWN);
    struct tls_context *server = tls_context_hold(pair.server.engine->context);
    struct buf          given;
    struct bytes        in;
    unsigned            n;

    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("a record"), &pair.client.out),
                     FAIL_NONE);
    in = bytes_first(buf_bytes(&pair.client.out), 20);
    tls_engine_read(pair.server.engine, &in, (uint8_t[9]){ 0 }, 9, &(size_t){ 0 },
                    &pair.server.out);
    given = give(pair.server.engine);
    for (n = 1; n < 10; n++) {
        struct tls_engine *engine;

        alloc_fail_at(n);
        engine = tls_engine_take(server, buf_bytes(&given), NULL);
        if (!alloc_has_failed()) {
            assert_non_null(engine);
            tls_engine_free(engine);
            break;
        }
        assert_null(engine);
    }
    assert_true(n > 3 && n < 10);
    tls_context_release(server);
    buf_fini(&given);
    tls_pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_move_and_nobody_notices),
        cmocka_unit_test(all_facts_come_along),
        cmocka_unit_test(all_of_the_session_comes_along),
        cmocka_unit_test(a_record_that_is_cut_comes_along),
        cmocka_unit_test(plaintext_that_found_no_room_comes_along),
        cmocka_unit_test(a_direction_that_has_ended_stays_ended),
        cmocka_unit_test(who_gave_it_away_has_nothing_left),
        cmocka_unit_test(what_is_given_takes_its_memory_at_once),
        cmocka_unit_test(openssl_gives_nothing_away),
        cmocka_unit_test(what_is_cut_or_for_another_role_is_refused),
        cmocka_unit_test(what_is_damaged_is_refused_or_goes_on),
        cmocka_unit_test(taking_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

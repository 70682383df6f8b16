/* SPDX-License-Identifier: PostgreSQL */
/* What OpenSSL does not do, or cannot be asked: limits of our own, memory, wiping. */
#include "tls/record_own.h"

#include "harness/alloc.h"
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/pair_talk.h"

_Static_assert(sizeof(struct tls_engine) <= 640, "every idle connection has one, or two");

#define KEY_UPDATE TLS_KEY_UPDATE_RECORD

static struct tls_pair new_pair(void)
{
    return tls_pair_open(&pki, TLS_RECORDS_OWN, TLS_RECORDS_OWN);
}

static void assert_wiped(const struct tls_traffic *traffic)
{
    static const struct tls_traffic zero;

    assert_memory_equal(traffic, &zero, sizeof zero);
}

static void one_answer_waits_and_no_more_however_many_are_requested(void **state)
{
    struct tls_pair pair = new_pair();

    for (int i = 0; i < 20; i++) {
        update(&pair.client, true);
        assert_hears(&pair.client, &pair.server, "");
        assert_int_equal(pair.server.out.len, KEY_UPDATE);
    }
    say(&pair.server, "data"); /* behind an answer to all of the others */
    assert_int_equal(pair.server.out.len, 2 * KEY_UPDATE + 4 + TLS_RECORD_OVERHEAD);
    assert_hears(&pair.server, &pair.client, "data");
    update(&pair.client, true);
    assert_hears(&pair.client, &pair.server, "");
    assert_int_equal(pair.server.out.len, KEY_UPDATE);
    tls_pair_fini(&pair);
}

static void answers_to_what_we_ask_for_cost_the_peer_nothing(void **state)
{
    struct tls_pair pair = new_pair();

    unsigned asked = 0;

    tls_aeads_set_records_per_key(tls_context_aeads(pair.server.engine->context), 20);
    for (int i = 0; i < 2000; i++) {
        say(&pair.client, "x"); /* which pays for the server's requests */
        assert_hears(&pair.client, &pair.server, "x");
        asked += pair.server.engine->session.requested;
        assert_hears(&pair.server, &pair.client, "");
        assert_hears(&pair.client, &pair.server, "");
        assert_int_equal(pair.server.engine->session.unpaid, 0);
    }
    assert_int_equal(asked, 100);
    tls_pair_fini(&pair);
}

static void new_keys_come_before_the_limit_and_are_asked_for(void **state)
{
    struct tls_pair pair = new_pair();

    for (int side = 0; side < 2; side++)
        tls_aeads_set_records_per_key(
            tls_context_aeads((side == 0 ? pair.client : pair.server).engine->context), 10);
    for (int i = 0; i < 10; i++)
        say(&pair.client, "x");
    assert_hears(&pair.client, &pair.server, "xxxxxxxxxx");
    /* ten were read with one key: the server asks for another, and takes one itself */
    assert_int_equal(pair.server.out.len, KEY_UPDATE);
    assert_true(pair.server.engine->session.requested);
    assert_hears(&pair.server, &pair.client, "");
    assert_int_equal(pair.client.out.len, KEY_UPDATE); /* the answer */
    assert_hears(&pair.client, &pair.server, "");
    assert_false(pair.server.engine->session.requested);
    for (int i = 0; i < 100; i++) {
        say(&pair.client, "y");
        assert_true(pair.client.engine->session.write.sequence <= 10);
        assert_hears(&pair.client, &pair.server, "y");
        if (pair.server.out.len > 0)
            assert_hears(&pair.server, &pair.client, "");
    }
    tls_pair_fini(&pair);
}

/* RFC 8446 5.5; the peer, which counts to its own limit, asks for nothing here. */
static void nobody_must_ask_us_for_new_keys(void **state)
{
    struct tls_pair pair = new_pair();
    unsigned        updates = 0;
    uint64_t        before = 0;

    tls_aeads_set_records_per_key(tls_context_aeads(pair.client.engine->context), 10);
    for (int i = 0; i < 35; i++) {
        say(&pair.client, "x");
        assert_true(pair.client.engine->session.write.sequence <= 10);
        updates += pair.client.engine->session.write.sequence < before;
        before = pair.client.engine->session.write.sequence;
        assert_hears(&pair.client, &pair.server, "x");
    }
    assert_int_equal(updates, 3);
    assert_int_equal(pair.server.out.len, 0);
    tls_pair_fini(&pair);
}

static void the_limit_is_that_of_aes_gcm(void **state)
{
    struct tls_aeads *aeads = tls_aeads_new();

    assert_true(tls_aeads_records_per_key(aeads) <= 23726566); /* 2^24.5 */
    tls_aeads_release(aeads);
}

static void new_keys_are_asked_for_once_however_long_the_peer_takes(void **state)
{
    struct tls_pair pair = new_pair();

    tls_aeads_set_records_per_key(tls_context_aeads(pair.server.engine->context), 10);
    for (int i = 0; i < 10; i++)
        say(&pair.client, "x");
    assert_hears(&pair.client, &pair.server, "xxxxxxxxxx");
    assert_int_equal(pair.server.out.len, KEY_UPDATE);
    buf_clear(&pair.server.out); /* on its way */
    for (int i = 0; i < 10; i++) {
        say(&pair.client, "y");
        assert_hears(&pair.client, &pair.server, "y");
        assert_int_equal(pair.server.out.len, 0);
    }
    tls_pair_fini(&pair);
}

/* RFC 8446 4.6.3: two ends that answer a request with a request would never end. */
static void an_answer_asks_for_nothing(void **state)
{
    struct tls_pair     pair = new_pair();
    struct tls_session *session = &pair.server.engine->session;

    tls_aeads_set_records_per_key(tls_context_aeads(pair.server.engine->context), 10);
    update(&pair.client, true);
    for (int i = 0; i < 10; i++)
        say(&pair.client, "x");
    assert_hears(&pair.client, &pair.server, "xxxxxxxxxx"); /* both are due at once */
    assert_int_equal(pair.server.out.len, KEY_UPDATE);
    assert_false(session->requested || session->answer_due);
    assert_hears(&pair.server, &pair.client, "");
    assert_int_equal(pair.client.out.len, 0);
    say(&pair.client, "x");
    assert_hears(&pair.client, &pair.server, "x");
    assert_true(session->requested);
    assert_hears(&pair.server, &pair.client, "");
    assert_int_equal(pair.client.out.len, KEY_UPDATE);
    tls_pair_fini(&pair);
}

/* The server reads what waits, with room for `room` bytes of answers. */
static enum tls_verdict read_with_room(struct tls_pair *pair, size_t room)
{
    struct buf       out = BUF_LIMIT(room);
    struct bytes     in = buf_bytes(&pair->client.out);
    size_t           got;
    enum tls_verdict verdict =
        tls_engine_read(pair->server.engine, &in, (uint8_t[100]){ 0 }, 100, &got, &out);

    assert_true(buf_ok(&out));
    assert_int_equal(out.len, 0);
    buf_clear(&pair->client.out);
    buf_fini(&out);
    return verdict;
}

static void an_answer_without_room_comes_with_the_next_data(void **state)
{
    struct tls_pair pair = new_pair();

    update(&pair.client, true);
    assert_int_equal(read_with_room(&pair, KEY_UPDATE - 1), TLS_WANT_MORE);
    say(&pair.server, "data");
    assert_int_equal(pair.server.out.len, KEY_UPDATE + 4 + TLS_RECORD_OVERHEAD);
    assert_hears(&pair.server, &pair.client, "data");
    tls_pair_fini(&pair);
}

static void an_alert_without_room_is_not_sent(void **state)
{
    struct tls_pair pair = new_pair();

    say(&pair.client, "text");
    pair.client.out.memory[7] ^= 1;
    assert_int_equal(read_with_room(&pair, 2 + TLS_RECORD_OVERHEAD - 1), TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), -1);
    tls_pair_fini(&pair);
}

/* RFC 8446 6.1: close_notify was the last that we send. */
static void behind_our_close_nothing_is_answered(void **state)
{
    struct tls_pair pair = new_pair();

    tls_aeads_set_records_per_key(tls_context_aeads(pair.server.engine->context), 10);
    tls_engine_close(pair.server.engine, &pair.server.out);
    update(&pair.client, true);
    for (int i = 0; i < 20; i++)
        say(&pair.client, "x");
    assert_int_equal(read_with_room(&pair, 1000), TLS_WANT_MORE);
    say(&pair.client, "text");
    pair.client.out.memory[7] ^= 1;
    assert_int_equal(read_with_room(&pair, 1000), TLS_FAILED);
    tls_pair_fini(&pair);
}

/* RFC 8446 5.3: it terminates the connection; nothing is sealed twice with one number. */
static void a_sequence_that_is_used_up_ends_the_connection(void **state)
{
    struct tls_pair pair = new_pair();

    tls_aeads_set_records_per_key(tls_context_aeads(pair.server.engine->context), UINT64_MAX);
    pair.server.engine->session.write.sequence = UINT64_MAX;
    assert_int_equal(tls_engine_write(pair.server.engine, BYTES("x"), &pair.server.out),
                     FAIL_TLS);
    assert_int_equal(pair.server.out.len, 0);
    assert_wiped(&pair.server.engine->session.read);
    assert_wiped(&pair.server.engine->session.write);
    assert_int_equal(tls_engine_write(pair.server.engine, BYTES("x"), &pair.server.out),
                     FAIL_CLOSED);
    tls_pair_fini(&pair);
}

static void an_idle_connection_holds_no_memory_and_no_openssl(void **state)
{
    struct tls_pair pair = new_pair();
    struct buf      plain = BUF_LIMIT(100);

    say(&pair.client, "text");
    tls_pair_carry(&pair.client, &pair.server, 1, &plain); /* byte by byte */
    assert_null(pair.server.engine->ssl);
    assert_null(pair.server.engine->held.memory);
    assert_int_equal(pair.server.engine->held.len, 0);
    assert_buf_is(&plain, BYTES("text"));
    buf_fini(&plain);
    tls_pair_fini(&pair);
}

/* RFC 6066 4: "If a server receives [...] a record that is larger than the negotiated length":
 * record_overflow. */
static void more_in_a_record_than_was_agreed_on_is_too_much(void **state)
{
    struct tls_pair pair = new_pair();
    struct buf      plain = BUF_LIMIT(10000);
    char            text[514];

    memset(text, 'x', sizeof text);
    text[512] = '\0';
    pair.server.engine->session.most_read = 512;
    say(&pair.client, text);
    assert_hears(&pair.client, &pair.server, text);
    text[512] = 'x';
    text[513] = '\0';
    say(&pair.client, text);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 22);
    tls_pair_fini(&pair);
}

static void *watched;
static bool  was_wiped;

static void look(void *memory)
{
    if (memory == watched)
        was_wiped =
            memcmp((uint8_t *)memory + TLS_HEADER_BYTES, "\0\0\0\0\0\0\0\0\0\0\0", 11) == 0;
}

static void plaintext_that_waited_for_room_is_wiped(void **state)
{
    struct tls_pair pair = new_pair();
    struct bytes    in;
    uint8_t         room[8];
    size_t          got;

    for (int at_once = 0; at_once < 2; at_once++) {
        say(&pair.client, "eleven byte");
        in = buf_bytes(&pair.client.out);
        assert_int_equal(
            tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out),
            TLS_DONE);
        buf_clear(&pair.client.out);
        watched = pair.server.engine->held.memory;
        assert_memory_equal((uint8_t *)watched + TLS_HEADER_BYTES, "eleven byte", 11);
        was_wiped = false;
        alloc_before_free = look;
        if (at_once == 0)
            tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out);
        else
            tls_pair_fini(&pair);
        alloc_before_free = NULL;
        assert_true(was_wiped);
    }
}

static void keys_are_wiped_when_a_direction_ends(void **state)
{
    struct tls_pair pair = new_pair();
    struct buf      plain = BUF_LIMIT(100);

    tls_engine_close(pair.client.engine, &pair.client.out);
    assert_wiped(&pair.client.engine->session.write);
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_CLOSED);
    assert_wiped(&pair.server.engine->session.read);
    say(&pair.server, "still here");
    assert_hears(&pair.server, &pair.client, "still here");
    tls_pair_fini(&pair);
}

static void keys_are_wiped_by_a_failure_on_both_sides(void **state)
{
    struct tls_pair pair = new_pair();
    struct buf      plain = BUF_LIMIT(100);

    say(&pair.client, "text");
    pair.client.out.memory[7] ^= 1;
    assert_int_equal(tls_pair_carry(&pair.client, &pair.server, SIZE_MAX, &plain), TLS_FAILED);
    assert_wiped(&pair.server.engine->session.read);
    assert_wiped(&pair.server.engine->session.write);
    assert_int_equal(tls_pair_carry(&pair.server, &pair.client, SIZE_MAX, &plain), TLS_FAILED);
    assert_int_equal(tls_engine_alert_received(pair.client.engine), 20);
    assert_wiped(&pair.client.engine->session.read);
    assert_wiped(&pair.client.engine->session.write);
    tls_engine_close(pair.client.engine, &pair.client.out);
    assert_int_equal(tls_engine_write(pair.client.engine, BYTES("x"), &pair.client.out),
                     FAIL_CLOSED);
    tls_pair_fini(&pair);
}

static void a_cut_record_without_memory_ends_the_connection_with_internal_error(void **state)
{
    struct tls_pair pair = new_pair();
    struct bytes    in;
    uint8_t         room[100];
    size_t          got;

    say(&pair.client, "text");
    in = bytes_first(buf_bytes(&pair.client.out), 10);
    buf_reserve(&pair.server.out, 100);
    alloc_fail_at(1);
    assert_int_equal(
        tls_engine_read(pair.server.engine, &in, room, sizeof room, &got, &pair.server.out),
        TLS_FAILED);
    assert_true(alloc_has_failed());
    assert_int_equal(tls_engine_failure(pair.server.engine)->kind, FAIL_MEMORY);
    assert_int_equal(tls_engine_alert_sent(pair.server.engine), 80);
    tls_pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_waits_and_no_more_however_many_are_requested),
        cmocka_unit_test(answers_to_what_we_ask_for_cost_the_peer_nothing),
        cmocka_unit_test(new_keys_come_before_the_limit_and_are_asked_for),
        cmocka_unit_test(nobody_must_ask_us_for_new_keys),
        cmocka_unit_test(the_limit_is_that_of_aes_gcm),
        cmocka_unit_test(new_keys_are_asked_for_once_however_long_the_peer_takes),
        cmocka_unit_test(an_answer_asks_for_nothing),
        cmocka_unit_test(an_answer_without_room_comes_with_the_next_data),
        cmocka_unit_test(an_alert_without_room_is_not_sent),
        cmocka_unit_test(behind_our_close_nothing_is_answered),
        cmocka_unit_test(a_sequence_that_is_used_up_ends_the_connection),
        cmocka_unit_test(an_idle_connection_holds_no_memory_and_no_openssl),
        cmocka_unit_test(more_in_a_record_than_was_agreed_on_is_too_much),
        cmocka_unit_test(plaintext_that_waited_for_room_is_wiped),
        cmocka_unit_test(keys_are_wiped_when_a_direction_ends),
        cmocka_unit_test(keys_are_wiped_by_a_failure_on_both_sides),
        cmocka_unit_test(a_cut_record_without_memory_ends_the_connection_with_internal_error),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

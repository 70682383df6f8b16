/* SPDX-License-Identifier: PostgreSQL */
/*
 * Frames in the place of records.  A kernel is played here: it makes records of the frames of
 * a server, and frames of the records of its client, with nothing but the keys it was given.
 */
#include "tls/kernel.h"
#include "tls/record_own.h"

#include "harness/check.h"
#include "harness/group_pki.h"

#include <errno.h>
#include <linux/tls.h>
#include <string.h>

struct rig {
    struct tls_pair    pair;
    struct tls_aeads  *aeads; /* the kernel's */
    struct tls_traffic send, receive;
    unsigned           keys; /* that were asked for in the middle */
};

static void set_key(struct rig *rig, enum tls_kernel_way way)
{
    struct tls12_crypto_info_aes_gcm_256 keys;
    uint8_t                              bytes[TLS_KERNEL_KEYS_MOST];
    struct tls_traffic *to = way == TLS_KERNEL_SENDS ? &rig->send : &rig->receive;

    assert_int_equal(tls_kernel_keys(rig->pair.server.engine, way, bytes), sizeof keys);
    memcpy(&keys, bytes, sizeof keys);
    *to = (struct tls_traffic){ .suite = TLS_SUITE_AES_256_GCM_SHA384 };
    memcpy(to->key, keys.key, sizeof keys.key);
    memcpy(to->iv, keys.salt, sizeof keys.salt);
    memcpy(to->iv + sizeof keys.salt, keys.iv, sizeof keys.iv);
    for (int i = 0; i < 8; i++)
        to->sequence = to->sequence << 8 | keys.rec_seq[i];
    tls_kernel_took(rig->pair.server.engine, way);
}

static struct rig new_rig(bool rekeys)
{
    struct rig rig = { .aeads = tls_aeads_new() };

    assert_true(tls_aeads_prepare(rig.aeads, TLS_SUITE_AES_256_GCM_SHA384));
    tls_pair_init(&rig.pair,
                  tls_pair_engine(&(struct tls_policy_options){ .role = TLS_CLIENT },
                                  &(struct tls_engine_options){ .wall_s = CERTS_NOW }),
                  tls_pair_engine(
                      &(struct tls_policy_options){
                          .role = TLS_SERVER,
                          .identity = pki.server,
                          .ciphersuites = "TLS_AES_256_GCM_SHA384",
                          .max_record_bytes = 8192,
                          .record_layer = TLS_RECORDS_KERNEL,
                          .kernel = { .sends = ~0u, .receives = ~0u, .rekeys = rekeys } },
                      &(struct tls_engine_options){ .wall_s = CERTS_NOW }));
    tls_pair_handshake(&rig.pair, SIZE_MAX);
    assert_true(tls_kernel_is_wanted(rig.pair.server.engine));
    set_key(&rig, TLS_KERNEL_SENDS);
    set_key(&rig, TLS_KERNEL_RECEIVES);
    assert_false(tls_kernel_is_wanted(rig.pair.server.engine));
    return rig;
}

static void end_rig(struct rig *rig)
{
    tls_pair_fini(&rig->pair);
    tls_aeads_release(rig->aeads);
}

/* The server's frames become records, in order, with a key wherever one is due. */
static void kernel_sends(struct rig *rig)
{
    struct buf   records = BUF_LIMIT((size_t)1 << 20);
    struct bytes frames = buf_bytes(&rig->pair.server.out);

    while (frames.len > 0) {
        uint8_t      type = frames.p[0];
        struct bytes content = bytes_of(frames.p + TLS_FRAME_HEADER, bytes_u16(frames.p + 3));

        bytes_skip(&frames, TLS_FRAME_HEADER + content.len);
        if (type == TLS_FRAME_KEY) {
            assert_int_equal(content.len, 0);
            set_key(rig, TLS_KERNEL_SENDS);
            rig->keys++;
            continue;
        }
        assert_true(content.len > 0 && content.len <= 8192);
        assert_true(tls_traffic_seal(&rig->send, rig->aeads, type, content,
                                     buf_reserve(&records, content.len + TLS_RECORD_OVERHEAD)));
        buf_wrote(&records, content.len + TLS_RECORD_OVERHEAD);
    }
    buf_fini(&rig->pair.server.out);
    rig->pair.server.out = records;
}

/* The next record of the client becomes a frame. */
static struct buf kernel_receives(struct rig *rig)
{
    struct buf   frame = BUF_LIMIT(20000);
    struct bytes record = buf_bytes(&rig->pair.client.out);
    uint8_t      content[TLS_LONGEST_RECORD];
    size_t       n;

    record.len = TLS_HEADER_BYTES + bytes_u16(record.p + 3);
    assert_true(tls_traffic_open(&rig->receive, rig->aeads, record, content));
    n = record.len - TLS_HEADER_BYTES - TLS_TAG_BYTES;
    while (content[n - 1] == 0)
        n--;
    buf_put_u8(&frame, content[n - 1]);
    buf_put_u16(&frame, 0x0303);
    buf_put_u16(&frame, (uint16_t)(n - 1));
    buf_put(&frame, bytes_of(content, n - 1));
    buf_skip(&rig->pair.client.out, record.len);
    return frame;
}

static enum tls_verdict server_reads(struct rig *rig, struct bytes in, size_t room,
                                     struct buf *plain)
{
    struct tls_side *server = &rig->pair.server;
    uint8_t          memory[1000];
    size_t           got;

    do {
        server->verdict =
            tls_engine_read(server->engine, &in, memory, room, &got, &server->out);
        buf_put(plain, bytes_of(memory, got));
    } while (server->verdict == TLS_DONE);
    if (tls_kernel_needs_key(server->engine))
        set_key(rig, TLS_KERNEL_RECEIVES);
    return server->verdict;
}

static void server_hears(struct rig *rig, const char *text)
{
    struct buf plain = BUF_LIMIT(100000);

    while (rig->pair.client.out.len > 0) {
        struct buf frame = kernel_receives(rig);

        assert_int_equal(server_reads(rig, buf_bytes(&frame), 1000, &plain), TLS_WANT_MORE);
        buf_fini(&frame);
    }
    assert_buf_is(&plain, bytes_of_string(text));
    buf_fini(&plain);
}

static void client_hears(struct rig *rig, struct bytes text, enum tls_verdict verdict)
{
    struct buf plain = BUF_LIMIT(1000000);

    kernel_sends(rig);
    assert_int_equal(tls_pair_carry(&rig->pair.server, &rig->pair.client, SIZE_MAX, &plain),
                     verdict);
    assert_buf_is(&plain, text);
    buf_fini(&plain);
}

static void say(struct tls_side *from, struct bytes text)
{
    assert_int_equal(tls_engine_write(from->engine, text, &from->out), FAIL_NONE);
}

static void update(struct tls_side *side, bool request)
{
    side->engine->out = &side->out;
    assert_true(tls_record_update(side->engine, request));
    side->engine->out = NULL;
}

static void data_passes_both_ways(void **state)
{
    struct rig rig = new_rig(true);
    uint8_t    text[20000];

    memset(text, 'x', sizeof text);
    say(&rig.pair.server, bytes_of(text, sizeof text));
    client_hears(&rig, bytes_of(text, sizeof text), TLS_WANT_MORE);
    say(&rig.pair.client, BYTES("up"));
    server_hears(&rig, "up");
    assert_string_equal(tls_engine_facts(rig.pair.server.engine)->record_layer, "kernel");
    end_rig(&rig);
}

static void a_frame_is_handed_out_however_little_room_there_is(void **state)
{
    for (size_t room = 1; room < 40; room++) {
        struct rig rig = new_rig(true);
        struct buf frame, plain = BUF_LIMIT(1000);

        say(&rig.pair.client, BYTES("some bytes of plaintext"));
        frame = kernel_receives(&rig);
        assert_int_equal(server_reads(&rig, buf_bytes(&frame), room, &plain), TLS_WANT_MORE);
        assert_buf_is(&plain, BYTES("some bytes of plaintext"));
        buf_fini(&frame);
        buf_fini(&plain);
        end_rig(&rig);
    }
}

static void both_sides_change_their_keys(void **state)
{
    struct rig rig = new_rig(true);

    for (int turn = 0; turn < 6; turn++) {
        update(&rig.pair.client, turn % 2 == 0);
        say(&rig.pair.client, BYTES("up"));
        server_hears(&rig, "up");
        say(&rig.pair.server, BYTES("down"));
        client_hears(&rig, BYTES("down"), TLS_WANT_MORE);
    }
    assert_int_equal(rig.keys, 3);
    end_rig(&rig);
}

/* A KeyUpdate and the place of its key, and a byte of data. */
#define ANSWER                                                                                 \
    "\26\3\3\0\5\30\0\0\1\0"                                                                   \
    "\0\3\3\0\0"
#define DOT "\27\3\3\0\1."

/* Half of what RFC 8446 5.5 counts in, as a client takes no more in one. */
static void say_half_a_record(struct rig *rig)
{
    static const uint8_t half[8192];

    say(&rig->pair.server, bytes_of(half, sizeof half));
    client_hears(rig, bytes_of(half, sizeof half), TLS_WANT_MORE);
}

/* RFC 8446 4.6.3: the answer comes before the next data, also to a request that finds an answer
 * to the one before still on its way. */
static void each_request_is_answered_before_the_next_data(void **state)
{
    struct rig rig = new_rig(true);

    for (int i = 0; i < 5; i++) {
        update(&rig.pair.client, true);
        server_hears(&rig, "");
        say(&rig.pair.server, BYTES("."));
    }
    assert_buf_is(&rig.pair.server.out,
                  BYTES(ANSWER DOT ANSWER DOT ANSWER DOT ANSWER DOT ANSWER DOT));
    client_hears(&rig, BYTES("....."), TLS_WANT_MORE);
    assert_int_equal(rig.keys, 5);
    end_rig(&rig);
}

static void who_does_not_read_gets_one_answer_to_all_its_requests(void **state)
{
    struct rig rig = new_rig(true);

    for (int i = 0; i < 5; i++) {
        update(&rig.pair.client, true);
        server_hears(&rig, "");
    }
    assert_buf_is(&rig.pair.server.out, BYTES(ANSWER));
    client_hears(&rig, BYTES(""), TLS_WANT_MORE);
    say(&rig.pair.server, BYTES(".")); /* behind an answer to the others */
    assert_buf_is(&rig.pair.server.out, BYTES(ANSWER DOT));
    client_hears(&rig, BYTES("."), TLS_WANT_MORE);
    assert_int_equal(rig.keys, 2);
    end_rig(&rig);
}

static void the_count_of_a_key_goes_on_while_the_kernel_waits_for_it(void **state)
{
    static const uint8_t half[8192];
    struct rig           rig = new_rig(true);
    struct buf           all = BUF_LIMIT(1000000);

    tls_aeads_set_records_per_key(tls_context_aeads(rig.pair.server.engine->context), 4);
    for (int i = 0; i < 8 * 4; i++) { /* nothing of it is with the kernel yet */
        say(&rig.pair.server, bytes_of(half, sizeof half));
        buf_put(&all, bytes_of(half, sizeof half));
    }
    client_hears(&rig, buf_bytes(&all), TLS_WANT_MORE);
    assert_int_equal(rig.keys, 3);
    for (int i = 0; i < 8; i++)
        say_half_a_record(&rig);
    assert_int_equal(rig.keys, 4);
    buf_fini(&all);
    end_rig(&rig);
}

static void a_key_that_is_due_does_not_die_with_the_last_words_behind_it(void **state)
{
    static const struct tls_traffic zero;
    struct rig                      rig = new_rig(true);

    update(&rig.pair.client, true);
    server_hears(&rig, "");
    say(&rig.pair.server, BYTES("bye"));
    tls_engine_close(rig.pair.server.engine, &rig.pair.server.out);
    client_hears(&rig, BYTES("bye"), TLS_CLOSED);
    assert_int_equal(rig.keys, 1);
    assert_memory_equal(&rig.pair.server.engine->session.write, &zero, sizeof zero);
    end_rig(&rig);
}

static void small_records_count_for_little_of_a_key(void **state)
{
    struct rig rig = new_rig(true);

    tls_aeads_set_records_per_key(tls_context_aeads(rig.pair.server.engine->context), 4);
    for (int i = 0; i < 4 * 1027 / 3; i++) {
        say(&rig.pair.server, BYTES("x"));
        client_hears(&rig, BYTES("x"), TLS_WANT_MORE);
    }
    assert_int_equal(rig.keys, 0);
    for (int i = 0; i < 3; i++) {
        say(&rig.pair.server, BYTES("x"));
        client_hears(&rig, BYTES("x"), TLS_WANT_MORE);
    }
    assert_int_equal(rig.keys, 1);
    end_rig(&rig);
}

static void our_own_limit_brings_new_keys(void **state)
{
    struct rig rig = new_rig(true);

    tls_aeads_set_records_per_key(tls_context_aeads(rig.pair.server.engine->context), 4);
    for (int i = 0; i < 40; i++)
        say_half_a_record(&rig);
    assert_int_equal(rig.keys, 4);
    end_rig(&rig);
}

static void keys_are_forgotten_once_the_kernel_has_them(void **state)
{
    static const uint8_t zeros[TLS_LONGEST_SECRET];

    for (int rekeys = 0; rekeys < 2; rekeys++) {
        struct rig                rig = new_rig(rekeys);
        const struct tls_session *session = &rig.pair.server.engine->session;

        assert_memory_equal(session->write.key, zeros, sizeof session->write.key);
        assert_memory_equal(session->read.key, zeros, sizeof session->read.key);
        assert_memory_equal(session->write.iv, zeros, sizeof session->write.iv);
        assert_int_equal(memcmp(session->write.secret, zeros, sizeof zeros) == 0, !rekeys);
        assert_int_equal(memcmp(session->read.secret, zeros, sizeof zeros) == 0, !rekeys);
        end_rig(&rig);
    }
}

/* ---- what ends a connection ---- */

static void assert_ended(struct rig *rig, const char *text, int alert)
{
    const struct failure *why = tls_engine_failure(rig->pair.server.engine);

    assert_non_null(strstr(why->text, text));
    assert_int_equal(tls_engine_alert_sent(rig->pair.server.engine), alert);
    client_hears(rig, bytes_of(NULL, 0), TLS_FAILED);
    assert_int_equal(tls_engine_alert_received(rig->pair.client.engine), alert);
    end_rig(rig);
}

static void without_new_keys_a_peer_s_key_update_is_refused(void **state)
{
    struct rig rig = new_rig(false);
    struct buf frame, plain = BUF_LIMIT(100);

    update(&rig.pair.client, false);
    frame = kernel_receives(&rig);
    assert_int_equal(server_reads(&rig, buf_bytes(&frame), 100, &plain), TLS_FAILED);
    buf_fini(&frame);
    buf_fini(&plain);
    assert_ended(&rig, "the peer has changed its key, and the kernel cannot",
                 TLS_INTERNAL_ERROR);
}

static void without_new_keys_our_own_limit_is_the_end(void **state)
{
    struct rig       rig = new_rig(false);
    struct tls_side *server = &rig.pair.server;

    tls_aeads_set_records_per_key(tls_context_aeads(server->engine->context), 4);
    for (int i = 0; i < 8; i++)
        say_half_a_record(&rig);
    assert_int_equal(tls_engine_write(server->engine, BYTES("x"), &server->out), FAIL_TLS);
    assert_ended(&rig, "the key has protected enough, and the kernel cannot",
                 TLS_INTERNAL_ERROR);
}

static void what_the_kernel_cannot_read_is_told_by_openssl_s_alerts(void **state)
{
    static const struct {
        int error, alert;
    } rows[] = { { EBADMSG, TLS_BAD_RECORD_MAC },
                 { EMSGSIZE, TLS_RECORD_OVERFLOW },
                 { EINVAL, TLS_DECODE_ERROR },
                 { EKEYEXPIRED, TLS_INTERNAL_ERROR } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig rig = new_rig(true);
        struct buf plain = BUF_LIMIT(100);
        uint8_t    frame[] = { TLS_FRAME_ERROR, 3, 3, 0, 2, 0, (uint8_t)rows[i].error };

        assert_int_equal(server_reads(&rig, bytes_of(frame, sizeof frame), 100, &plain),
                         TLS_FAILED);
        buf_fini(&plain);
        assert_ended(&rig, "the client sent", rows[i].alert);
    }
}

static void an_empty_record_is_illegal_unless_it_is_data(void **state)
{
    for (int type = TLS_CONTENT_ALERT; type <= TLS_CONTENT_DATA; type++) {
        struct rig rig = new_rig(true);
        struct buf plain = BUF_LIMIT(100);
        uint8_t    frame[] = { (uint8_t)type, 3, 3, 0, 0 };
        bool       is_data = type == TLS_CONTENT_DATA;

        assert_int_equal(server_reads(&rig, bytes_of(frame, sizeof frame), 100, &plain),
                         is_data ? TLS_WANT_MORE : TLS_FAILED);
        buf_fini(&plain);
        if (is_data)
            end_rig(&rig);
        else
            assert_ended(&rig, "the client sent an empty record", 10);
    }
}

static void a_key_that_the_kernel_does_not_take_ends_it_with_an_alert(void **state)
{
    struct rig rig = new_rig(true);

    tls_kernel_lost(rig.pair.server.engine, EOPNOTSUPP, &rig.pair.server.out);
    assert_ended(&rig, "the kernel does not take the peer's new key", TLS_INTERNAL_ERROR);
}

static void a_session_of_the_kernel_s_is_not_given_away(void **state)
{
    struct rig     rig = new_rig(true);
    struct buf     out = BUF_LIMIT(10000);
    struct failure why = { 0 };

    assert_int_equal(tls_engine_give(rig.pair.server.engine, &out, &why), FAIL_REFUSED);
    assert_int_equal(out.len, 0);
    say(&rig.pair.server, BYTES("still here"));
    client_hears(&rig, BYTES("still here"), TLS_WANT_MORE);
    end_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_passes_both_ways),
        cmocka_unit_test(a_frame_is_handed_out_however_little_room_there_is),
        cmocka_unit_test(both_sides_change_their_keys),
        cmocka_unit_test(each_request_is_answered_before_the_next_data),
        cmocka_unit_test(who_does_not_read_gets_one_answer_to_all_its_requests),
        cmocka_unit_test(the_count_of_a_key_goes_on_while_the_kernel_waits_for_it),
        cmocka_unit_test(a_key_that_is_due_does_not_die_with_the_last_words_behind_it),
        cmocka_unit_test(our_own_limit_brings_new_keys),
        cmocka_unit_test(small_records_count_for_little_of_a_key),
        cmocka_unit_test(keys_are_forgotten_once_the_kernel_has_them),
        cmocka_unit_test(without_new_keys_a_peer_s_key_update_is_refused),
        cmocka_unit_test(without_new_keys_our_own_limit_is_the_end),
        cmocka_unit_test(what_the_kernel_cannot_read_is_told_by_openssl_s_alerts),
        cmocka_unit_test(an_empty_record_is_illegal_unless_it_is_data),
        cmocka_unit_test(a_key_that_the_kernel_does_not_take_ends_it_with_an_alert),
        cmocka_unit_test(a_session_of_the_kernel_s_is_not_given_away),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

/* SPDX-License-Identifier: PostgreSQL */
/* Messages behind the handshake and what pays for them, whoever protects records, on either
 * leg. */
#include "harness/group_pki.h"
#include "harness/pair_talk.h"

static enum tls_records layer; /* of the one that takes them, in each test: first the one, */
static bool             is_server; /* then the other; and whether that is the server */

static struct tls_pair new_pair(void)
{
    return tls_pair_open(&pki, is_server ? TLS_RECORDS_OWN : layer,
                         is_server ? layer : TLS_RECORDS_OWN);
}

static struct tls_side *sender(struct tls_pair *pair)
{
    return is_server ? &pair->client : &pair->server;
}

static struct tls_side *taker(struct tls_pair *pair)
{
    return is_server ? &pair->server : &pair->client;
}

static void assert_takes(struct tls_pair *pair, const char *text)
{
    assert_hears(sender(pair), taker(pair), text);
}

static void send_updates(struct tls_pair *pair, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        update(sender(pair), false);
    assert_takes(pair, "");
}

/* What waits is too much: the sender is told by an alert, and the log says why. */
static void assert_too_much(struct tls_pair *pair, const char *heard_before)
{
    struct buf  plain = BUF_LIMIT(10000);
    const char *why = is_server ? "TLS (alert 10 unexpected_message sent): the client sent too "
                                  "many messages without data"
                                : "TLS (alert 10 unexpected_message sent): the server sent too "
                                  "many messages without data";

    assert_int_equal(tls_pair_carry(sender(pair), taker(pair), SIZE_MAX, &plain), TLS_FAILED);
    assert_buf_is(&plain, bytes_of_string(heard_before));
    assert_int_equal(tls_engine_alert_sent(taker(pair)->engine), 10);
    assert_int_equal(tls_engine_failure(taker(pair)->engine)->kind, FAIL_TLS);
    assert_string_equal(tls_engine_failure(taker(pair)->engine)->text, why);
    assert_int_equal(tls_pair_carry(taker(pair), sender(pair), SIZE_MAX, &plain), TLS_FAILED);
    assert_int_equal(tls_engine_alert_received(sender(pair)->engine), 10);
    buf_fini(&plain);
}

static void assert_next_update_is_too_much(struct tls_pair *pair)
{
    update(sender(pair), false);
    assert_too_much(pair, "");
}

static void sixty_four_messages_without_data_are_taken_and_no_more(void **state)
{
    struct tls_pair pair = new_pair();

    send_updates(&pair, 64);
    assert_next_update_is_too_much(&pair);
    tls_pair_fini(&pair);
}

/* One read gets all of them: it ends at the first that is too much. */
static void nothing_behind_the_one_that_is_too_much_is_looked_at(void **state)
{
    struct tls_pair pair = new_pair();

    say(sender(&pair), "before");
    for (int i = 0; i < 65; i++)
        update(sender(&pair), i % 2 == 0);
    say(sender(&pair), "behind");
    for (int i = 0; i < 1000; i++)
        update(sender(&pair), true);
    assert_too_much(&pair, "before");
    assert_true(sender(&pair)->out.len > 1000 * TLS_KEY_UPDATE_RECORD);
    tls_pair_fini(&pair);
}

/* A KeyUpdate takes us 4 us, and 50 bytes of a peer that says a byte behind each. */
static void a_byte_behind_each_does_not_pay_for_it(void **state)
{
    struct tls_pair pair = new_pair();

    for (int i = 0; i < 68; i++) {
        update(sender(&pair), false);
        say(sender(&pair), "x");
        assert_takes(&pair, "x");
    }
    assert_next_update_is_too_much(&pair);
    tls_pair_fini(&pair);
}

static void sixteen_records_of_data_pay_for_a_message(void **state)
{
    for (int short_of = 0; short_of < 2; short_of++) {
        struct tls_pair pair = new_pair();

        send_updates(&pair, 64);
        for (int i = 0; i < 32 - short_of; i++)
            say(sender(&pair), "x");
        assert_takes(&pair, &"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[short_of]);
        send_updates(&pair, 2 - (unsigned)short_of);
        assert_next_update_is_too_much(&pair);
        tls_pair_fini(&pair);
    }
}

static void records_that_are_sent_pay_too(void **state)
{
    static const uint8_t data[15 * TLS_LONGEST_CONTENT];

    for (int short_of = 0; short_of < 2; short_of++) {
        struct tls_pair pair = new_pair();

        send_updates(&pair, 64);
        assert_int_equal(tls_engine_write(taker(&pair)->engine, bytes_of(data, sizeof data),
                                          &taker(&pair)->out),
                         FAIL_NONE);
        buf_clear(&taker(&pair)->out);
        if (short_of == 0) {
            say(sender(&pair), "x");
            assert_takes(&pair, "x");
            send_updates(&pair, 1);
        }
        update(sender(&pair), false);
        assert_int_equal(tls_pair_carry(sender(&pair), taker(&pair), SIZE_MAX, &BUF_LIMIT(1)),
                         TLS_FAILED);
        tls_pair_fini(&pair);
    }
}

static void what_was_paid_is_not_saved_up(void **state)
{
    struct tls_pair pair = new_pair();

    for (int i = 0; i < 100; i++) {
        say(sender(&pair), "x");
        assert_takes(&pair, "x");
    }
    send_updates(&pair, 64);
    assert_next_update_is_too_much(&pair);
    tls_pair_fini(&pair);
}

static void who_renews_keys_now_and_then_may_do_so_for_ever(void **state)
{
    struct tls_pair pair = new_pair();

    for (int i = 0; i < 2000; i++) {
        update(sender(&pair), i % 2 == 0);
        for (int n = 0; n < 8; n++) {
            say(sender(&pair), "q");
            assert_takes(&pair, "q");
            say(taker(&pair), "a");
            assert_hears(taker(&pair), sender(&pair), "a");
        }
    }
    tls_pair_fini(&pair);
}

/* Who has closed says nothing more, an alert neither. */
static void behind_our_close_it_ends_without_an_alert(void **state)
{
    struct tls_pair pair = new_pair();
    struct buf      plain = BUF_LIMIT(10);

    tls_engine_close(taker(&pair)->engine, &taker(&pair)->out);
    buf_clear(&taker(&pair)->out);
    for (int i = 0; i < 65; i++)
        update(sender(&pair), true);
    assert_int_equal(tls_pair_carry(sender(&pair), taker(&pair), SIZE_MAX, &plain), TLS_FAILED);
    assert_int_equal(taker(&pair)->out.len, 0);
    assert_int_equal(tls_engine_alert_sent(taker(&pair)->engine), -1);
    tls_pair_fini(&pair);
}

static void send_ticket(struct tls_side *from)
{
    static const uint8_t ticket[] = { 4,   0,   0, 21, 0,   0,   0,   9,   0,   0,   0, 0, 2,
                                      'n', 'n', 0, 6,  't', 'i', 'c', 'k', 'e', 't', 0, 0 };
    uint8_t             *to = buf_reserve(&from->out, sizeof ticket + TLS_RECORD_OVERHEAD);

    assert_true(tls_traffic_seal(&from->engine->session.write,
                                 tls_context_aeads(from->engine->context),
                                 TLS_CONTENT_HANDSHAKE, bytes_of(ticket, sizeof ticket), to));
    buf_wrote(&from->out, sizeof ticket + TLS_RECORD_OVERHEAD);
}

static void tickets_cost_the_same(void **state)
{
    struct tls_pair pair;

    if (is_server) /* which gets none */
        return;
    pair = new_pair();
    for (int i = 0; i < 64; i++)
        send_ticket(&pair.server);
    assert_takes(&pair, "");
    send_ticket(&pair.server);
    assert_too_much(&pair, "");
    tls_pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_four_messages_without_data_are_taken_and_no_more),
        cmocka_unit_test(nothing_behind_the_one_that_is_too_much_is_looked_at),
        cmocka_unit_test(a_byte_behind_each_does_not_pay_for_it),
        cmocka_unit_test(sixteen_records_of_data_pay_for_a_message),
        cmocka_unit_test(records_that_are_sent_pay_too),
        cmocka_unit_test(what_was_paid_is_not_saved_up),
        cmocka_unit_test(who_renews_keys_now_and_then_may_do_so_for_ever),
        cmocka_unit_test(behind_our_close_it_ends_without_an_alert),
        cmocka_unit_test(tickets_cost_the_same),
    };
    static const struct {
        const char      *name;
        enum tls_records layer;
        bool             is_server;
    } groups[] = {
        { "record, server", TLS_RECORDS_OWN, true },
        { "record, client", TLS_RECORDS_OWN, false },
        { "library, server", TLS_RECORDS_LIBRARY, true },
        { "library, client", TLS_RECORDS_LIBRARY, false },
    };
    int failures = 0;

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        layer = groups[i].layer;
        is_server = groups[i].is_server;
        failures += cmocka_run_group_tests_name(groups[i].name, tests, group_pki_make,
                                                group_pki_remove);
    }
    return failures;
}

/* SPDX-License-Identifier: PostgreSQL */
/* Data that a client sends before Finished: none is taken. */
#include "tls/key_schedule.h"

#include "harness/check.h"
#include "harness/meeting.h"

#include <openssl/err.h>

#define EARLY_MOST 16384 /* of it is skipped, by OpenSSL */

/* A client that has a ticket, and says that it may begin with data. */
static SSL_SESSION *session_for_early_data(const struct meeting_kind *kind,
                                           struct tls_context *context, SSL_CTX *library)
{
    struct meeting m;
    SSL_SESSION   *session;

    meeting_init(&m, kind, context, library, NULL);
    meeting_shake(&m, kind);
    meeting_says(&m, "hello"); /* it reads the ticket, too */
    session = SSL_get1_session(m.peer);
    meeting_fini(&m);
    assert_int_equal(SSL_SESSION_set_max_early_data(session, 4 * EARLY_MOST), 1);
    return session;
}

static void begin_with_data(struct meeting *m, size_t bytes)
{
    static const char text[4096] = "EARLY";
    size_t            n;

    for (size_t at = 0; at < bytes; at += n)
        assert_int_equal(SSL_write_early_data(m->peer, text, sizeof text, &n), 1);
}

/* RFC 8446 4.2.10: a server that takes none ignores it, by trial decryption, or behind a
 * HelloRetryRequest by its type. */
static void early_data_is_skipped_and_nothing_of_it_is_heard(void **state)
{
    for (int bits = 0; bits < 3 * 8; bits++) {
        struct meeting_kind kind = { .tickets = true,
                                     .early = bits & 1,
                                     .retry = (bits & 2) != 0,
                                     .mutual = (bits & 4) != 0,
                                     .suite = bits / 8 };
        struct tls_context *context = meeting_context(&kind);
        SSL_CTX            *library = meeting_library(&kind);
        SSL_SESSION        *session = session_for_early_data(&kind, context, library);
        struct meeting      m;

        meeting_init(&m, &kind, context, library, session);
        begin_with_data(&m, 3 * 4096);
        meeting_shake(&m, &kind);
        assert_int_equal(SSL_get_early_data_status(m.peer), SSL_EARLY_DATA_REJECTED);
        assert_true(tls_engine_facts(m.engine)->resumed);
        meeting_talk(&m);
        meeting_fini(&m);
        SSL_SESSION_free(session);
        SSL_CTX_free(library);
        tls_context_release(context);
    }
}

static void early_data_without_end_is_refused(void **state)
{
    struct meeting_kind kind = { .tickets = true };
    struct tls_context *context = meeting_context(&kind);
    SSL_CTX            *library = meeting_library(&kind);
    SSL_SESSION        *session = session_for_early_data(&kind, context, library);
    struct meeting      m;
    char               *data;
    struct bytes        in;

    meeting_init(&m, &kind, context, library, session);
    begin_with_data(&m, 2 * EARLY_MOST);
    in.len = (size_t)BIO_get_mem_data(m.from_peer, &data);
    in.p = (const uint8_t *)data;
    assert_int_equal(tls_engine_handshake(m.engine, &in, &m.out), TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(m.engine), 10);
    meeting_fini(&m);
    SSL_SESSION_free(session);
    SSL_CTX_free(library);
    tls_context_release(context);
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_data_is_skipped_and_nothing_of_it_is_heard),
        cmocka_unit_test(early_data_without_end_is_refused),
    };

    /* as in handover_test.c */
    if (cmocka_run_group_tests(tests, meeting_group_make, meeting_group_remove) != 0 ||
        !tls_key_schedule_start())
        return 1;
    return cmocka_run_group_tests(tests, meeting_group_make, meeting_group_remove);
}

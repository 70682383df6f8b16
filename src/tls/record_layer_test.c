/* SPDX-License-Identifier: PostgreSQL */
/* The engine against an OpenSSL of its own, which can do what no engine does. */
#include "tls/engine_parts.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"

#include "harness/check.h"
#include "harness/group_pki.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static enum tls_records layer; /* of the engine, in each test: first the one, then the other */

/* An engine, its raw peer, and what the engine wants to send. */
struct rig {
    struct tls_engine *engine;
    struct buf         out;
    enum tls_verdict   verdict;
    SSL_CTX           *library;
    SSL               *peer;
    BIO               *to_peer, *from_peer;
};

struct rig_options {
    enum tls_role role; /* the engine's */
    int           version;
    const char   *ciphers;
    size_t        max_record_bytes;
    uint8_t       max_fragment_code;
};

static struct tls_engine *new_engine(const struct rig_options *options)
{
    bool is_server = options->role == TLS_SERVER;

    return tls_pair_engine(
        &(struct tls_policy_options){ .role = options->role,
                                      .identity = is_server ? pki.server : NULL,
                                      .peer_check = is_server ? TLS_PEER_ANY : TLS_PEER_CHAIN,
                                      .trust = is_server ? NULL : pki.trust,
                                      .record_layer = layer,
                                      .max_record_bytes = options->max_record_bytes },
        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
}

static void rig_init(struct rig *rig, const struct rig_options *options)
{
    bool is_server = options->role == TLS_SERVER;

    *rig = (struct rig){ .engine = new_engine(options), .out = BUF_LIMIT((size_t)64 << 20) };
    rig->library = SSL_CTX_new(is_server ? TLS_client_method() : TLS_server_method());
    SSL_CTX_set_security_level(rig->library, 0);
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(rig->library, options->version);
        SSL_CTX_set_max_proto_version(rig->library, options->version);
    }
    if (options->ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(rig->library, options->ciphers), 1);
    if (!is_server)
        SSL_CTX_use_cert_and_key(rig->library, identity_leaf(pki.server),
                                 identity_key(pki.server), identity_intermediates(pki.server),
                                 1);
    rig->peer = SSL_new(rig->library);
    rig->to_peer = BIO_new(BIO_s_mem());
    rig->from_peer = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(rig->to_peer, -1);
    SSL_set_bio(rig->peer, rig->to_peer, rig->from_peer);
    if (options->max_fragment_code != 0)
        SSL_set_tlsext_max_fragment_length(rig->peer, options->max_fragment_code);
    if (is_server)
        SSL_set_connect_state(rig->peer);
    else
        SSL_set_accept_state(rig->peer);
}

static void rig_fini(struct rig *rig)
{
    tls_engine_free(rig->engine);
    buf_fini(&rig->out);
    SSL_free(rig->peer);
    SSL_CTX_free(rig->library);
}

static struct bytes sent_by_peer(const struct rig *rig)
{
    char *data;
    long  len = BIO_get_mem_data(rig->from_peer, &data);

    return bytes_of(data, (size_t)len);
}

static void flush_to_peer(struct rig *rig)
{
    if (rig->out.len > 0)
        BIO_write(rig->to_peer, buf_bytes(&rig->out).p, (int)rig->out.len);
    buf_clear(&rig->out);
}

static void take_from_peer(struct rig *rig, size_t n)
{
    uint8_t *waste = malloc(n + 1);

    if (n > 0)
        assert_int_equal(BIO_read(rig->from_peer, waste, (int)n), n);
    free(waste);
}

static void shake(struct rig *rig)
{
    rig->verdict = TLS_WANT_MORE;
    for (int round = 0; round < 10 && rig->verdict == TLS_WANT_MORE; round++) {
        struct bytes in;
        size_t       offered;

        SSL_do_handshake(rig->peer);
        in = sent_by_peer(rig);
        offered = in.len;
        rig->verdict = tls_engine_handshake(rig->engine, &in, &rig->out);
        take_from_peer(rig, offered - in.len);
        flush_to_peer(rig);
    }
    SSL_do_handshake(rig->peer);
}

/* All that the peer has sent, as plaintext; the last verdict stays in the rig. */
static struct buf engine_reads(struct rig *rig)
{
    struct buf   plain = BUF_LIMIT((size_t)1 << 20);
    struct bytes in = sent_by_peer(rig);
    size_t       offered = in.len, got;
    uint8_t      room[700];

    do {
        rig->verdict = tls_engine_read(rig->engine, &in, room, sizeof room, &got, &rig->out);
        buf_put(&plain, bytes_of(room, got));
    } while (rig->verdict == TLS_DONE);
    take_from_peer(rig, offered - in.len);
    return plain;
}

static void assert_engine_reads(struct rig *rig, const char *text)
{
    struct buf plain = engine_reads(rig);

    assert_buf_is(&plain, bytes_of_string(text));
    buf_fini(&plain);
}

static void assert_peer_reads(struct rig *rig, const char *text)
{
    char room[1000];
    int  n;

    flush_to_peer(rig);
    n = SSL_read(rig->peer, room, sizeof room);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(room, text, strlen(text));
}

static void engine_writes(struct rig *rig, const char *text)
{
    assert_int_equal(tls_engine_write(rig->engine, bytes_of_string(text), &rig->out),
                     FAIL_NONE);
}

static void both_roles_speak_both_versions(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    for (int i = 0; i < 4; i++) {
        struct rig rig;

        rig_init(&rig, &(struct rig_options){ .role = i / 2 == 0 ? TLS_SERVER : TLS_CLIENT,
                                              .version = versions[i % 2] });
        shake(&rig);
        assert_int_equal(rig.verdict, TLS_DONE);
        assert_string_equal(tls_engine_facts(rig.engine)->record_layer,
                            layer == TLS_RECORDS_AUTO && i % 2 == 1 ? "record" : "library");
        assert_string_equal(tls_engine_facts(rig.engine)->version,
                            i % 2 == 0 ? "TLSv1.2" : "TLSv1.3");
        assert_non_null(tls_engine_facts(rig.engine)->group);
        assert_true(SSL_write(rig.peer, "to engine", 9) > 0);
        assert_engine_reads(&rig, "to engine");
        engine_writes(&rig, "to peer");
        assert_peer_reads(&rig, "to peer");
        rig_fini(&rig);
    }
}

static void old_versions_and_cbc_are_refused(void **state)
{
    static const struct {
        int         version;
        const char *ciphers;
        int         alert;
        const char *hint;
    } cases[] = {
        { TLS1_1_VERSION, "ALL:@SECLEVEL=0", 70, "TLS 1.2 or later" },
        { TLS1_VERSION, "ALL:@SECLEVEL=0", 70, "TLS 1.2 or later" },
        { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA", 40, "AES-GCM" },
        { TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", 40, "kind of key" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;

        rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER,
                                              .version = cases[i].version,
                                              .ciphers = cases[i].ciphers });
        shake(&rig);
        assert_int_equal(rig.verdict, TLS_FAILED);
        assert_int_equal(tls_engine_alert_sent(rig.engine), cases[i].alert);
        assert_non_null(strstr(tls_engine_failure(rig.engine)->hint, cases[i].hint));
        rig_fini(&rig);
    }
}

static void no_ticket_is_sent_and_nothing_is_resumed(void **state)
{
    struct rig rig;

    rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER });
    shake(&rig);
    SSL_read(rig.peer, (char[1]){ 0 }, 1);
    assert_false(SSL_SESSION_is_resumable(SSL_get_session(rig.peer)));
    rig_fini(&rig);
    rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER, .version = TLS1_2_VERSION });
    shake(&rig);
    assert_false(SSL_SESSION_has_ticket(SSL_get_session(rig.peer)));
    assert_int_equal(
        SSL_SESSION_get0_id_context(SSL_get_session(rig.peer), &(unsigned){ 0 }) == NULL, 0);
    rig_fini(&rig);
}

static void tickets_of_a_server_are_no_plaintext(void **state)
{
    struct rig rig;

    rig_init(&rig, &(struct rig_options){ .role = TLS_CLIENT });
    shake(&rig);
    assert_true(sent_by_peer(&rig).len > 400); /* two of them */
    assert_engine_reads(&rig, "");
    assert_int_equal(rig.verdict, TLS_WANT_MORE);
    assert_true(SSL_write(rig.peer, "data", 4) > 0);
    assert_engine_reads(&rig, "data");
    rig_fini(&rig);
}

static void a_key_update_of_the_peer_is_answered_at_once(void **state)
{
    for (int role = 0; role < 2; role++) {
        struct rig rig;

        rig_init(&rig, &(struct rig_options){ .role = role == 0 ? TLS_SERVER : TLS_CLIENT });
        shake(&rig);
        for (int i = 0; i < 5; i++) {
            assert_engine_reads(&rig, "");
            assert_int_equal(SSL_key_update(rig.peer, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_do_handshake(rig.peer), 1);
            assert_engine_reads(&rig, "");
            assert_int_equal(rig.out.len, 5 + 5 + 1 + 16); /* one KeyUpdate, sealed */
            assert_true(SSL_write(rig.peer, "new key", 7) > 0);
            assert_engine_reads(&rig, "new key");
            engine_writes(&rig, "new key too");
            assert_peer_reads(&rig, "new key too");
        }
        assert_int_equal(SSL_key_update(rig.peer, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_true(SSL_write(rig.peer, "x", 1) > 0);
        assert_engine_reads(&rig, "x");
        assert_int_equal(rig.out.len, 0);
        rig_fini(&rig);
    }
}

/* Walks over the records; the largest ciphertext in one of them. */
static size_t largest_record(struct bytes wire)
{
    size_t largest = 0;

    while (wire.len > 0) {
        size_t len = bytes_u16(wire.p + 3);

        assert_int_equal(wire.p[0], 23);
        assert_true(wire.len >= 5 + len);
        largest = len > largest ? len : largest;
        bytes_skip(&wire, 5 + len);
    }
    return largest;
}

static void no_record_is_larger_than_the_policy_and_the_peer_allow(void **state)
{
    static const struct {
        size_t  policy;
        uint8_t code;
        size_t  most;
        int     version;
    } cases[] = {
        { 8192, 0, 8192, TLS1_3_VERSION }, { 8192, 0, 8192, TLS1_2_VERSION },
        { 0, 0, 16384, TLS1_3_VERSION },   { 512, 0, 512, TLS1_3_VERSION },
        { 8192, 2, 1024, TLS1_3_VERSION }, { 8192, 4, 4096, TLS1_2_VERSION },
        { 512, 4, 512, TLS1_3_VERSION },
    };
    static const uint8_t data[100001] = { 1 };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        size_t     overhead = cases[i].version == TLS1_3_VERSION ? 17 : 24;

        rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER,
                                              .version = cases[i].version,
                                              .max_record_bytes = cases[i].policy,
                                              .max_fragment_code = cases[i].code });
        shake(&rig);
        assert_int_equal(tls_engine_write(rig.engine, bytes_of(data, sizeof data), &rig.out),
                         FAIL_NONE);
        assert_int_equal(largest_record(buf_bytes(&rig.out)), cases[i].most + overhead);
        assert_int_equal(rig.out.len, tls_engine_sealed_size(rig.engine, sizeof data));
        if (rig.engine->ssl == NULL) /* ours: nor may the peer send more */
            assert_int_equal(rig.engine->session.most_read,
                             cases[i].code != 0 ? 256 << cases[i].code : 16384);
        rig_fini(&rig);
    }
}

static void plaintext_and_garbage_are_told_from_tls(void **state)
{
    static const struct {
        const char   *bytes;
        size_t        len;
        enum tls_role role;
    } cases[] = {
        { "GET / HTTP/1.1\r\n\r\n", 18, TLS_SERVER },
        { "\x00\x00\x00\x08\x04\xd2\x16\x2f", 8, TLS_SERVER },
        { "SSH-2.0-x\r\n", 11, TLS_SERVER },
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, TLS_SERVER },
        { "E\x00\x00\x00\x20SFATAL", 11, TLS_CLIENT },
        { "HTTP/1.1 400 Bad", 16, TLS_CLIENT },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_engine *engine = new_engine(&(struct rig_options){ .role = cases[i].role });
        struct bytes       in = { NULL, 0 };
        struct buf         out = BUF_LIMIT(10000);

        tls_engine_handshake(engine, &in, &out);
        in = bytes_of(cases[i].bytes, cases[i].len);
        assert_int_equal(tls_engine_handshake(engine, &in, &out), TLS_FAILED);
        assert_non_null(strstr(tls_engine_failure(engine)->text, "does not speak TLS"));
        tls_engine_free(engine);
        buf_fini(&out);
    }
}

static void a_length_beyond_the_limit_is_refused_before_its_bytes_come(void **state)
{
    struct tls_engine *engine = new_engine(&(struct rig_options){ .role = TLS_SERVER });
    struct bytes       in = BYTES("\x16\x03\x01\xff\xff\x01");
    struct buf         out = BUF_LIMIT(1000);

    assert_int_equal(tls_engine_handshake(engine, &in, &out), TLS_FAILED);
    assert_int_equal(tls_engine_alert_sent(engine), 22);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.memory + 3, "\x00\x02\x02\x16", 4);
    tls_engine_free(engine);
    buf_fini(&out);
}

static void a_close_in_the_handshake_is_a_failure(void **state)
{
    struct tls_engine *engine = new_engine(&(struct rig_options){ .role = TLS_CLIENT });
    struct bytes       in = { NULL, 0 };
    struct buf         out = BUF_LIMIT(10000);

    assert_int_equal(tls_engine_handshake(engine, &in, &out), TLS_WANT_MORE);
    in = BYTES("\x15\x03\x03\x00\x02\x01\x00");
    assert_int_equal(tls_engine_handshake(engine, &in, &out), TLS_FAILED);
    assert_int_equal(tls_engine_failure(engine)->kind, FAIL_CLOSED);
    assert_string_equal(tls_engine_failure(engine)->text,
                        "TLS handshake: the server ended it with close_notify");
    tls_engine_free(engine);
    buf_fini(&out);
}

static void renegotiation_is_declined_and_the_session_goes_on(void **state)
{
    for (int role = 0; role < 2; role++) {
        struct rig rig;

        rig_init(&rig, &(struct rig_options){ .role = role == 0 ? TLS_SERVER : TLS_CLIENT,
                                              .version = TLS1_2_VERSION });
        shake(&rig);
        assert_int_equal(SSL_renegotiate(rig.peer), 1);
        SSL_do_handshake(rig.peer);
        assert_engine_reads(&rig, "");
        assert_int_equal(rig.verdict, TLS_WANT_MORE);
        assert_int_equal(buf_bytes(&rig.out).p[0], 21); /* no_renegotiation, sealed */
        engine_writes(&rig, "still here");
        assert_false(failed(tls_engine_failure(rig.engine)));
        rig_fini(&rig);
    }
}

static void bytes_behind_close_notify_are_ignored(void **state)
{
    struct rig rig;

    rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER });
    shake(&rig);
    assert_true(SSL_write(rig.peer, "last", 4) > 0);
    SSL_shutdown(rig.peer);
    BIO_write(rig.from_peer, "junk junk", 9);
    assert_engine_reads(&rig, "last");
    assert_int_equal(rig.verdict, TLS_CLOSED);
    assert_int_equal(sent_by_peer(&rig).len, 0);
    rig_fini(&rig);
}

/* RFC 8446 7.2: who does not use a secret should not have it; OpenSSL updates its own. */
static void the_secrets_of_openssl_s_records_stay_with_it(void **state)
{
    static const struct tls_session none;

    for (enum tls_role role = TLS_CLIENT; role <= TLS_SERVER; role++) {
        struct rig rig;

        rig_init(&rig, &(struct rig_options){ .role = role });
        shake(&rig);
        assert_int_equal(rig.verdict, TLS_DONE);
        assert_int_equal(memcmp(&rig.engine->session, &none, sizeof none) == 0,
                         layer == TLS_RECORDS_LIBRARY);
        rig_fini(&rig);
    }
}

static void key_update_after_our_close_is_harmless(void **state)
{
    struct rig rig;

    rig_init(&rig, &(struct rig_options){ .role = TLS_SERVER });
    shake(&rig);
    tls_engine_close(rig.engine, &rig.out);
    buf_clear(&rig.out);
    assert_int_equal(SSL_key_update(rig.peer, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_true(SSL_write(rig.peer, "after", 5) > 0);
    assert_engine_reads(&rig, "after");
    assert_int_equal(rig.verdict, TLS_WANT_MORE);
    assert_int_equal(rig.out.len, 0);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_roles_speak_both_versions),
        cmocka_unit_test(old_versions_and_cbc_are_refused),
        cmocka_unit_test(no_ticket_is_sent_and_nothing_is_resumed),
        cmocka_unit_test(tickets_of_a_server_are_no_plaintext),
        cmocka_unit_test(a_key_update_of_the_peer_is_answered_at_once),
        cmocka_unit_test(no_record_is_larger_than_the_policy_and_the_peer_allow),
        cmocka_unit_test(plaintext_and_garbage_are_told_from_tls),
        cmocka_unit_test(a_length_beyond_the_limit_is_refused_before_its_bytes_come),
        cmocka_unit_test(a_close_in_the_handshake_is_a_failure),
        cmocka_unit_test(renegotiation_is_declined_and_the_session_goes_on),
        cmocka_unit_test(bytes_behind_close_notify_are_ignored),
        cmocka_unit_test(key_update_after_our_close_is_harmless),
        cmocka_unit_test(the_secrets_of_openssl_s_records_stay_with_it),
    };

    int failures = 0;

    assert_true(tls_key_schedule_start());

    for (layer = TLS_RECORDS_AUTO; layer <= TLS_RECORDS_LIBRARY; layer++)
        failures +=
            cmocka_run_group_tests_name(layer == TLS_RECORDS_AUTO ? "record" : "library", tests,
                                        group_pki_make, group_pki_remove);
    return failures;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "harness/meeting.h"

#include "tls/tickets.h"

#include "harness/check.h"
#include "harness/group_pki.h"

static struct tls_ticket_keys *keys;

int meeting_group_make(void **state)
{
    group_pki_make(state);
    keys = tls_ticket_keys_random(NULL);
    return keys == NULL;
}

int meeting_group_remove(void **state)
{
    tls_ticket_keys_release(keys);
    return group_pki_remove(state);
}

static const char *const suite_names[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                           "TLS_CHACHA20_POLY1305_SHA256" };

struct tls_context *meeting_context(const struct meeting_kind *kind)
{
    struct tls_policy_options options = {
        .role = kind->is_client ? TLS_CLIENT : TLS_SERVER,
        .identity = !kind->is_client ? pki.server
                    : kind->mutual   ? pki.client
                                     : NULL,
        .peer_check = kind->is_client || kind->mutual ? TLS_PEER_CHAIN : TLS_PEER_ANY,
        .trust = kind->is_client || kind->mutual ? pki.trust : NULL,
        .groups = !kind->retry      ? NULL
                  : kind->is_client ? "P-384:X25519"
                                    : "X25519",
        .record_layer = TLS_RECORDS_OWN,
        .ticket_keys = kind->tickets && !kind->is_client ? keys : NULL,
        .ticket_scope = kind->tickets && !kind->is_client ? BYTES("test") : bytes_of(NULL, 0),
    };
    struct failure      why = { 0 };
    struct tls_policy  *policy = tls_policy_new(&options, &why);
    struct tls_context *context;

    assert_non_null(policy);
    context = tls_context_new(policy, &why);
    assert_non_null(context);
    tls_policy_release(policy);
    return context;
}

SSL_CTX *meeting_library(const struct meeting_kind *kind)
{
    SSL_CTX *library = SSL_CTX_new(kind->is_client ? TLS_server_method() : TLS_client_method());
    struct identity *shown = kind->is_client ? pki.server : pki.client;

    SSL_CTX_set_ciphersuites(library, suite_names[kind->suite]);
    if (kind->is_client || kind->mutual)
        SSL_CTX_use_cert_and_key(library, identity_leaf(shown), identity_key(shown),
                                 identity_intermediates(shown), 1);
    if (kind->is_client && kind->mutual)
        SSL_CTX_set_verify(library, SSL_VERIFY_PEER, NULL);
    if (kind->mutual && kind->is_client)
        X509_STORE_add_cert(SSL_CTX_get_cert_store(library), pki.root.x509);
    if (kind->retry)
        SSL_CTX_set1_groups_list(library, kind->is_client ? "X25519" : "P-384:X25519");
    SSL_CTX_set_session_id_context(library, (const unsigned char *)"peer", 4);
    return library;
}

void meeting_init(struct meeting *m, const struct meeting_kind *kind,
                  struct tls_context *context, SSL_CTX *library, SSL_SESSION *session)
{
    *m = (struct meeting){ .out = BUF_LIMIT((size_t)1 << 20), .library = library };
    m->engine =
        tls_engine_new(context, &(struct tls_engine_options){ .wall_s = CERTS_NOW }, NULL);
    m->peer = SSL_new(library);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(m->peer), (time_t)CERTS_NOW);
    m->to_peer = BIO_new(BIO_s_mem());
    m->from_peer = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(m->to_peer, -1);
    SSL_set_bio(m->peer, m->to_peer, m->from_peer);
    if (session != NULL)
        SSL_set_session(m->peer, session);
    if (kind->is_client)
        SSL_set_accept_state(m->peer);
    else
        SSL_set_connect_state(m->peer);
}

void meeting_fini(struct meeting *m)
{
    tls_engine_free(m->engine);
    buf_fini(&m->out);
    SSL_set_shutdown(m->peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(m->peer);
}

void meeting_carry(struct meeting *m)
{
    if (m->out.len > 0)
        BIO_write(m->to_peer, buf_bytes(&m->out).p, (int)m->out.len);
    buf_clear(&m->out);
}

static void meeting_hears(struct meeting *m, const char *text)
{
    char        *data;
    size_t       len = (size_t)BIO_get_mem_data(m->from_peer, &data), got;
    struct bytes in = bytes_of(data, len);
    uint8_t      room[100];

    assert_int_equal(tls_engine_read(m->engine, &in, room, sizeof room, &got, &m->out),
                     TLS_WANT_MORE);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(room, text, got);
    BIO_reset(m->from_peer);
}

/* A server may speak once its Finished is sent, before it has heard the client's.  OpenSSL's
 * would do it behind a HelloRetryRequest, too, where nobody has keys. */
static bool speaks_early(const struct meeting_kind *kind)
{
    return kind->early && kind->is_client && !kind->retry;
}

static void speak_early(struct meeting *m)
{
    size_t n;

    m->spoke =
        SSL_read_early_data(m->peer, (char[1]){ 0 }, 1, &n) == SSL_READ_EARLY_DATA_FINISH;
    if (m->spoke)
        assert_int_equal(SSL_write_early_data(m->peer, "early", 5, &n), 1);
}

void meeting_moves(struct meeting *m, const struct meeting_kind *kind)
{
    if (speaks_early(kind) && !m->spoke)
        speak_early(m);
    else if (SSL_do_handshake(m->peer) == 1 && kind->early && !kind->is_client)
        assert_int_equal(SSL_write(m->peer, "early", 5), 5);
}

/* What stands behind the handshake is heard too: `early`. */
void meeting_shake(struct meeting *m, const struct meeting_kind *kind)
{
    enum tls_verdict verdict = TLS_WANT_MORE;

    for (int round = 0; round < 10 && verdict == TLS_WANT_MORE; round++) {
        char        *data;
        struct bytes in;
        size_t       len;

        meeting_moves(m, kind);
        len = (size_t)BIO_get_mem_data(m->from_peer, &data);
        in = bytes_of(data, len);
        verdict = tls_engine_handshake(m->engine, &in, &m->out);
        assert_true(in.len == 0 || verdict == TLS_DONE);
        while (BIO_ctrl_pending(m->from_peer) > in.len)
            BIO_read(m->from_peer, (char[1]){ 0 }, 1);
        meeting_carry(m);
    }
    assert_int_equal(verdict, TLS_DONE);
    assert_int_equal(SSL_do_handshake(m->peer), 1);
    assert_string_equal(tls_engine_facts(m->engine)->record_layer, "record");
    assert_string_equal(tls_engine_facts(m->engine)->cipher, suite_names[kind->suite]);
    assert_null(m->engine->ssl);
    if (kind->is_client ? speaks_early(kind) : kind->early)
        meeting_hears(m, "early");
}

void meeting_says(struct meeting *m, const char *text)
{
    char room[100];

    assert_int_equal(tls_engine_write(m->engine, bytes_of_string(text), &m->out), FAIL_NONE);
    meeting_carry(m);
    assert_int_equal(SSL_read(m->peer, room, sizeof room), strlen(text));
    assert_memory_equal(room, text, strlen(text));
}

void meeting_talk(struct meeting *m)
{
    for (int i = 0; i < 3; i++) {
        meeting_says(m, "from us");
        assert_int_equal(SSL_write(m->peer, "to us", 5), 5);
        meeting_hears(m, "to us");
    }
}

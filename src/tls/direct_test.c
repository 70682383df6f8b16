/* SPDX-License-Identifier: PostgreSQL */
/* What direct TLS demands: a protocol (ALPN) offered and selected. */
#include "harness/check.h"
#include "harness/group_pki.h"
#include "harness/raw_client.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static struct tls_engine *new_server(bool is_direct)
{
    return tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_SERVER, .identity = pki.server },
        &(struct tls_engine_options){
            .wall_s = CERTS_NOW, .alpn = "postgresql", .alpn_required = is_direct });
}

static void assert_server(bool is_direct, int version, const char *offer, int alert)
{
    struct tls_engine *server = new_server(is_direct);
    struct raw_client  client;

    raw_client_init(&client);
    SSL_set_max_proto_version(client.ssl, version);
    SSL_set_tlsext_host_name(client.ssl, "db");
    if (offer != NULL)
        SSL_set_alpn_protos(client.ssl, (const unsigned char *)offer, (unsigned)strlen(offer));
    raw_client_shake(&client, server, 1);
    assert_int_equal(client.server, alert < 0 ? TLS_DONE : TLS_FAILED);
    assert_int_equal(client.alert, alert);
    assert_string_equal(tls_engine_facts(server)->sni, "db");
    if (alert < 0 && offer != NULL)
        assert_string_equal(tls_engine_facts(server)->alpn, "postgresql");
    raw_client_fini(&client);
    tls_engine_free(server);
}

static void a_direct_client_must_offer_our_protocol(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    for (int i = 0; i < 2; i++) {
        assert_server(true, versions[i], NULL, 120);
        assert_server(true, versions[i], "\x08http/1.1", 120);
        assert_server(true, versions[i], "\x0apostgresql", -1);
        assert_server(true, versions[i], "\x02h2\x0apostgresql", -1);
        assert_server(false, versions[i], NULL, -1);
        assert_server(false, versions[i], "\x08http/1.1", 120);
        assert_server(false, versions[i], "\x08postgres\x0aPOSTGRESQL", 120);
    }
}

/* ---- servers that answer as they like ---- */

static int select_text(SSL *ssl, const unsigned char **out, unsigned char *len,
                       const unsigned char *offer, unsigned offer_len, void *text)
{
    if (text == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    *out = text;
    *len = (unsigned char)strlen(text);
    return SSL_TLSEXT_ERR_OK;
}

static SSL *new_raw_server(SSL_CTX **library, const char *selected)
{
    SSL *ssl;

    *library = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_cert_and_key(*library, identity_leaf(pki.server), identity_key(pki.server),
                             identity_intermediates(pki.server), 1);
    SSL_CTX_set_alpn_select_cb(*library, select_text, (void *)(uintptr_t)selected);
    ssl = SSL_new(*library);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl);
    return ssl;
}

/* Two round trips are enough for any version. */
static enum tls_verdict shake_with(struct tls_engine *client, SSL *server)
{
    enum tls_verdict verdict = TLS_WANT_MORE;
    uint8_t          bytes[20000];
    struct buf       out = BUF_LIMIT(100000);
    struct bytes     in = { NULL, 0 };

    for (int i = 0; i < 4 && verdict == TLS_WANT_MORE; i++) {
        int n;

        verdict = tls_engine_handshake(client, &in, &out);
        if (out.len > 0)
            BIO_write(SSL_get_rbio(server), out.memory + out.head, (int)out.len);
        buf_clear(&out);
        SSL_do_handshake(server);
        n = BIO_read(SSL_get_wbio(server), bytes, sizeof bytes);
        in = bytes_of(bytes, n > 0 ? (size_t)n : 0);
    }
    buf_fini(&out);
    return verdict;
}

static void assert_client(bool is_direct, const char *offer, const char *selected,
                          const char *text)
{
    SSL_CTX           *library;
    SSL               *server = new_raw_server(&library, selected);
    struct tls_engine *client =
        tls_pair_engine(&(struct tls_policy_options){ .role = TLS_CLIENT },
                        &(struct tls_engine_options){
                            .wall_s = CERTS_NOW, .alpn = offer, .alpn_required = is_direct });
    enum tls_verdict verdict = shake_with(client, server);

    assert_int_equal(verdict, text == NULL ? TLS_DONE : TLS_FAILED);
    if (text != NULL) {
        if (strstr(tls_engine_failure(client)->text, text) == NULL)
            print_error("\"%s\"\n", tls_engine_failure(client)->text);
        assert_non_null(strstr(tls_engine_failure(client)->text, text));
        assert_int_equal(tls_engine_failure(client)->kind, FAIL_TLS);
    } else
        assert_int_equal(tls_engine_failure(client)->kind, FAIL_NONE);
    tls_engine_free(client);
    SSL_free(server);
    SSL_CTX_free(library);
}

/* What was not offered is refused by newer libraries themselves, with a text of theirs. */
static void a_direct_server_must_select_our_protocol_and_no_server_another(void **state)
{
    assert_client(true, "postgresql", "postgresql", NULL);
    assert_client(true, "postgresql", NULL, "selected no protocol");
    assert_client(true, "postgresql", "http/1.1", "");
    assert_client(false, "postgresql", "postgresql", NULL);
    assert_client(false, "postgresql", NULL, NULL);
    assert_client(false, "postgresql", "postgres", "");
    assert_client(false, "postgresql", "postgresql2", "");
}

static void a_protocol_that_is_required_must_be_named(void **state)
{
    struct failure     why = { 0 };
    struct tls_policy *policy =
        tls_policy_new(&(struct tls_policy_options){ .role = TLS_CLIENT }, NULL);
    struct tls_context *context = tls_context_new(policy, NULL);

    assert_null(
        tls_engine_new(context, &(struct tls_engine_options){ .alpn_required = true }, &why));
    assert_int_equal(why.kind, FAIL_CONFIG);
    tls_context_release(context);
    tls_policy_release(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direct_client_must_offer_our_protocol),
        cmocka_unit_test(a_direct_server_must_select_our_protocol_and_no_server_another),
        cmocka_unit_test(a_protocol_that_is_required_must_be_named),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

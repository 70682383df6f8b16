/* SPDX-License-Identifier: PostgreSQL */
#include "harness/forge.h"

#include "harness/check.h"
#include "harness/group_pki.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- two ends, and the secrets of the far one ---- */

static void keep_secret(const SSL *ssl, const char *line)
{
    struct forge *forge = SSL_get_app_data(ssl);
    const char   *label =
        forge->is_server ? "CLIENT_TRAFFIC_SECRET_0 " : "SERVER_TRAFFIC_SECRET_0 ";
    const char *hex;

    if (strncmp(line, label, strlen(label)) != 0)
        return;
    hex = strrchr(line, ' ') + 1;
    for (size_t i = 0; hex[2 * i] != '\0'; i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &forge->traffic.secret[i]), 1);
}

static void keep_alert(int written, int version, int type, const void *message, size_t size,
                       SSL *ssl, void *forge)
{
    if (!written && type == SSL3_RT_ALERT && size == 2)
        memcpy(((struct forge *)forge)->alert, message, size);
}

static void start_peer(struct forge *forge, const char *suite)
{
    forge->library = SSL_CTX_new(forge->is_server ? TLS_client_method() : TLS_server_method());
    SSL_CTX_set_keylog_callback(forge->library, keep_secret);
    SSL_CTX_set_num_tickets(forge->library, 0);
    assert_int_equal(SSL_CTX_set_ciphersuites(forge->library, suite), 1);
    if (!forge->is_server)
        SSL_CTX_use_cert_and_key(forge->library, identity_leaf(pki.server),
                                 identity_key(pki.server), identity_intermediates(pki.server),
                                 1);
    forge->peer = SSL_new(forge->library);
    SSL_set_app_data(forge->peer, forge);
    SSL_set_msg_callback(forge->peer, keep_alert);
    SSL_set_msg_callback_arg(forge->peer, forge);
    forge->to_peer = BIO_new(BIO_s_mem());
    forge->from_peer = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(forge->to_peer, -1);
    SSL_set_bio(forge->peer, forge->to_peer, forge->from_peer);
    if (forge->is_server)
        SSL_set_connect_state(forge->peer);
    else
        SSL_set_accept_state(forge->peer);
}

static void shake(struct forge *forge)
{
    enum tls_verdict verdict = TLS_WANT_MORE;

    for (int round = 0; round < 10 && verdict == TLS_WANT_MORE; round++) {
        struct bytes in;
        char        *data;

        SSL_do_handshake(forge->peer);
        in.len = (size_t)BIO_get_mem_data(forge->from_peer, &data);
        in.p = (uint8_t *)data;
        verdict = tls_engine_handshake(forge->engine, &in, &forge->out);
        assert_int_equal(in.len, 0);
        BIO_reset(forge->from_peer);
        if (forge->out.len > 0)
            BIO_write(forge->to_peer, buf_bytes(&forge->out).p, (int)forge->out.len);
        buf_clear(&forge->out);
    }
    assert_int_equal(verdict, TLS_DONE);
    assert_int_equal(SSL_do_handshake(forge->peer), 1);
}

void forge_init(struct forge *forge, bool is_server, enum tls_records layer, const char *suite)
{
    *forge = (struct forge){ .is_server = is_server,
                             .aeads = tls_aeads_new(),
                             .out = BUF_LIMIT((size_t)1 << 20),
                             .wire = BUF_LIMIT((size_t)8 << 20) };
    forge->engine = tls_pair_engine(
        &(struct tls_policy_options){ .role = is_server ? TLS_SERVER : TLS_CLIENT,
                                      .identity = is_server ? pki.server : NULL,
                                      .record_layer = layer },
        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    start_peer(forge, suite);
    shake(forge);
    forge->traffic.suite = (uint8_t)tls_suite_find(
        SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(forge->peer)));
    assert_true(tls_aeads_prepare(forge->aeads, (enum tls_suite)forge->traffic.suite));
    assert_true(tls_traffic_start(&forge->traffic, forge->aeads));
    assert_string_equal(tls_engine_facts(forge->engine)->record_layer,
                        layer == TLS_RECORDS_LIBRARY ? "library" : "record");
}

void forge_fini(struct forge *forge)
{
    tls_engine_free(forge->engine);
    tls_aeads_release(forge->aeads);
    buf_fini(&forge->out);
    buf_fini(&forge->wire);
    SSL_free(forge->peer);
    SSL_CTX_free(forge->library);
}

/* ---- records that no TLS library would send ---- */

/* A record with this TLSInnerPlaintext: content, type and padding as they come. */
static void put_inner(struct forge *forge, struct bytes inner)
{
    uint8_t        *to = buf_reserve(&forge->wire, inner.len + 21);
    uint8_t         nonce[TLS_NONCE_BYTES];
    EVP_CIPHER_CTX *cipher;
    int             n;

    memcpy(nonce, forge->traffic.iv, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(forge->traffic.sequence >> (8 * i));
    forge->traffic.sequence++;
    memcpy(to,
           (uint8_t[]){ 23, 3, 3, (uint8_t)((inner.len + 16) >> 8), (uint8_t)(inner.len + 16) },
           5);
    cipher = tls_aeads_take(forge->aeads, (enum tls_suite)forge->traffic.suite, TLS_SEALS,
                            forge->traffic.key, nonce);
    assert_int_equal(EVP_CipherUpdate(cipher, NULL, &n, to, 5), 1);
    if (inner.len > 0)
        assert_int_equal(EVP_CipherUpdate(cipher, to + 5, &n, inner.p, (int)inner.len), 1);
    assert_int_equal(EVP_CipherFinal_ex(cipher, to + 5 + inner.len, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, to + 5 + inner.len),
                     1);
    buf_wrote(&forge->wire, inner.len + 21);
}

struct body {
    uint8_t bytes[40000];
    size_t  len, padding;
    int     times;
};

static void read_body(struct body *body, const char *text)
{
    char *end;

    body->len = body->padding = 0;
    body->times = 1;
    for (; isxdigit((unsigned char)*text); text += 2)
        assert_int_equal(sscanf(text, "%2hhx", &body->bytes[body->len++]), 1);
    for (; *text != '\0' && *text != ' '; text = end) {
        size_t n = strtoul(text + 1, &end, 10);

        if (*text == '@') {
            memset(body->bytes + body->len, 'x', n);
            body->len += n;
        } else if (*text == '+') {
            body->padding = n;
        } else {
            assert_int_equal(*text, '*');
            body->times = (int)n;
        }
    }
}

static void put_record(struct forge *forge, uint8_t type, const struct body *body)
{
    uint8_t *inner = calloc(1, body->len + 1 + body->padding);

    memcpy(inner, body->bytes, body->len);
    inner[body->len] = type;
    put_inner(forge, bytes_of(inner, body->len + 1 + body->padding));
    free(inner);
}

static bool starts(const char *word, const char *with)
{
    return strncmp(word, with, strlen(with)) == 0;
}

static void put_body(struct forge *forge, const char *word)
{
    static struct body body;

    read_body(&body, strchr(word, '=') + 1);
    for (int i = 0; i < body.times; i++) {
        if (starts(word, "wire="))
            buf_put(&forge->wire, bytes_of(body.bytes, body.len));
        else if (starts(word, "inner="))
            put_inner(forge, bytes_of(body.bytes, body.len));
        else
            put_record(forge,
                       starts(word, "data=")    ? 23
                       : starts(word, "hs=")    ? 22
                       : starts(word, "alert=") ? 21
                                                : (uint8_t)atoi(word),
                       &body);
    }
}

/* One word; `last` is where the one before it begins on the wire. */
static void put_word(struct forge *forge, const char *word, size_t last)
{
    struct buf *wire = &forge->wire;

    if (starts(word, "keys"))
        assert_true(tls_traffic_update(&forge->traffic, forge->aeads));
    else if (starts(word, "skip"))
        forge->traffic.sequence++;
    else if (starts(word, "again"))
        buf_put(wire, bytes_of(wire->memory + last, wire->len - last));
    else if (starts(word, "flip-"))
        wire->memory[wire->len - strtoul(word + 5, NULL, 10)] ^= 0x40;
    else
        put_body(forge, word);
}

void forge_words(struct forge *forge, const char *words)
{
    size_t last = 0;

    buf_reserve(&forge->wire, (size_t)1 << 20);
    while (words != NULL && *words != '\0') {
        size_t before = forge->wire.len;

        put_word(forge, words, last);
        last = before;
        words = strchr(words, ' ');
        words += words != NULL;
    }
}

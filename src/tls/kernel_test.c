/* SPDX-License-Identifier: PostgreSQL */
/*
 * The keys that we would give to a kernel, held against those that OpenSSL gives to it: an
 * OpenSSL client that may use kTLS asks its BIO, which notes what it is asked to install.
 */
#include "tls/kernel.h"

#include "tls/engine_parts.h"

#include "harness/check.h"
#include "harness/group_pki.h"

#include <linux/tls.h>
#include <string.h>

#define SET_KTLS 72 /* BIO_CTRL_SET_KTLS, which is not in a public header */

/* The client's end of a wire, and what it was asked to install for what it sends. */
struct wire {
    struct bytes in;
    struct buf   out;
    uint8_t      keys[TLS_KERNEL_KEYS_MOST];
    bool         has_keys;
};

static int wire_read(BIO *bio, char *to, size_t room, size_t *got)
{
    struct wire *wire = BIO_get_data(bio);
    struct bytes part = bytes_first(wire->in, room);

    BIO_clear_retry_flags(bio);
    if (part.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, part.p, part.len);
    bytes_skip(&wire->in, part.len);
    *got = part.len;
    return 1;
}

static int wire_write(BIO *bio, const char *from, size_t len, size_t *put)
{
    buf_put(&((struct wire *)BIO_get_data(bio))->out, bytes_of(from, len));
    *put = len;
    return 1;
}

/* Sending is not 0 in any version; the blob begins with a union of tls12_crypto_info_*. */
static long wire_ctrl(BIO *bio, int command, long sends, void *blob)
{
    struct wire                  *wire = BIO_get_data(bio);
    const struct tls_crypto_info *info = blob;

    if (command == SET_KTLS && sends != 0) {
        memcpy(wire->keys, blob,
               info->cipher_type == TLS_CIPHER_AES_GCM_128
                   ? sizeof(struct tls12_crypto_info_aes_gcm_128)
                   : sizeof(struct tls12_crypto_info_aes_gcm_256));
        wire->has_keys = true;
    }
    return command == BIO_CTRL_FLUSH;
}

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) ==
                   sizeof(struct tls12_crypto_info_chacha20_poly1305),
               "one size for both");

static SSL *new_client(SSL_CTX *library, BIO_METHOD *method, struct wire *wire)
{
    SSL *ssl = SSL_new(library);
    BIO *bio = BIO_new(method);

    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    return ssl;
}

static void shake_hands(SSL *ssl, struct wire *wire, struct tls_engine *server)
{
    struct buf       out = BUF_LIMIT(100000);
    enum tls_verdict verdict = TLS_WANT_MORE;

    while (SSL_do_handshake(ssl) != 1 || verdict == TLS_WANT_MORE) {
        struct bytes in = buf_bytes(&wire->out);

        buf_clear(&out);
        if (verdict == TLS_WANT_MORE && in.len > 0)
            verdict = tls_engine_handshake(server, &in, &out);
        buf_clear(&wire->out);
        wire->in = buf_bytes(&out);
        assert_int_not_equal(verdict, TLS_FAILED);
    }
    assert_int_equal(verdict, TLS_DONE);
    buf_fini(&out);
}

static void openssl_would_install_the_same_keys(void **state)
{
    static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                          "TLS_CHACHA20_POLY1305_SHA256" };
    BIO_METHOD              *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");

    BIO_meth_set_read_ex(method, wire_read);
    BIO_meth_set_write_ex(method, wire_write);
    BIO_meth_set_ctrl(method, wire_ctrl);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct wire        wire = { .out = BUF_LIMIT(100000) };
        uint8_t            keys[TLS_KERNEL_KEYS_MOST];
        SSL_CTX           *library = SSL_CTX_new(TLS_client_method());
        struct tls_engine *server = tls_pair_engine(
            &(struct tls_policy_options){
                .role = TLS_SERVER, .identity = pki.server, .ciphersuites = suites[i] },
            &(struct tls_engine_options){ .wall_s = CERTS_NOW });
        SSL   *ssl;
        size_t size;

        SSL_CTX_set_options(library, SSL_OP_ENABLE_KTLS);
        ssl = new_client(library, method, &wire);
        shake_hands(ssl, &wire, server);
        assert_true(wire.has_keys);
        size = tls_kernel_keys(server, TLS_KERNEL_RECEIVES, keys);
        assert_int_equal(size, i == 0 ? sizeof(struct tls12_crypto_info_aes_gcm_128)
                                      : sizeof(struct tls12_crypto_info_aes_gcm_256));
        assert_memory_equal(keys, wire.keys, size);
        SSL_free(ssl);
        SSL_CTX_free(library);
        tls_engine_free(server);
        buf_fini(&wire.out);
    }
    BIO_meth_free(method);
}

static void the_number_of_the_next_record_is_big_endian(void **state)
{
    struct tls_engine *server = tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_SERVER, .identity = pki.server },
        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    struct tls12_crypto_info_chacha20_poly1305 keys;
    uint8_t                                    bytes[TLS_KERNEL_KEYS_MOST];

    server->session.write = (struct tls_traffic){ .sequence = 0x0102030405060708,
                                                  .suite = TLS_SUITE_CHACHA20_POLY1305_SHA256 };
    assert_int_equal(tls_kernel_keys(server, TLS_KERNEL_SENDS, bytes), sizeof keys);
    memcpy(&keys, bytes, sizeof keys);
    assert_memory_equal(keys.rec_seq, "\1\2\3\4\5\6\7\x8", 8);
    tls_engine_free(server);
}

static void there_are_no_keys_of_a_direction_that_is_over(void **state)
{
    struct tls_engine *server = tls_pair_engine(
        &(struct tls_policy_options){ .role = TLS_SERVER, .identity = pki.server },
        &(struct tls_engine_options){ .wall_s = CERTS_NOW });
    uint8_t keys[TLS_KERNEL_KEYS_MOST];

    assert_int_equal(tls_kernel_keys(server, TLS_KERNEL_SENDS, keys), 0);
    tls_engine_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_would_install_the_same_keys),
        cmocka_unit_test(the_number_of_the_next_record_is_big_endian),
        cmocka_unit_test(there_are_no_keys_of_a_direction_that_is_over),
    };

    return cmocka_run_group_tests(tests, group_pki_make, group_pki_remove);
}

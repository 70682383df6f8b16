/* SPDX-License-Identifier: PostgreSQL */
#include "harness/raw_client.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "harness/raw_client: %s failed\n", what);
        abort();
    }
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct raw_client *client = SSL_get_app_data(ssl);

    SSL_SESSION_free(client->session);
    client->session = session;
    client->sessions++;
    return 1;
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct raw_client *client = SSL_get_app_data(ssl);

    if ((where & SSL_CB_ALERT) != 0 && (where & SSL_CB_READ) != 0)
        client->alert = value & 0xff;
}

void raw_client_init(struct raw_client *client)
{
    *client = (struct raw_client){ .library = SSL_CTX_new(TLS_client_method()), .alert = -1 };
    must(client->library != NULL, "SSL_CTX_new");
    SSL_CTX_set_session_cache_mode(client->library,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->library, on_session);
    SSL_CTX_set_info_callback(client->library, on_info);
    client->ssl = SSL_new(client->library);
    must(client->ssl != NULL, "SSL_new");
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_app_data(client->ssl, client);
    SSL_set_connect_state(client->ssl);
}

void raw_client_fini(struct raw_client *client)
{
    SSL_SESSION_free(client->session);
    /* OpenSSL spoils the session of a connection that was not ended */
    SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client->ssl);
    SSL_CTX_free(client->library);
}

static void step(struct raw_client *client)
{
    char byte;

    if (!client->is_done)
        client->is_done = SSL_do_handshake(client->ssl) == 1;
    if (client->is_done)
        SSL_read(client->ssl, &byte, 1);
    ERR_clear_error();
}

/* What the client has written goes to the engine; false if there was nothing. */
static bool carry(struct raw_client *client, struct tls_engine *server, struct buf *out,
                  size_t piece)
{
    uint8_t      bytes[4096];
    int          n = BIO_read(SSL_get_wbio(client->ssl), bytes,
                              (int)(piece < sizeof bytes ? piece : sizeof bytes));
    struct bytes in = bytes_of(bytes, n > 0 ? (size_t)n : 0);

    if (n <= 0 || client->server != TLS_WANT_MORE)
        return false;
    client->server = tls_engine_handshake(server, &in, out);
    return true;
}

/* In TLS 1.2 OpenSSL does not tell of a ticket that replaces another. */
static void take_session(struct raw_client *client)
{
    if (!client->is_done || SSL_version(client->ssl) != TLS1_2_VERSION)
        return;
    SSL_SESSION_free(client->session);
    client->session = SSL_get1_session(client->ssl);
    client->sessions = SSL_SESSION_has_ticket(client->session) ? 1 : 0;
}

void raw_client_shake(struct raw_client *client, struct tls_engine *server, size_t piece)
{
    struct buf out = BUF_LIMIT((size_t)1 << 20);
    bool       moved = true;

    client->server = TLS_WANT_MORE;
    while (moved) {
        step(client);
        moved = carry(client, server, &out, piece);
        if (out.len > 0) {
            BIO_write(SSL_get_rbio(client->ssl), out.memory + out.head, (int)out.len);
            buf_clear(&out);
            moved = true;
        }
    }
    buf_fini(&out);
    take_session(client);
}

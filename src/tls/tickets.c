/* SPDX-License-Identifier: PostgreSQL */
#include "tls/tickets.h"

#include "base/secret.h"
#include "base/text.h"
#include "tls/engine_parts.h"
#include "x509/pem_file.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST_KEYS     16u
#define NAME_BYTES    16u
#define CIPHER_BYTES  32u
#define MAC_BYTES     32u
#define MOST_APP_DATA 4096u

struct ticket_key {
    uint8_t name[NAME_BYTES];
    uint8_t cipher[CIPHER_BYTES];
    uint8_t mac[MAC_BYTES];
};

struct tls_ticket_keys {
    atomic_uint       holders;
    EVP_CIPHER       *method; /* found once, not for each ticket */
    size_t            count;
    struct ticket_key keys[MOST_KEYS];
};

/* ---- the file ---- */

static bool read_hex(uint8_t *out, size_t size, struct bytes text)
{
    if (text.len != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = text_hex_digit(text.p[2 * i]), low = text_hex_digit(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static struct bytes take_line(struct bytes *text)
{
    const uint8_t *end = memchr(text->p, '\n', text->len);
    struct bytes   line = bytes_first(*text, end != NULL ? (size_t)(end - text->p) : text->len);

    bytes_skip(text, line.len + 1);
    while (line.len > 0 && strchr(" \t\r", line.p[line.len - 1]) != NULL)
        line.len--;
    return line;
}

static bool has_name(const struct tls_ticket_keys *keys, const uint8_t *name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].name, name, NAME_BYTES) == 0)
            return true;
    }
    return false;
}

static enum fail add_line(struct tls_ticket_keys *keys, struct bytes line, const char *file,
                          unsigned number, struct failure *why)
{
    struct ticket_key *key = &keys->keys[keys->count];

    if (keys->count == MOST_KEYS)
        return fail(why, FAIL_CONFIG, "%s has more than %u ticket keys", file, MOST_KEYS);
    if (!read_hex((uint8_t *)key, sizeof *key, line)) {
        fail_hint(why, "a key is a line of 160 hexadecimal digits: openssl rand -hex 80");
        return fail(why, FAIL_CONFIG, "line %u of %s is no ticket key", number, file);
    }
    if (has_name(keys, key->name))
        return fail(why, FAIL_CONFIG, "line %u of %s: a key of that name is there already",
                    number, file);
    keys->count++;
    return FAIL_NONE;
}

static enum fail parse(struct tls_ticket_keys *keys, struct bytes text, const char *file,
                       struct failure *why)
{
    enum fail rc = FAIL_NONE;

    for (unsigned number = 1; rc == FAIL_NONE && text.len > 0; number++) {
        struct bytes line = take_line(&text);

        if (line.len > 0 && line.p[0] != '#')
            rc = add_line(keys, line, file, number, why);
    }
    if (rc != FAIL_NONE || keys->count > 0)
        return rc;
    fail_hint(why, "a key is a line of 160 hexadecimal digits: openssl rand -hex 80");
    return fail(why, FAIL_CONFIG, "no ticket key in %s", file);
}

static struct tls_ticket_keys *new_keys(struct failure *why)
{
    struct tls_ticket_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&keys->holders, 1);
    if ((keys->method = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)) != NULL)
        return keys;
    ERR_clear_error();
    fail(why, FAIL_TLS, "OpenSSL has no AES-256-CBC for session tickets");
    tls_ticket_keys_release(keys);
    return NULL;
}

struct tls_ticket_keys *tls_ticket_keys_load(const char *file, struct failure *why)
{
    struct tls_ticket_keys *keys = new_keys(why);
    struct buf              text;
    enum fail               rc;

    if (keys == NULL)
        return NULL;
    rc = pem_file_read(file, PEM_FILE_KEY, &text, why);
    if (rc == FAIL_NONE)
        rc = parse(keys, buf_bytes(&text), file, why);
    pem_file_wipe(&text);
    if (rc == FAIL_NONE)
        return keys;
    tls_ticket_keys_release(keys);
    return NULL;
}

struct tls_ticket_keys *tls_ticket_keys_random(struct failure *why)
{
    struct tls_ticket_keys *keys = new_keys(why);

    if (keys == NULL)
        return NULL;
    keys->count = 1;
    if (RAND_bytes(keys->keys[0].name, NAME_BYTES) == 1 &&
        RAND_priv_bytes(keys->keys[0].cipher, CIPHER_BYTES) == 1 &&
        RAND_priv_bytes(keys->keys[0].mac, MAC_BYTES) == 1)
        return keys;
    ERR_clear_error();
    fail(why, FAIL_TLS, "OpenSSL gives no random bytes");
    tls_ticket_keys_release(keys);
    return NULL;
}

struct tls_ticket_keys *tls_ticket_keys_hold(struct tls_ticket_keys *keys)
{
    atomic_fetch_add_explicit(&keys->holders, 1, memory_order_relaxed);
    return keys;
}

void tls_ticket_keys_release(struct tls_ticket_keys *keys)
{
    if (keys == NULL || atomic_fetch_sub(&keys->holders, 1) != 1)
        return;
    EVP_CIPHER_free(keys->method);
    secret_wipe(keys, sizeof *keys);
    free(keys);
}

size_t tls_ticket_keys_count(const struct tls_ticket_keys *keys)
{
    return keys->count;
}

/* ---- sealing and opening ---- */

static bool start_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256",
                                         0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct tls_ticket_keys *keys, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct ticket_key *key = &keys->keys[0];

    memcpy(name, key->name, NAME_BYTES);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->method)) != 1 ||
        EVP_EncryptInit_ex(cipher, keys->method, NULL, key->cipher, iv) != 1)
        return -1;
    return start_mac(mac, key) ? 1 : -1;
}

/* 1: opened; 2: and to be replaced, since its key is not the newest; 0: not ours. */
static int unseal(const struct tls_ticket_keys *keys, const unsigned char *name,
                  unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct ticket_key *key = &keys->keys[i];

        if (memcmp(name, key->name, NAME_BYTES) != 0)
            continue;
        if (EVP_DecryptInit_ex(cipher, keys->method, NULL, key->cipher, iv) != 1 ||
            !start_mac(mac, key))
            return -1;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
    const struct tls_ticket_keys *keys = engine_policy(engine_of(ssl))->ticket_keys;

    if (keys == NULL)
        return 0;
    return is_sealing ? seal(keys, name, iv, cipher, mac) : unseal(keys, name, iv, cipher, mac);
}

/* ---- what a ticket says of a client, looked at again ---- */

/* A ticket keeps the leaf only: the intermediates that came with it are added. */
static int on_new_ticket(SSL *ssl, void *unused)
{
    struct stack_st_X509 *chain = SSL_get_peer_cert_chain(ssl);
    unsigned char         all[MOST_APP_DATA], *at = all;

    if (SSL_session_reused(ssl) || chain == NULL)
        return 1;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int len = i2d_X509(sk_X509_value(chain, i), NULL);

        /* without them the ticket will be refused, where they are needed */
        if (len <= 0 || (size_t)len > sizeof all - (size_t)(at - all))
            return 1;
        i2d_X509(sk_X509_value(chain, i), &at);
    }
    SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), all, (size_t)(at - all));
    return 1;
}

static struct stack_st_X509 *intermediates_of(SSL_SESSION *session)
{
    struct stack_st_X509 *all = sk_X509_new_null();
    void                 *data = NULL;
    size_t                len = 0;
    const unsigned char  *at, *end;
    X509                 *one;

    if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || data == NULL)
        return all;
    at = data;
    end = at + len;
    while (at < end && (one = d2i_X509(NULL, &at, end - at)) != NULL) {
        if (sk_X509_push(all, one) == 0) {
            X509_free(one);
            break;
        }
    }
    return all;
}

/* Dates, lists and chain as in a full handshake, by today's store (CVE-2025-23419). */
static bool is_still_good(SSL *ssl, X509 *leaf, struct stack_st_X509 *intermediates)
{
    struct tls_engine *engine = engine_of(ssl);
    X509_STORE_CTX    *store = X509_STORE_CTX_new();
    X509_STORE        *trusted = SSL_CTX_get_cert_store(tls_context_library(engine->chosen));
    bool               good = false;

    if (store != NULL && X509_STORE_CTX_init(store, trusted, leaf, intermediates) == 1 &&
        X509_STORE_CTX_set_default(store, "ssl_client") == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);

        X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
        good = X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) == 1 &&
               X509_verify_cert(store) == 1;
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return good;
}

static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session,
                                          const unsigned char *name, size_t name_len,
                                          SSL_TICKET_STATUS status, void *unused)
{
    struct stack_st_X509 *intermediates;
    X509                 *leaf;
    bool                  good = true;

    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    leaf = SSL_SESSION_get0_peer(session);
    if (leaf != NULL && engine_policy(engine_of(ssl))->peer_check == TLS_PEER_ANY)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (leaf != NULL) {
        intermediates = intermediates_of(session);
        good = is_still_good(ssl, leaf, intermediates);
        sk_X509_pop_free(intermediates, X509_free);
    }
    if (!good)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* RFC 8446 C.4: a client uses each ticket once */
    if (status == SSL_TICKET_SUCCESS && SSL_version(ssl) < TLS1_3_VERSION)
        return SSL_TICKET_RETURN_USE;
    return SSL_TICKET_RETURN_USE_RENEW;
}

void tls_tickets_install(SSL_CTX *library)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(library, on_ticket_key);
    SSL_CTX_set_session_ticket_cb(library, on_new_ticket, on_ticket_opened, NULL);
}

/* SPDX-License-Identifier: PostgreSQL */
/*
 * From OpenSSL's handshake to records of our own.
 *
 * The traffic secrets come from where they are derived (key_schedule.h), or, where OpenSSL does
 * that by itself, from the callback of its key log: it tells nobody else.  Any doubt leaves the
 * connection with the SSL object, where it works too.
 */
#include "base/text.h"
#include "tls/engine_parts.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

/* The bytes of `hex`; 0 where it is not hex or too long. */
static size_t read_secret(uint8_t *to, const char *hex)
{
    size_t n = 0;

    for (; hex[0] != '\0'; hex += 2) {
        int high = text_hex_digit((uint8_t)hex[0]);
        int low = high >= 0 ? text_hex_digit((uint8_t)hex[1]) : -1;

        if (low < 0 || n == TLS_LONGEST_SECRET)
            return 0;
        to[n++] = (uint8_t)(high << 4 | low);
    }
    return n;
}

/* The text behind "LABEL " and the client's random; NULL where the line has another label. */
static const char *secret_of(const char *line, const char *label)
{
    size_t len = strlen(label);

    if (strncmp(line, label, len) != 0 || line[len] != ' ')
        return NULL;
    line = strchr(line + len + 1, ' ');
    return line != NULL ? line + 1 : NULL;
}

/* A direction of the session, and what was told of it. */
struct side {
    struct tls_traffic *traffic;
    struct tls_told    *told;
};

static struct side side_of(struct tls_engine *engine, bool is_ours)
{
    if (is_ours)
        return (struct side){ &engine->session.write, &engine->handover.written };
    return (struct side){ &engine->session.read, &engine->handover.read };
}

void tls_handover_secret(struct tls_engine *engine, bool of_client, struct bytes secret)
{
    struct side side = side_of(engine, of_client == (engine_role(engine) == TLS_CLIENT));

    if (secret.len > sizeof side.traffic->secret)
        return;
    memcpy(side.traffic->secret, secret.p, secret.len);
    *side.told = (struct tls_told){ .secret = (uint8_t)secret.len };
    if (of_client && engine->out != NULL) {
        engine->handover.mark = engine->out->len;
        engine->handover.marked = true;
    }
}

/* The direction whose secret that is; false for others, those of the handshake. */
static bool find_side(struct tls_engine *engine, struct bytes secret, struct side *out)
{
    for (int is_ours = 0; is_ours <= 1; is_ours++) {
        *out = side_of(engine, is_ours != 0);
        if (out->told->secret == secret.len && secret.len > 0 &&
            CRYPTO_memcmp(out->traffic->secret, secret.p, secret.len) == 0)
            return true;
    }
    return false;
}

void tls_handover_key(struct tls_engine *engine, struct bytes from, struct bytes key)
{
    struct side side;

    if (key.len > TLS_LONGEST_KEY || !find_side(engine, from, &side))
        return;
    memcpy(side.traffic->key, key.p, key.len);
    side.told->key = (uint8_t)key.len;
}

void tls_handover_iv(struct tls_engine *engine, struct bytes from, struct bytes iv)
{
    struct side side;

    if (iv.len > TLS_NONCE_BYTES || !find_side(engine, from, &side))
        return;
    memcpy(side.traffic->iv, iv.p, iv.len);
    side.told->iv = (uint8_t)iv.len;
}

void tls_handover_line(const SSL *ssl, const char *line)
{
    const char *of_client = secret_of(line, "CLIENT_TRAFFIC_SECRET_0");
    const char *of_server = secret_of(line, "SERVER_TRAFFIC_SECRET_0");
    uint8_t     secret[TLS_LONGEST_SECRET];
    size_t      len;

    if (of_client == NULL && of_server == NULL)
        return;
    len = read_secret(secret, of_client != NULL ? of_client : of_server);
    tls_handover_secret(engine_of(ssl), of_client != NULL, bytes_of(secret, len));
    OPENSSL_cleanse(secret, sizeof secret);
}

/*
 * For the callback OpenSSL puts every secret into hex, digit by digit, five of them a
 * handshake: a tenth of what a handshake costs.  So it is there only where nobody else tells
 * them, and from EncryptedExtensions on, where the secrets of the handshake itself are past.
 * The SSL_CTX is the worker's: its engines take turns.
 */
void tls_handover_listen(struct tls_engine *engine)
{
    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(engine->ssl),
                                engine->handover.listening ? tls_handover_line : NULL);
}

void tls_handover_passes(struct tls_engine *engine, OSSL_HANDSHAKE_STATE state)
{
    if (engine->handover.listening || tls_key_schedule_properties() != NULL ||
        (state != TLS_ST_SW_ENCRYPTED_EXTENSIONS && state != TLS_ST_CR_ENCRYPTED_EXTENSIONS) ||
        engine_policy(engine)->record_layer == TLS_RECORDS_LIBRARY)
        return;
    engine->handover.listening = true;
    tls_handover_listen(engine);
}

/*
 * A server has written tickets under the key that we go on with: one record each.  They
 * stand behind the mark, which was made when the key came into being.  A client writes
 * its Finished there, under the key of the handshake.
 */
static bool count_written(struct tls_engine *engine, uint64_t *records)
{
    struct bytes wire = buf_bytes(engine->out);

    *records = 0;
    if (engine_role(engine) == TLS_CLIENT)
        return true;
    if (!engine->handover.marked || engine->handover.mark > wire.len)
        return false;
    bytes_skip(&wire, engine->handover.mark);
    for (; wire.len > 0; (*records)++) {
        if (wire.len < TLS_HEADER_BYTES || wire.p[0] != TLS_CONTENT_DATA ||
            wire.len < TLS_HEADER_BYTES + bytes_u16(wire.p + 3))
            return false;
        bytes_skip(&wire, TLS_HEADER_BYTES + bytes_u16(wire.p + 3));
    }
    return true;
}

size_t tls_fragment_limit(const SSL *ssl)
{
    const SSL_SESSION *session = SSL_get0_session(ssl);
    unsigned code = session != NULL ? SSL_SESSION_get_max_fragment_length(session) : 0;

    if (code == TLSEXT_max_fragment_length_DISABLED || code > TLSEXT_max_fragment_length_4096)
        return TLS_LONGEST_CONTENT;
    return (size_t)256 << code;
}

/* Nothing of the peer may be inside the SSL, and it may owe nothing. */
static bool is_settled(SSL *ssl)
{
    return SSL_version(ssl) == TLS1_3_VERSION && SSL_pending(ssl) == 0 &&
           SSL_has_pending(ssl) == 0 && SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE;
}

/* What OpenSSL has derived already is not derived again. */
static bool start_side(struct side side, struct tls_aeads *aeads, enum tls_suite suite)
{
    side.traffic->suite = (uint8_t)suite;
    side.traffic->sequence = 0;
    return (side.told->key == tls_suite_key_bytes(suite) && side.told->iv == TLS_NONCE_BYTES) ||
           tls_traffic_start(side.traffic, aeads);
}

static bool start_traffic(struct tls_engine *engine)
{
    struct tls_aeads *aeads = tls_context_aeads(engine->context);
    const SSL_CIPHER *cipher = SSL_get_current_cipher(engine->ssl);
    enum tls_suite    suite = tls_suite_find(SSL_CIPHER_get_protocol_id(cipher));
    size_t            secret_bytes = tls_suite_secret_bytes(suite);
    uint64_t          written;

    if (suite == TLS_SUITE_NONE || engine->handover.read.secret != secret_bytes ||
        engine->handover.written.secret != secret_bytes || !count_written(engine, &written) ||
        !tls_aeads_prepare(aeads, suite) || !start_side(side_of(engine, false), aeads, suite) ||
        !start_side(side_of(engine, true), aeads, suite))
        return false;
    engine->session.write.sequence = written;
    return true;
}

/* A session that is not told to be over would be thought a broken one, and not resumed. */
static void free_library(struct tls_engine *engine)
{
    SSL_set_shutdown(engine->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(engine->ssl);
    engine->ssl = NULL;
    ERR_clear_error();
}

bool tls_handover(struct tls_engine *engine)
{
    struct tls_session *session = &engine->session;
    size_t              ours = engine_policy(engine)->max_record_bytes;
    size_t              theirs;

    if (engine_policy(engine)->record_layer == TLS_RECORDS_LIBRARY ||
        !is_settled(engine->ssl) || !start_traffic(engine)) {
        OPENSSL_cleanse(session, sizeof *session);
        return false;
    }
    theirs = tls_fragment_limit(engine->ssl);
    session->is_client = engine_role(engine) == TLS_CLIENT;
    session->most_read = (uint16_t)theirs;
    session->most_written = (uint16_t)(theirs < ours ? theirs : ours);
    free_library(engine);
    engine->records = &tls_record_own;
    return true;
}

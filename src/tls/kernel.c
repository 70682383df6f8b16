/* SPDX-License-Identifier: PostgreSQL */
#include "tls/kernel.h"

#include "tls/record_layer.h"
#include "tls/record_own.h"

#include <linux/tls.h>
#include <openssl/crypto.h>
#include <string.h>

/* ---- keys as the kernel wants them ---- */

/*
 * Their structs are laid out alike: version and cipher, iv, key, salt, number of the next
 * record.  AES-GCM of TLS 1.2 has a fixed part of the nonce, the salt, and one in each record:
 * that is why the iv of TLS 1.3 is cut there.
 */
static const struct layout {
    struct tls_crypto_info info;
    size_t                 salt_bytes;
    size_t                 size;
} layouts[TLS_SUITES] = {
    [TLS_SUITE_AES_128_GCM_SHA256] = { { TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128 },
                                       TLS_CIPHER_AES_GCM_128_SALT_SIZE,
                                       sizeof(struct tls12_crypto_info_aes_gcm_128) },
    [TLS_SUITE_AES_256_GCM_SHA384] = { { TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256 },
                                       TLS_CIPHER_AES_GCM_256_SALT_SIZE,
                                       sizeof(struct tls12_crypto_info_aes_gcm_256) },
    [TLS_SUITE_CHACHA20_POLY1305_SHA256] = { { TLS_1_3_VERSION, TLS_CIPHER_CHACHA20_POLY1305 },
                                             TLS_CIPHER_CHACHA20_POLY1305_SALT_SIZE,
                                             sizeof(
                                                 struct tls12_crypto_info_chacha20_poly1305) },
};

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_128) == 4 + 12 + 16 + 8, "no padding");
_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) == 4 + 12 + 32 + 8, "no padding");
_Static_assert(sizeof(struct tls12_crypto_info_chacha20_poly1305) == 4 + 12 + 32 + 8,
               "no padding");
_Static_assert(4 + 12 + 32 + 8 <= TLS_KERNEL_KEYS_MOST, "room for the longest");

static uint8_t *append(uint8_t *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return to + size;
}

static size_t write_keys(uint8_t *to, const struct tls_traffic *traffic, uint64_t sequence)
{
    const struct layout *layout = &layouts[traffic->suite];
    enum tls_suite       suite = (enum tls_suite)traffic->suite;

    if (suite == TLS_SUITE_NONE)
        return 0;
    to = append(to, &layout->info, sizeof layout->info);
    to = append(to, traffic->iv + layout->salt_bytes, sizeof traffic->iv - layout->salt_bytes);
    to = append(to, traffic->key, tls_suite_key_bytes(suite));
    to = append(to, traffic->iv, layout->salt_bytes);
    for (int i = 7; i >= 0; i--, sequence >>= 8)
        to[i] = (uint8_t)sequence;
    return layout->size;
}

size_t tls_kernel_sample_keys(enum tls_suite suite, uint8_t to[TLS_KERNEL_KEYS_MOST])
{
    struct tls_traffic traffic = { .suite = (uint8_t)suite };

    return write_keys(to, &traffic, 0);
}

/* RFC 8446 5.3: the first record under a new key has number 0; some that follow it may have
 * been framed already, and stay counted. */
static size_t write_next_keys(uint8_t *to, struct tls_engine *engine)
{
    struct tls_traffic *traffic = &engine->session.write;
    uint64_t            framed = traffic->sequence;
    bool                good = tls_traffic_update(traffic, tls_context_aeads(engine->context));

    traffic->sequence = framed;
    return good ? write_keys(to, traffic, 0) : 0;
}

size_t tls_kernel_keys(struct tls_engine *engine, enum tls_kernel_way way,
                       uint8_t to[TLS_KERNEL_KEYS_MOST])
{
    const struct tls_session *session = &engine->session;

    if (way == TLS_KERNEL_RECEIVES)
        return write_keys(to, &session->read, session->read.sequence);
    if (engine->kernel.keys_due > 0)
        return write_next_keys(to, engine);
    return write_keys(to, &session->write, session->write.sequence);
}

/* ---- whether, and when ---- */

static const struct tls_kernel_abilities *abilities(const struct tls_engine *engine)
{
    return &engine_policy(engine)->kernel;
}

bool tls_kernel_is_wanted(const struct tls_engine *engine)
{
    return engine->state == ENGINE_OPEN && !engine->closed && !engine->kernel.decided &&
           engine_policy(engine)->record_layer == TLS_RECORDS_KERNEL;
}

enum fail tls_kernel_check(const struct tls_engine *engine, struct failure *why)
{
    unsigned suite = engine->session.write.suite;

    if (abilities(engine)->refusal != NULL) {
        if (abilities(engine)->hint != NULL)
            fail_hint(why, "%s", abilities(engine)->hint);
        return fail(why, FAIL_REFUSED, "%s", abilities(engine)->refusal);
    }
    if (engine->records != &tls_record_own)
        return fail(why, FAIL_REFUSED, "records of %s are left to OpenSSL",
                    engine->facts.version);
    if (!(abilities(engine)->sends & 1u << suite))
        return fail(why, FAIL_REFUSED, "the kernel has no %s", engine->facts.cipher);
    return FAIL_NONE;
}

enum fail tls_kernel_check_receiving(const struct tls_engine *engine, struct failure *why)
{
    if (!(abilities(engine)->receives & 1u << engine->session.read.suite))
        return fail(why, FAIL_REFUSED, "the kernel receives no %s", engine->facts.cipher);
    /* RFC 6066 4, which the kernel cannot hold the peer to */
    if (engine->session.most_read != TLS_LONGEST_CONTENT)
        return fail(why, FAIL_REFUSED, "the peer has negotiated shorter records");
    return FAIL_NONE;
}

bool tls_kernel_is_at_boundary(const struct tls_engine *engine)
{
    return engine->held.len == 0;
}

/* ---- what became of it ---- */

static void forget_key(struct tls_engine *engine, struct tls_traffic *traffic)
{
    if (traffic->suite != TLS_SUITE_NONE)
        tls_aeads_forget(tls_context_aeads(engine->context), (enum tls_suite)traffic->suite,
                         traffic->key);
    OPENSSL_cleanse(traffic->key, sizeof traffic->key);
    OPENSSL_cleanse(traffic->iv, sizeof traffic->iv);
    if (!abilities(engine)->rekeys)
        OPENSSL_cleanse(traffic->secret, sizeof traffic->secret);
}

static void took_sending(struct tls_engine *engine)
{
    struct tls_traffic *traffic = &engine->session.write;

    engine->records = &tls_record_kernel;
    engine->facts.record_layer = tls_record_kernel.name;
    engine->kernel.decided = true;
    engine->kernel.sends = true;
    if (engine->kernel.keys_due > 0)
        engine->kernel.keys_due--;
    if (engine->kernel.keys_due == 0 && (engine->closed || engine->state == ENGINE_FAILED))
        tls_traffic_wipe(traffic, tls_context_aeads(engine->context));
    else
        forget_key(engine, traffic);
}

void tls_kernel_took(struct tls_engine *engine, enum tls_kernel_way way)
{
    if (way == TLS_KERNEL_SENDS) {
        took_sending(engine);
        return;
    }
    engine->kernel.receives = true;
    engine->kernel.needs_key = false;
    forget_key(engine, &engine->session.read);
}

void tls_kernel_declined(struct tls_engine *engine)
{
    engine->kernel.decided = true;
}

bool tls_kernel_receives(const struct tls_engine *engine)
{
    return engine->kernel.receives;
}

bool tls_kernel_needs_key(const struct tls_engine *engine)
{
    return engine->kernel.needs_key;
}

void tls_kernel_lost(struct tls_engine *engine, int error, struct buf *out)
{
    engine->out = out;
    tls_engine_need_failure(engine);
    fail_errno(engine->failure, error, "the kernel does not take the peer's new key");
    tls_record_alert(engine, TLS_ALERT_FATAL, TLS_INTERNAL_ERROR);
    tls_engine_fail(engine);
    tls_record_wipe(engine);
    engine->out = NULL;
}

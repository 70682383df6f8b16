/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/aeads.h - the ciphers of TLS 1.3, made ready once for one thread
 *
 * All connections of a worker share one context a cipher and direction.  A context of
 * its own for each connection would be slower: its kilobyte of tables costs more to
 * fetch from memory than to compute again from the key.
 *
 * Only tls/ uses them; others make them and share them out with tls_context_share().
 *
 * There is no way to use a context with the key that it happens to have: whoever
 * takes one gives key and nonce together.
 */
#ifndef PGTLS_TLS_AEADS_H
#define PGTLS_TLS_AEADS_H

#include "base/bytes.h"

/* RFC 8446 B.4, without the CCM ones; in saved sessions, so never renumbered. */
enum tls_suite {
    TLS_SUITE_NONE,
    TLS_SUITE_AES_128_GCM_SHA256,
    TLS_SUITE_AES_256_GCM_SHA384,
    TLS_SUITE_CHACHA20_POLY1305_SHA256,
};
#define TLS_SUITES 4

#define TLS_TAG_BYTES      16u
#define TLS_NONCE_BYTES    12u
#define TLS_LONGEST_KEY    32u
#define TLS_LONGEST_SECRET 48u

/* The suite of a number on the wire; TLS_SUITE_NONE for others. */
enum tls_suite tls_suite_find(unsigned number);
const char    *tls_suite_name(enum tls_suite suite); /* "TLS_AES_128_GCM_SHA256" */
size_t         tls_suite_key_bytes(enum tls_suite suite);
size_t         tls_suite_secret_bytes(enum tls_suite suite); /* of its hash */

enum tls_direction { TLS_OPENS, TLS_SEALS };

struct tls_aeads;

/* Nothing is fetched yet.  NULL when out of memory. */
struct tls_aeads *tls_aeads_new(void);
struct tls_aeads *tls_aeads_hold(struct tls_aeads *aeads);
void              tls_aeads_release(struct tls_aeads *aeads); /* wipes; NULL is fine */

/* Fetches what `suite` takes; false where OpenSSL has none: ChaCha20 under FIPS. */
bool tls_aeads_prepare(struct tls_aeads *aeads, enum tls_suite suite);

/* The context of a prepared suite, with this key and nonce; NULL: OpenSSL fails. */
struct evp_cipher_ctx_st *tls_aeads_take(struct tls_aeads *aeads, enum tls_suite suite,
                                         enum tls_direction direction, const uint8_t *key,
                                         const uint8_t *nonce);

/* No context has this key any more. */
void tls_aeads_forget(struct tls_aeads *aeads, enum tls_suite suite, const uint8_t *key);

/* HKDF-Expand-Label of RFC 8446 7.1 with an empty context; at most one hash's worth. */
bool tls_aeads_expand(struct tls_aeads *aeads, enum tls_suite suite, const uint8_t *secret,
                      const char *label, uint8_t *to, size_t len);

/* Wipes the secret that was last expanded. */
void tls_aeads_forget_secret(struct tls_aeads *aeads, enum tls_suite suite);

/* How many records one key protects before we ask for the next. */
uint64_t tls_aeads_records_per_key(const struct tls_aeads *aeads);
void     tls_aeads_set_records_per_key(struct tls_aeads *aeads, uint64_t records); /* tests */

#endif

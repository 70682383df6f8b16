/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/key_schedule.h - the derivations of TLS 1.3's handshake (RFC 8446 7.1), in the place of
 * OpenSSL's
 *
 * OpenSSL derives some twenty secrets a handshake, looks up and allocates what it needs for
 * each of them, and tells the traffic secrets in hex only: more than a tenth of what a
 * handshake costs.  Here a provider of our own does the same, and tells them to an engine.
 * For programs: a library does not add to the providers of its process.
 */
#ifndef PGTLS_TLS_KEY_SCHEDULE_H
#define PGTLS_TLS_KEY_SCHEDULE_H

#include <stdbool.h>

struct tls_engine;

/*
 * Contexts that are made later use it.  False where OpenSSL's own goes on: another provider
 * than its default one is set up, a FIPS module for instance, which must have its say; or what
 * is derived is not what RFC 8448 has.
 */
bool tls_key_schedule_start(void);

/* Why OpenSSL's own goes on; static.  NULL where it does not. */
const char *tls_key_schedule_refusal(void);

/* key_schedule_check.c: whether the derivations that these properties bring give the secret of
 * RFC 8448, and one more with SHA-384. */
bool tls_key_schedule_is_right(const char *properties);

/* What an SSL_CTX looks algorithms up with; NULL where nothing was started. */
const char *tls_key_schedule_properties(void);

/* Who is told of traffic secrets that this thread derives from here on; NULL: nobody. */
void tls_key_schedule_tell(struct tls_engine *engine);

#endif

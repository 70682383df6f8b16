/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/kernel.h - records that the kernel protects (kTLS), seen from the engine
 *
 * The handshake and the first records are the engine's own.  At a boundary between two records
 * the owner of the socket takes the keys of a direction out, gives them to the kernel, and says
 * so here.  From then on frames pass between the engine and the socket in that direction:
 *
 *     type u8   3, 3   length u16   content, in the clear
 *
 * A frame towards the socket becomes one record.  Two types are no records: FRAME_KEY towards
 * the socket stands where the next key has to be installed, and FRAME_ERROR from the socket
 * tells with which errno the kernel stopped reading.  Frames from the socket come whole.
 *
 * Receiving goes to the kernel after sending, or not at all.
 */
#ifndef PGTLS_TLS_KERNEL_H
#define PGTLS_TLS_KERNEL_H

#include "tls/aeads.h"
#include "tls/engine.h"

#define TLS_FRAME_HEADER 5u
enum { TLS_FRAME_KEY = 0, TLS_FRAME_ERROR = 1 };

/* The longest struct tls12_crypto_info_* of the kernel. */
#define TLS_KERNEL_KEYS_MOST 64u

enum tls_kernel_way { TLS_KERNEL_SENDS, TLS_KERNEL_RECEIVES };

/* What an unused key of this suite looks like, to find out what a kernel can do. */
size_t tls_kernel_sample_keys(enum tls_suite suite, uint8_t to[TLS_KERNEL_KEYS_MOST]);

/*
 * Whether the policy asks for the kernel and nothing was decided yet.  The question ends with
 * tls_kernel_took(TLS_KERNEL_SENDS) or tls_kernel_declined().
 */
bool tls_kernel_is_wanted(const struct tls_engine *engine);

/* Why it cannot be had, whatever the socket says: version, cipher, kernel. */
enum fail tls_kernel_check(const struct tls_engine *engine, struct failure *why) WARN_UNUSED;
enum fail tls_kernel_check_receiving(const struct tls_engine *engine,
                                     struct failure          *why) WARN_UNUSED;

/* All that was received is taken, up to the end of a record. */
bool tls_kernel_is_at_boundary(const struct tls_engine *engine);

/*
 * The keys of a direction, as setsockopt() wants them: how many bytes; 0: there are none.  The
 * caller wipes them.  Where a FRAME_KEY stands this makes the next ones of sending: once each.
 */
size_t tls_kernel_keys(struct tls_engine *engine, enum tls_kernel_way way,
                       uint8_t to[TLS_KERNEL_KEYS_MOST]);

/* The kernel has them, and the engine forgets them; secrets stay for the next ones. */
void tls_kernel_took(struct tls_engine *engine, enum tls_kernel_way way);
void tls_kernel_declined(struct tls_engine *engine);
bool tls_kernel_receives(const struct tls_engine *engine);

/* The peer has changed its key: before anything else is received the kernel needs it. */
bool tls_kernel_needs_key(const struct tls_engine *engine);

/* The kernel did not take that one: the engine fails, with an alert. */
void tls_kernel_lost(struct tls_engine *engine, int error, struct buf *out);

#endif

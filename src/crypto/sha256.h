/* SPDX-License-Identifier: PostgreSQL */
/*
 * crypto/sha256.h - SHA-256 and what is built of it: HMAC (RFC 2104), PBKDF2 (RFC 8018)
 *
 * Thin names over OpenSSL, which does the work, is asked once where it has it, and wipes what
 * it used.  A failure is no memory, or a library whose configuration lacks the hash.
 */
#ifndef PGTLS_CRYPTO_SHA256_H
#define PGTLS_CRYPTO_SHA256_H

#include "base/bytes.h"
#include "base/fail.h"

enum { SHA256_LEN = 32 };

enum fail sha256(uint8_t out[SHA256_LEN], struct bytes b, struct failure *why) WARN_UNUSED;

enum fail sha256_hmac(uint8_t out[SHA256_LEN], struct bytes key, struct bytes b,
                      struct failure *why) WARN_UNUSED;

/* One block of output.  The caller bounds `iterations`: it may come from a peer. */
enum fail sha256_pbkdf2(uint8_t out[SHA256_LEN], struct bytes password, struct bytes salt,
                        uint32_t iterations, struct failure *why) WARN_UNUSED;

#endif

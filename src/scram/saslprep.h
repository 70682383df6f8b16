/* SPDX-License-Identifier: PostgreSQL */
/*
 * scram/saslprep.h - a password as SCRAM takes it, exactly as PostgreSQL prepares it
 *
 * RFC 4013, with PostgreSQL's departures (src/common/saslprep.c), since client and server must
 * come to the same bytes:
 *   - a password of ASCII alone stays as it is, control characters included
 *   - what is not UTF-8, or what RFC 4013 forbids, is taken as the bytes that it is
 *   - what is forbidden is looked for before the characters are normalised, not after
 *   - five characters are normalised as Unicode corrected them after 3.2
 */
#ifndef PGTLS_SCRAM_SASLPREP_H
#define PGTLS_SCRAM_SASLPREP_H

#include "base/secret.h"

enum { SASLPREP_PASSWORD_MOST = 65535 };

/* Fills `out`, to be freed with secret_fini; FAIL_MEMORY, or FAIL_LIMIT where it is too long.
 */
enum fail saslprep(struct secret *out, struct bytes password, struct failure *why) WARN_UNUSED;

#endif

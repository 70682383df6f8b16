/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/dial.h - asks a PostgreSQL server for TLS
 *
 * The client's half of the negotiation (PostgreSQL manual 53.2.10): SSLRequest
 * out, exactly one byte back.  Whoever reads for it asks the socket for one
 * byte and no more, so that a byte sent behind `S` can only ever reach the TLS
 * engine (CVE-2021-23222).
 */
#ifndef PGTLS_SESSION_DIAL_H
#define PGTLS_SESSION_DIAL_H

#include "base/buf.h"
#include "base/fail.h"

/* Appends SSLRequest. */
void dial_ask_for_tls(struct buf *out);

/*
 * Judges the answer: FAIL_NONE means that the server said S and TLS starts now.
 * Plaintext is never an outcome.  The text of an ErrorResponse is not read: it
 * comes from a peer that nobody has authenticated (CVE-2024-10977).
 */
enum fail dial_answer(uint8_t answer, struct failure *why) WARN_UNUSED;

/* The server closed the connection instead of answering. */
enum fail dial_no_answer(struct failure *why);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/meeting.h - an engine and an OpenSSL that meet by every kind of handshake
 *
 * The engine must go on with records of our own, and the far end hears what it says next: a
 * sequence number that is one off is seen.
 */
#ifndef PGTLS_HARNESS_MEETING_H
#define PGTLS_HARNESS_MEETING_H

#include "tls/engine_parts.h"

struct meeting_kind {
    bool is_client; /* ours */
    bool tickets, mutual, retry;
    bool early; /* data stands right behind the peer's Finished */
    int  suite;
};

struct meeting {
    struct tls_engine *engine;
    struct buf         out;
    SSL_CTX           *library;
    SSL               *peer;
    BIO               *to_peer, *from_peer;
    bool               spoke; /* before our Finished had come */
};

/* What an engine of this kind is made from, and its far end. */
struct tls_context *meeting_context(const struct meeting_kind *kind);
SSL_CTX            *meeting_library(const struct meeting_kind *kind);

/* `session`: that the far end wants to resume, or NULL. */
void meeting_init(struct meeting *m, const struct meeting_kind *kind,
                  struct tls_context *context, SSL_CTX *library, SSL_SESSION *session);
void meeting_fini(struct meeting *m);

/* The far end does what it can, and says its early words; what the engine wants to send gets
 * there; both, until they have shaken hands and what stands behind that is heard: `early`. */
void meeting_moves(struct meeting *m, const struct meeting_kind *kind);
void meeting_carry(struct meeting *m);
void meeting_shake(struct meeting *m, const struct meeting_kind *kind);

/* The engine says something, and is heard; both do. */
void meeting_says(struct meeting *m, const char *text);
void meeting_talk(struct meeting *m);

/* Certificates and keys of tickets for all tests of a program, as in harness/group_pki.h. */
int meeting_group_make(void **state);
int meeting_group_remove(void **state);

#endif

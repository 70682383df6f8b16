/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg/sasl.h - the messages that carry SASL: mechanism lists, challenges, answers
 *
 * PostgreSQL manual 53.3.1.
 */
#ifndef PGTLS_PG_SASL_H
#define PGTLS_PG_SASL_H

#include "base/buf.h"

enum { AUTH_OK = 0, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12 };

/* The code of a whole Authentication message ('R'), or -1 where it is broken. */
int64_t auth_code(struct bytes message);

/* Whether the list of a whole AuthenticationSASL message has a mechanism that ends in -PLUS. */
bool sasl_offers_plus(struct bytes message);

/*
 * Appends the message without its PLUS mechanisms.  Returns true if something
 * was taken out; a list that would become empty is passed on unchanged.
 */
bool sasl_strip_plus(struct buf *out, struct bytes message);

/* Whether the list has exactly this mechanism. */
bool sasl_offers(struct bytes message, const char *mechanism);

/* What stands behind the code of a whole Authentication message that has one. */
struct bytes auth_body(struct bytes message);

/* Appends an Authentication message with this code and body. */
void auth_write(struct buf *out, uint32_t code, struct bytes body);

/* Appends an AuthenticationSASL that offers SCRAM-SHA-256, and its PLUS before it. */
void sasl_write_list(struct buf *out, bool with_plus);

/* A client's answers: the first one names the mechanism. */
void sasl_write_initial(struct buf *out, const char *mechanism, struct bytes body);
void sasl_write_response(struct buf *out, struct bytes body);

struct sasl_initial {
    const char  *mechanism; /* borrowed from the message, as the body */
    bool         has_body;  /* false: an empty challenge is wanted first */
    struct bytes body;
};

/* Reads a whole SASLInitialResponse ('p'); false where its layout is broken. */
bool sasl_read_initial(struct sasl_initial *out, struct bytes message);

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * base/fail.h - how a function says that it failed, and why
 *
 * A function that can fail returns `enum fail`, 0 for success, and writes the
 * details into a struct failure that the caller owns.  Nothing is allocated.
 * The first failure wins: a later, less specific one leaves it as it is.
 * Waiting for more bytes is never a failure.
 *
 * Texts are lower case, without a full stop, and name the thing: a file, a
 * setting, a peer.  What to do about it goes into the hint.  Text of a peer is
 * escaped before it gets here (base/text.h).
 */
#ifndef PGTLS_BASE_FAIL_H
#define PGTLS_BASE_FAIL_H

#include <stdbool.h>

enum fail {
    FAIL_NONE,
    FAIL_MEMORY,   /* out of memory */
    FAIL_IO,       /* the system said no; see errnum */
    FAIL_CONFIG,   /* a setting, a file named by a setting, or a combination */
    FAIL_CERT,     /* a certificate, key, CA: unreadable, unfit, not verified */
    FAIL_TLS,      /* the handshake or the record layer */
    FAIL_PROTOCOL, /* a peer broke its protocol */
    FAIL_REFUSED,  /* a peer or a policy said no */
    FAIL_LIMIT,    /* a limit of a setting was reached */
    FAIL_TIMEOUT,  /* a deadline passed */
    FAIL_CLOSED,   /* a peer went away */
};

struct failure {
    enum fail kind;
    int       errnum; /* errno, or 0 */
    char      text[256];
    char      hint[192]; /* empty where there is nothing to say */
};

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Records a failure and returns its kind.  `why` may be NULL. */
enum fail fail(struct failure *why, enum fail kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: appends the text of `errnum`. */
enum fail fail_errno(struct failure *why, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what to do.  The first hint wins. */
void fail_hint(struct failure *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the text, on the way up. */
void fail_context(struct failure *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline bool failed(const struct failure *why)
{
    return why->kind != FAIL_NONE;
}

#endif

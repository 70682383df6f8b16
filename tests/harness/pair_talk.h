/* SPDX-License-Identifier: PostgreSQL */
/*
 * harness/pair_talk.h - what the two of a pair say to each other
 */
#ifndef PGTLS_HARNESS_PAIR_TALK_H
#define PGTLS_HARNESS_PAIR_TALK_H

#include "harness/check.h"
#include "harness/tls_pair.h"
#include "tls/record_own.h"

static inline void say(struct tls_side *from, const char *text)
{
    assert_int_equal(tls_engine_write(from->engine, bytes_of_string(text), &from->out),
                     FAIL_NONE);
}

static inline void assert_hears(struct tls_side *from, struct tls_side *to, const char *text)
{
    struct buf plain = BUF_LIMIT(10000);

    assert_int_equal(tls_pair_carry(from, to, SIZE_MAX, &plain), TLS_WANT_MORE);
    assert_buf_is(&plain, bytes_of_string(text));
    buf_fini(&plain);
}

/* A KeyUpdate of one whose records are our own. */
static inline void update(struct tls_side *side, bool request)
{
    side->engine->out = &side->out;
    assert_true(tls_record_update(side->engine, request));
    side->engine->out = NULL;
}

#endif

/* SPDX-License-Identifier: PostgreSQL */
/*
 * redis/resp.h - replies of a Redis server, and commands to it
 *
 * RESP, the Redis serialization protocol, as much of it as AUTH, PING, TIME and the like need:
 * the replies of one line, bulk strings, and arrays of those.  Pure: looks, and tells how many
 * bytes it took.
 */
#ifndef PGTLS_REDIS_RESP_H
#define PGTLS_REDIS_RESP_H

#include "base/buf.h"

enum {
    RESP_LINE_MOST = 4096,      /* bytes of a reply of one line, its end included */
    RESP_BULK_MOST = 64 * 1024, /* of a bulk string */
    RESP_ITEMS_MOST = 64,       /* of an array */
};

enum resp_kind {
    RESP_STATUS = '+',
    RESP_ERROR = '-',
    RESP_NUMBER = ':',
    RESP_BULK = '$',
    RESP_ARRAY = '*',
};

enum resp_verdict {
    RESP_SHORT,    /* the reply is not all there */
    RESP_COMPLETE, /* *reply is filled */
    RESP_BROKEN,   /* not RESP, or more than the limits above */
};

struct resp_reply {
    enum resp_kind kind;
    struct bytes   text;    /* status, error or number without its end; a bulk's content */
    bool           is_null; /* of a bulk string or an array */
    size_t         count;   /* of an array: its items follow, each a reply of its own */
};

/*
 * Reads the reply at the front of `in` and takes it off; the texts are borrowed from there.
 * For an array its head alone is taken: read `count` more replies.  After any other verdict
 * than RESP_COMPLETE nothing was taken.
 */
enum resp_verdict resp_read(struct resp_reply *reply, struct bytes *in);

/* The first word of an error ("WRONGPASS", "NOAUTH") is this one? */
bool resp_is_error(const struct resp_reply *reply, const char *word);

/* Appends a command of `count` words. */
void resp_put_command(struct buf *out, const struct bytes *words, size_t count);

#endif

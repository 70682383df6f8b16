/* SPDX-License-Identifier: PostgreSQL */
#include "session/dial.h"

#include "base/text.h"

#define SSL_REQUEST 80877103u

void dial_ask_for_tls(struct buf *out)
{
    buf_put_u32(out, 8);
    buf_put_u32(out, SSL_REQUEST);
}

enum fail dial_answer(uint8_t answer, struct failure *why)
{
    char shown[16];

    switch (answer) {
    case 'S': return FAIL_NONE;
    case 'N':
        fail_hint(why,
                  "set ssl = on in postgresql.conf, or do without TLS: sslmode \"disable\"");
        return fail(why, FAIL_REFUSED, "the server does not support TLS, but TLS was required");
    case 'E':
        fail_hint(why, "the server's own log has the reason");
        return fail(why, FAIL_REFUSED, "the server sent an error response to SSLRequest");
    default:
        text_escape(shown, sizeof shown, bytes_of(&answer, 1));
        fail_hint(why, "is this a PostgreSQL server?");
        return fail(why, FAIL_PROTOCOL, "the server's answer to SSLRequest is invalid: \"%s\"",
                    shown);
    }
}

enum fail dial_no_answer(struct failure *why)
{
    fail_hint(why, "the server's own log has the reason");
    return fail(why, FAIL_CLOSED,
                "the server closed the connection instead of answering "
                "SSLRequest");
}

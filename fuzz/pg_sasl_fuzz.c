/* SPDX-License-Identifier: PostgreSQL */
#include "pg/sasl.h"

#include "fuzz.h"
#include "pg/frame.h"

static void check_stripped(struct bytes message, struct bytes out)
{
    struct buf again = BUF_LIMIT(out.len);

    MUST(auth_code(message) == AUTH_SASL && auth_code(out) == AUTH_SASL);
    MUST(frame_is_whole(out, 'R'));
    MUST(out.len < message.len);
    MUST(out.p[FRAME_HEADER_LEN + 4] != 0); /* a mechanism is left */
    MUST(sasl_offers_plus(message) && !sasl_offers_plus(out));
    MUST(!sasl_strip_plus(&again, out));
    MUST(bytes_equal(buf_bytes(&again), out));
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = bytes_of(data, size);
    struct buf   out = BUF_LIMIT(size);
    int64_t      code = auth_code(message);
    bool         stripped = sasl_strip_plus(&out, message);

    MUST(code >= -1 && code <= UINT32_MAX);
    MUST(code == -1 || frame_is_whole(message, 'R'));
    MUST(buf_ok(&out));
    if (stripped)
        check_stripped(message, buf_bytes(&out));
    else
        MUST(bytes_equal(buf_bytes(&out), message));
    buf_fini(&out);
    return 0;
}

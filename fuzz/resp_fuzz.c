/* SPDX-License-Identifier: PostgreSQL */
#include "redis/resp.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes      in = bytes_of(data, size);
    struct resp_reply reply;

    for (;;) {
        struct bytes      before = in;
        enum resp_verdict verdict = resp_read(&reply, &in);

        if (verdict != RESP_COMPLETE) {
            MUST(bytes_equal(in, before) && in.p == before.p);
            return 0;
        }
        MUST(in.len < before.len); /* something was taken, or this would never end */
        MUST(reply.text.len <= before.len);
        MUST(reply.count <= RESP_ITEMS_MOST);
        for (size_t cut = 0; cut < before.len - in.len && cut < 64; cut++) {
            struct bytes part = bytes_first(before, cut);

            MUST(resp_read(&reply, &part) == RESP_SHORT);
        }
    }
}

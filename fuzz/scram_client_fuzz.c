/* SPDX-License-Identifier: PostgreSQL */
#include "scram/client.h"

#include "fuzz.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"

/* The input is two messages of a server, with a zero byte between them.  Keys are not stretched
 * from a password: a server may ask for a million rounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct scram_keys    keys = { { 1 }, { 2 } };
    const struct scram_client_options options = { .flag = SCRAM_UNABLE, .nonce = NONCE };
    const uint8_t                    *zero = size > 0 ? memchr(data, 0, size) : NULL;
    struct bytes        first = bytes_of(data, zero != NULL ? (size_t)(zero - data) : size);
    struct bytes        last = bytes_of(data, size);
    struct buf          out = BUF_LIMIT(2 * SCRAM_MESSAGE_MOST);
    struct failure      why = { 0 };
    struct scram_client client;

    bytes_skip(&last, first.len + 1);
    scram_client_init(&client, &options);
    MUST(scram_client_first(&client, &out, &why) == FAIL_NONE);
    buf_clear(&out);
    if (scram_client_read_first(&client, first, &why) == FAIL_NONE) {
        MUST(client.stretch.salt_len > 0 && client.stretch.salt_len <= SCRAM_SALT_MOST);
        MUST(client.stretch.iterations > 0 &&
             client.stretch.iterations <= SCRAM_ITERATIONS_MOST);
        MUST(client.nonce.len > strlen(NONCE));
        MUST(scram_client_final(&client, &keys, &out, &why) == FAIL_NONE);
        MUST(out.len < SCRAM_MESSAGE_MOST);
        /* nobody guesses a signature */
        MUST(scram_client_read_final(&client, last, &why) != FAIL_NONE);
    } else {
        MUST(why.kind == FAIL_PROTOCOL);
    }
    scram_client_fini(&client);
    buf_fini(&out);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "scram/server.h"

#include "fuzz.h"

static void check_refusal(const struct scram_server *server)
{
    const struct scram_refusal *refusal = &server->refusal;

    MUST(strlen(refusal->sqlstate) == 5);
    MUST((refusal->message == NULL) == (strcmp(refusal->sqlstate, "28P01") == 0));
}

/* The input is a choice and two messages of a client, with a zero byte between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct scram_stretch  stretch = { 4096, 4, "salt" };
    static const struct scram_verifier verifier = { { 4096, 4, "salt" }, { 1 }, { 2 } };
    struct bytes                       input = bytes_of(data, size);
    uint8_t                            choice = fuzz_choice(&input);
    const struct scram_server_options  options = {
         .offers_plus = (choice & 1) != 0,
         .hash = BYTES("0123456789abcdef0123456789abcdef"),
         .nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    };
    const uint8_t *zero = input.len > 0 ? memchr(input.p, 0, input.len) : NULL;
    struct bytes first = bytes_first(input, zero != NULL ? (size_t)(zero - input.p) : SIZE_MAX);
    uint8_t      key[SCRAM_KEY_LEN] = { 0 };
    static const uint8_t none[SCRAM_KEY_LEN];
    struct buf           out = BUF_LIMIT(SCRAM_MESSAGE_MOST);
    struct scram_server  server;

    bytes_skip(&input, first.len + 1);
    scram_server_init(&server, &options);
    if (scram_server_read_first(&server,
                                (choice & 2) != 0 ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256",
                                first) == SCRAM_GOES_ON) {
        MUST(scram_server_first(&server, &stretch, &out, NULL) == FAIL_NONE);
        /* nobody guesses a proof */
        MUST(scram_server_read_final(&server, input, (choice & 4) != 0 ? &verifier : NULL, key,
                                     NULL) == SCRAM_REFUSED);
        MUST(memcmp(key, none, sizeof key) == 0);
    }
    check_refusal(&server);
    scram_server_fini(&server);
    buf_fini(&out);
    return 0;
}

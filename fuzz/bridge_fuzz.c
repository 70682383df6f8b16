/* SPDX-License-Identifier: PostgreSQL */
#include "session/bridge.h"

#include "fuzz.h"

/* What both sides were sent, and how it ended. */
struct run {
    struct bridge       bridge;
    enum bridge_verdict verdict;
    struct buf          to_client, to_server;
};

/* Pieces of the input, by their first byte of the server or of the client. */
static void play(struct run *run, struct bytes input)
{
    while (run->verdict == BRIDGE_WANT_MORE && input.len > 0) {
        uint8_t      head = fuzz_choice(&input);
        struct bytes piece = bytes_first(input, (size_t)(head & 127) * 4);
        struct bytes in = piece;

        bytes_skip(&input, piece.len);
        if ((head & 128) != 0)
            run->verdict =
                bridge_from_client(&run->bridge, in, &run->to_client, &run->to_server);
        else
            run->verdict =
                bridge_from_server(&run->bridge, &in, &run->to_client, &run->to_server);
    }
}

/* No input knows a password or a verifier: nobody is let in through an exchange, and the server
 * gets nothing but the first message of ours. */
static void check(const struct run *run)
{
    const struct bridge *bridge = &run->bridge;
    bool begun = bridge->state != BRIDGE_METHODS && bridge->server_side.nonce_len > 0;

    MUST(bridge->state != BRIDGE_SERVER_FINAL && bridge->state != BRIDGE_OK);
    MUST(run->verdict != BRIDGE_BROKEN || failed(&bridge->why));
    MUST(run->verdict != BRIDGE_REFUSED || failed(&bridge->why));
    MUST(run->to_server.len < 200);
    MUST(begun || run->to_server.len == 0);
    MUST(bridge->waiting.len <= BRIDGE_CLIENT_MOST);
    if (run->verdict == BRIDGE_PASSES)
        MUST(bridge->state == BRIDGE_OVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct scram_verifier verifier = { { 4096, 4, "salt" }, { 1 }, { 2 } };
    struct bytes                       input = bytes_of(data, size);
    uint8_t                            choice = fuzz_choice(&input);
    struct bytes                       hash = BYTES("0123456789abcdef0123456789abcdef");
    const struct bridge_options        options = {
               .user = "ann",
               .verifier = (choice & 1) != 0 ? &verifier : NULL,
               .own_hash = (choice & 2) != 0 ? hash : bytes_of(NULL, 0),
               .server_hash = (choice & 4) != 0 ? hash : bytes_of(NULL, 0),
               .only_scram = (choice & 8) != 0,
    };
    struct run run = { .to_client = BUF_LIMIT(1 << 20), .to_server = BUF_LIMIT(1 << 20) };

    bridge_init(&run.bridge, &options);
    play(&run, input);
    check(&run);
    bridge_fini(&run.bridge);
    buf_fini(&run.to_client);
    buf_fini(&run.to_server);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "pg/frame.h"

#include "fuzz.h"

/* The hopper again, one byte at a time and as plain as it can be. */
struct model {
    const char *counted; /* types */
    const char *copies;  /* types */
    uint8_t     header[FRAME_HEADER_LEN];
    uint64_t    at, whole;
    uint8_t     status;
    uint64_t    count;
    uint64_t    copy_count;
    bool        lost;
};

static bool is_one_of(const char *types, uint8_t type)
{
    return type != 0 && strchr(types, type) != NULL;
}

static void model_header_ends(struct model *model)
{
    uint32_t length = bytes_u32(model->header + 1);

    model->lost = length < 4 || length > INT32_MAX;
    model->whole = (uint64_t)length + 1;
}

static void model_byte(struct model *model, uint8_t byte)
{
    if (model->lost)
        return;
    if (model->at < FRAME_HEADER_LEN)
        model->header[model->at] = byte;
    if (model->at == FRAME_HEADER_LEN && model->header[0] == 'Z' && model->copies[0] != '\0')
        model->status = byte;
    model->at++;
    if (model->at == FRAME_HEADER_LEN)
        model_header_ends(model);
    if (model->at < FRAME_HEADER_LEN || model->at < model->whole)
        return;
    model->at = 0;
    model->count += is_one_of(model->counted, model->header[0]);
    model->copy_count += is_one_of(model->copies, model->header[0]);
}

static void check_same(const struct frame_hopper *hopper, const struct model *model)
{
    MUST(frame_is_between(hopper) == (!model->lost && model->at == 0));
    if (model->lost)
        return;
    MUST(hopper->count == model->count);
    MUST(hopper->copies == model->copy_count);
    MUST(hopper->status == model->status);
    if (model->at >= FRAME_HEADER_LEN)
        MUST(hopper->body_left == model->whole - model->at);
}

static void run(bool is_client, struct bytes stream, struct cuts cuts)
{
    struct frame_hopper hopper;
    struct model        model = { .counted = is_client ? "QSF" : "Z",
                                  .copies = is_client ? "" : "GW" };

    if (is_client)
        frame_hopper_init_client(&hopper);
    else
        frame_hopper_init_server(&hopper);
    while (stream.len > 0) {
        struct bytes piece = bytes_first(stream, cuts_next(&cuts, stream.len));
        bool         ok = frame_hop(&hopper, piece);

        for (size_t i = 0; i < piece.len; i++)
            model_byte(&model, piece.p[i]);
        MUST(ok == !model.lost);
        check_same(&hopper, &model);
        bytes_skip(&stream, piece.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes stream = bytes_of(data, size);
    uint8_t      choice = fuzz_choice(&stream);
    bool         is_client = (choice & 0x80) != 0;

    run(is_client, stream, CUTS_NONE);
    run(is_client, stream, CUTS_BYTES);
    run(is_client, stream, cuts_of(choice));
    return 0;
}

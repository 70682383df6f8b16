/* SPDX-License-Identifier: PostgreSQL */
#include "pg/frame.h"

#define TYPE_BIT(type) (UINT64_C(1) << ((type)&63))

enum { READY_FOR_QUERY = 'Z', COPY_IN = 'G', COPY_BOTH = 'W' };
enum { QUERY = 'Q', SYNC = 'S', FUNCTION_CALL = 'F', TERMINATE = 'X' };
enum { PARSE = 'P', BIND = 'B', DESCRIBE = 'D', EXECUTE = 'E', CLOSE = 'C' };

#define BATCH_TYPES                                                                            \
    (TYPE_BIT(PARSE) | TYPE_BIT(BIND) | TYPE_BIT(DESCRIBE) | TYPE_BIT(EXECUTE) |               \
     TYPE_BIT(CLOSE))

void frame_hopper_init_server(struct frame_hopper *hopper)
{
    *hopper = (struct frame_hopper){
        .counted_types = TYPE_BIT(READY_FOR_QUERY) | TYPE_BIT(COPY_IN) | TYPE_BIT(COPY_BOTH),
    };
}

void frame_hopper_init_client(struct frame_hopper *hopper)
{
    *hopper = (struct frame_hopper){
        .counted_types = TYPE_BIT(QUERY) | TYPE_BIT(SYNC) | TYPE_BIT(FUNCTION_CALL) |
                         TYPE_BIT(TERMINATE) | BATCH_TYPES,
    };
}

static inline bool is_counted(const struct frame_hopper *hopper, uint8_t type)
{
    return type >> 6 == 1 && (hopper->counted_types & TYPE_BIT(type)) != 0;
}

static bool lose(struct frame_hopper *hopper)
{
    hopper->have = FRAME_LOST;
    return false;
}

/* Takes what is missing of a cut header; false where it is illegal. */
static bool finish_header(struct frame_hopper *hopper, struct bytes *data)
{
    struct bytes part = bytes_first(*data, (size_t)(FRAME_HEADER_LEN - hopper->have));
    uint32_t     length;

    if (part.len > 0)
        memcpy(hopper->header + hopper->have, part.p, part.len);
    hopper->have = (uint8_t)(hopper->have + part.len);
    bytes_skip(data, part.len);
    if (hopper->have < FRAME_HEADER_LEN)
        return true;
    length = bytes_u32(hopper->header + 1);
    if (!frame_length_is_legal(length))
        return lose(hopper);
    hopper->body_left = length - 4;
    return true;
}

/* A message that counts has ended. */
static void note(struct frame_hopper *hopper, uint8_t type)
{
    if (type == COPY_IN || type == COPY_BOTH) {
        hopper->copies++;
        return;
    }
    if (type == TERMINATE) {
        hopper->terminated = true;
        return;
    }
    hopper->in_batch = (TYPE_BIT(type) & BATCH_TYPES) != 0;
    if (hopper->in_batch)
        return;
    hopper->count++;
    hopper->last_counted = type;
}

/* Takes what is missing of a body whose header was finished before. */
static void finish_body(struct frame_hopper *hopper, struct bytes *data)
{
    struct bytes part = bytes_first(*data, hopper->body_left);
    bool         counts = is_counted(hopper, hopper->header[0]);

    if (counts && hopper->header[0] == READY_FOR_QUERY && part.len > 0 &&
        hopper->body_left == bytes_u32(hopper->header + 1) - 4)
        hopper->status = part.p[0];
    hopper->body_left -= (uint32_t)part.len;
    bytes_skip(data, part.len);
    if (hopper->body_left > 0)
        return;
    hopper->have = 0;
    if (counts)
        note(hopper, hopper->header[0]);
}

/* Ends the message that an earlier call left unfinished, as far as there are bytes. */
static bool finish(struct frame_hopper *hopper, struct bytes *data)
{
    if (hopper->have < FRAME_HEADER_LEN && !finish_header(hopper, data))
        return false;
    if (hopper->have == FRAME_HEADER_LEN)
        finish_body(hopper, data);
    return true;
}

bool frame_hop(struct frame_hopper *hopper, struct bytes data)
{
    const uint8_t *p, *end;

    if (hopper->have == FRAME_LOST)
        return false;
    if (hopper->have > 0 && !finish(hopper, &data))
        return false;
    if (data.len == 0)
        return true;

    /* Whole messages: nothing is kept and nothing of a body is read. */
    for (p = data.p, end = p + data.len; end - p >= FRAME_HEADER_LEN;) {
        uint32_t length = bytes_u32(p + 1);

        if (!frame_length_is_legal(length))
            return lose(hopper);
        if ((size_t)(end - p) < (size_t)length + 1)
            break;
        if (is_counted(hopper, p[0])) {
            note(hopper, p[0]);
            if (p[0] == READY_FOR_QUERY && length > 4)
                hopper->status = p[5];
        }
        p += (size_t)length + 1;
    }
    data = bytes_of(p, (size_t)(end - p));
    return data.len == 0 || finish(hopper, &data);
}

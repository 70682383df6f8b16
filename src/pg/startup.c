/* SPDX-License-Identifier: PostgreSQL */
#include "pg/startup.h"

#include "base/reader.h"
#include "pg/opening.h"

#define PROTOCOL_3_0 196608

static void read_parameters(struct startup *startup, struct reader *r)
{
    for (;;) {
        const char *name = reader_string(r);
        const char *value;

        if (*name == '\0')
            return;
        value = reader_string(r);
        if (strcmp(name, "user") == 0)
            startup->user = value;
        else if (strcmp(name, "database") == 0)
            startup->database = value;
    }
}

static bool is_given(const char *value)
{
    return value != NULL && *value != '\0';
}

enum fail startup_read(struct startup *out, struct bytes packet, struct failure *why)
{
    struct reader  r = reader_of(bytes_first(packet, opening_length(packet)));
    struct startup startup = { 0 };

    reader_u32(&r); /* the length */
    startup.version = reader_u32(&r);
    read_parameters(&startup, &r);
    if (!reader_ok(&r) || r.left.len > 0)
        return fail(why, FAIL_PROTOCOL,
                    "invalid startup packet layout: expected terminator as last byte");
    if (!is_given(startup.user))
        return fail(why, FAIL_REFUSED, "no PostgreSQL user name specified in startup packet");
    if (!is_given(startup.database))
        startup.database = startup.user;
    *out = startup;
    return FAIL_NONE;
}

const char *startup_failure_code(const struct failure *why)
{
    return why->kind == FAIL_REFUSED ? "28000" : "08P01";
}

void startup_write(struct buf *out, const struct startup_parameter *parameters, size_t count)
{
    size_t at = out->len;

    buf_put_u32(out, 0);
    buf_put_u32(out, PROTOCOL_3_0);
    for (size_t i = 0; i < count; i++) {
        if (*parameters[i].value == '\0')
            continue;
        buf_put_string(out, parameters[i].name);
        buf_put_string(out, parameters[i].value);
    }
    buf_put_u8(out, 0);
    if (buf_ok(out))
        buf_patch_u32(out, at, (uint32_t)(out->len - at));
}

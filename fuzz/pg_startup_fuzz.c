/* SPDX-License-Identifier: PostgreSQL */
#include "pg/startup.h"

#include "fuzz.h"
#include "pg/opening.h"

static bool is_within(struct bytes outer, const char *s)
{
    const uint8_t *p = (const uint8_t *)s;

    return p >= outer.p && p + strlen(s) < outer.p + outer.len;
}

/* Where the name stands that is empty: the terminator. */
static size_t terminator_at(struct bytes packet)
{
    size_t at = 8;

    while (packet.p[at] != 0)
        for (int word = 0; word < 2; word++)
            at += strlen((const char *)packet.p + at) + 1;
    return at;
}

static void check_success(const struct startup *startup, struct bytes packet)
{
    MUST(startup->version == opening_code(packet));
    MUST(is_within(packet, startup->user) && startup->user[0] != '\0');
    MUST(is_within(packet, startup->database) && startup->database[0] != '\0');
    MUST(terminator_at(packet) == packet.len - 1);
}

static void check_failure(const struct failure *why, enum fail rc)
{
    MUST(rc == FAIL_PROTOCOL || rc == FAIL_REFUSED);
    MUST(why->kind == rc && why->text[0] != '\0');
    MUST(strcmp(startup_failure_code(why), rc == FAIL_PROTOCOL ? "08P01" : "28000") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes   in = bytes_of(data, size), packet;
    struct startup startup, alone;
    struct failure why = { 0 };
    enum fail      rc;
    uint8_t       *copy;

    if (opening_peek(in) != OPENING_STARTUP)
        return 0;
    packet = bytes_first(in, opening_length(in));
    rc = startup_read(&startup, in, &why);

    /* what stands behind the packet is neither read nor of consequence */
    copy = malloc(packet.len);
    MUST(copy != NULL);
    memcpy(copy, packet.p, packet.len);
    MUST(startup_read(&alone, bytes_of(copy, packet.len), NULL) == rc);
    if (rc == FAIL_NONE) {
        check_success(&startup, packet);
        MUST(strcmp(startup.user, alone.user) == 0);
    } else {
        check_failure(&why, rc);
    }
    free(copy);
    return 0;
}

/* SPDX-License-Identifier: PostgreSQL */
#include "base/base64.h"

#include "harness/check.h"

/* RFC 4648 section 10, and the two last letters. */
static const struct {
    struct bytes raw, text;
} pairs[] = {
    { BYTES_INIT(""), BYTES_INIT("") },
    { BYTES_INIT("f"), BYTES_INIT("Zg==") },
    { BYTES_INIT("fo"), BYTES_INIT("Zm8=") },
    { BYTES_INIT("foo"), BYTES_INIT("Zm9v") },
    { BYTES_INIT("foob"), BYTES_INIT("Zm9vYg==") },
    { BYTES_INIT("fooba"), BYTES_INIT("Zm9vYmE=") },
    { BYTES_INIT("foobar"), BYTES_INIT("Zm9vYmFy") },
    { BYTES_INIT("\xfb\xff\xfe\0"), BYTES_INIT("+//+AA==") },
};

static void text_and_bytes_stand_for_each_other(void **state)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buf out = BUF_LIMIT(100);
        uint8_t    raw[100];
        size_t     len = 99;

        base64_put(&out, pairs[i].raw);
        assert_int_equal(out.len, BASE64_LEN(pairs[i].raw.len));
        assert_buf_is(&out, pairs[i].text);
        assert_true(base64_read(raw, pairs[i].raw.len, &len, pairs[i].text));
        assert_true(bytes_equal(bytes_of(raw, len), pairs[i].raw));
        buf_fini(&out);
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const bad[] = { "Z",     "Zg",    "Zg=",      "Zg==Zg==",
                                       "Z===",  "====",  "Zm8=Zg==", "Zm9v\nZg",
                                       "Zm 9v", "Zm9v=", "Zm9v====", "Z=9v",
                                       "Zh==",  "Zm9=",  "Zm\x80v",  "Zm-_",
                                       "=m9v" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t raw[100];
        size_t  len = 99;

        assert_false(base64_read(raw, sizeof raw, &len, bytes_of_string(bad[i])));
        assert_int_equal(len, 99);
    }
    assert_false(base64_read((uint8_t[4]){ 0 }, 4, &(size_t){ 0 }, BYTES("Zm\0v")));
}

static void more_bytes_than_there_is_room_for_are_refused(void **state)
{
    uint8_t raw[6];
    size_t  len;

    for (size_t room = 0; room < 6; room++)
        assert_false(base64_read(raw, room, &len, BYTES("Zm9vYmFy")));
    assert_true(base64_read(raw, 6, &len, BYTES("Zm9vYmFy")));
    assert_int_equal(len, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes_stand_for_each_other),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(more_bytes_than_there_is_room_for_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

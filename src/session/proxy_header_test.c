/* SPDX-License-Identifier: PostgreSQL */
#include "session/proxy_header.h"

#include "harness/check.h"

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum proxy_header_verdict read_all(struct proxy_header *out, struct bytes wire,
                                          size_t *left)
{
    enum proxy_header_verdict verdict = proxy_header_read(out, PROXY_PROTOCOL_ANY, &wire);

    *left = wire.len;
    return verdict;
}

static void good_headers_are_read_however_they_are_cut(void **state)
{
    static const struct {
        struct bytes wire;
        size_t       ip_len;
        uint8_t      first, last;
        uint16_t     port;
    } rows[] = {
        { BYTES_INIT("PROXY TCP4 10.1.2.3 10.0.0.1 1111 5432\r\n"), 4, 10, 3, 1111 },
        { BYTES_INIT("PROXY TCP4 255.255.255.255 0.0.0.0 65535 1\r\n"), 4, 255, 255, 65535 },
        { BYTES_INIT("PROXY TCP6 2001:db8::9 ::1 5 6\r\n"), 16, 0x20, 9, 5 },
        { BYTES_INIT("PROXY TCP6 1:2:3:4:5:6:7:8 ::1 5 6\r\n"), 16, 0, 8, 5 },
        { BYTES_INIT("PROXY TCP6 ff:: ::1 5 6\r\n"), 16, 0, 0, 5 },
        { BYTES_INIT("PROXY UNKNOWN\r\n"), 0, 0, 0, 0 },
        { BYTES_INIT("PROXY UNKNOWN whatever it is\r\n"), 0, 0, 0, 0 },
        { BYTES_INIT(V2_SIGNATURE "\x21\x11\0\x0c\x0a\1\2\3\x0a\0\0\1\x04\x57\x15\x38"), 4, 10,
          3, 1111 },
        { BYTES_INIT(V2_SIGNATURE
                     "\x21\x11\0\x10\x0a\1\2\3\x0a\0\0\1\x04\x57\x15\x38\x04\0\1x"),
          4, 10, 3, 1111 },
        { BYTES_INIT(V2_SIGNATURE "\x20\0\0\0"), 0, 0, 0, 0 },
        { BYTES_INIT(V2_SIGNATURE "\x21\0\0\0"), 0, 0, 0, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_header header;
        size_t              left;

        for (size_t cut = 1; cut < rows[i].wire.len; cut++)
            assert_int_equal(read_all(&header, bytes_first(rows[i].wire, cut), &left),
                             PROXY_HEADER_WANT_MORE);
        assert_int_equal(read_all(&header, rows[i].wire, &left), PROXY_HEADER_DONE);
        assert_int_equal(left, 0);
        assert_int_equal(header.source.ip_len, rows[i].ip_len);
        assert_int_equal(header.source.port, rows[i].port);
        if (rows[i].ip_len > 0) {
            assert_int_equal(header.source.ip[0], rows[i].first);
            assert_int_equal(header.source.ip[rows[i].ip_len - 1], rows[i].last);
        }
    }
}

static void bad_headers_are_refused(void **state)
{
    static const struct bytes rows[] = {
        BYTES_INIT("\0\0\0\x08\x04\xd2\x16\x2f"),
        BYTES_INIT("PROXY TCP4 10.1.2.3 10.0.0.1 1111\r\n"),
        BYTES_INIT("PROXY TCP4 10.1.2.3 10.0.0.1 1111 5432 7\r\n"),
        BYTES_INIT("PROXY TCP4 10.1.2.256 10.0.0.1 1111 5432\r\n"),
        BYTES_INIT("PROXY TCP4 10.1.2 10.0.0.1 1111 5432\r\n"),
        BYTES_INIT("PROXY TCP4 ::1 ::1 1111 5432\r\n"),
        BYTES_INIT("PROXY TCP4 10.1.2.3 10.0.0.1 65536 5432\r\n"),
        BYTES_INIT("PROXY TCP4 10.1.2.3 10.0.0.1 1111 5432\n"),
        BYTES_INIT("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n"),
        BYTES_INIT("PROXY TCP6 1::2::3 ::1 1 2\r\n"),
        BYTES_INIT("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n"),
        BYTES_INIT("PROXY TCP6 12345::1 ::1 1 2\r\n"),
        BYTES_INIT("PROXY TCP6 1: ::1 1 2\r\n"),
        BYTES_INIT("PROXY UDP4 10.1.2.3 10.0.0.1 1111 5432\r\n"),
        BYTES_INIT("PROXY \r\n"),
        BYTES_INIT(V2_SIGNATURE "\x11\x11\0\x0c\x0a\1\2\3\x0a\0\0\1\x04\x57\x15\x38"),
        BYTES_INIT(V2_SIGNATURE "\x22\x11\0\x0c\x0a\1\2\3\x0a\0\0\1\x04\x57\x15\x38"),
        BYTES_INIT(V2_SIGNATURE "\x21\x11\0\x0b\x0a\1\2\3\x0a\0\0\1\x04\x57\x15"),
        BYTES_INIT(V2_SIGNATURE "\x21\x11\xff\xff"),
    };
    char endless[200];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_header header;
        size_t              left;

        assert_int_equal(read_all(&header, rows[i], &left), PROXY_HEADER_BAD);
    }
    memset(endless, 'x', sizeof endless);
    memcpy(endless, "PROXY ", 6);
    for (size_t n = 1; n < sizeof endless; n++) {
        struct proxy_header header;
        size_t              left;

        assert_int_equal(read_all(&header, bytes_of(endless, n), &left),
                         n < 107 ? PROXY_HEADER_WANT_MORE : PROXY_HEADER_BAD);
    }
}

static void only_the_version_that_is_wanted_is_taken(void **state)
{
    struct bytes        v1 = BYTES("PROXY UNKNOWN\r\n"), v2 = BYTES(V2_SIGNATURE "\x20\0\0\0");
    struct proxy_header header;

    assert_int_equal(proxy_header_read(&header, PROXY_PROTOCOL_V2, &v1), PROXY_HEADER_BAD);
    assert_int_equal(proxy_header_read(&header, PROXY_PROTOCOL_V1, &v2), PROXY_HEADER_BAD);
    assert_int_equal(proxy_header_read(&header, PROXY_PROTOCOL_V1, &v1), PROXY_HEADER_DONE);
    assert_int_equal(proxy_header_read(&header, PROXY_PROTOCOL_V2, &v2), PROXY_HEADER_DONE);
}

static void what_is_written_is_read_again(void **state)
{
    static const struct proxy_header rows[] = {
        { { { 10, 1, 2, 3 }, 4, 1111 }, { { 10, 0, 0, 1 }, 4, 5432 } },
        { { { 0x20, 1, 0xd, 0xb8, [15] = 9 }, 16, 5 }, { { [15] = 1 }, 16, 6 } },
        { { { 0 }, 0, 0 }, { { 0 }, 0, 0 } },
    };
    const struct proxy_header_tls tls = { "TLSv1.3", "TLS_AES_256_GCM_SHA384", "alice", true };

    for (int version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2; version++)
        for (size_t i = 0; i < 3; i++) {
            struct buf          out = BUF_LIMIT(PROXY_HEADER_MOST);
            struct proxy_header header;
            struct bytes        wire;

            proxy_header_write(&out, (enum proxy_protocol)version, &rows[i], &tls);
            assert_true(buf_ok(&out));
            wire = buf_bytes(&out);
            assert_int_equal(proxy_header_read(&header, (enum proxy_protocol)version, &wire),
                             PROXY_HEADER_DONE);
            assert_int_equal(wire.len, 0);
            assert_memory_equal(&header, &rows[i], sizeof header);
            buf_fini(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_read_however_they_are_cut),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(only_the_version_that_is_wanted_is_taken),
        cmocka_unit_test(what_is_written_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

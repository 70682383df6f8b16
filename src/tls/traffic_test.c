/* SPDX-License-Identifier: PostgreSQL */
#include "tls/traffic.h"

#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>

static struct tls_aeads *aeads;

static int make_aeads(void **state)
{
    aeads = tls_aeads_new();
    for (int suite = TLS_SUITE_NONE + 1; suite < TLS_SUITES; suite++)
        assert_true(tls_aeads_prepare(aeads, (enum tls_suite)suite));
    return 0;
}

static int free_aeads(void **state)
{
    tls_aeads_release(aeads);
    return 0;
}

static size_t from_hex(uint8_t *to, const char *hex)
{
    size_t n = 0;

    for (; *hex != '\0'; hex += 2)
        assert_int_equal(sscanf(hex, "%2hhx", &to[n++]), 1);
    return n;
}

static void assert_hex(const uint8_t *have, const char *hex)
{
    uint8_t want[200];
    size_t  n = from_hex(want, hex);

    assert_memory_equal(have, want, n);
}

static struct tls_traffic traffic_of(enum tls_suite suite, const char *secret)
{
    struct tls_traffic traffic = { .suite = (uint8_t)suite };

    from_hex(traffic.secret, secret);
    assert_true(tls_traffic_start(&traffic, aeads));
    return traffic;
}

static struct tls_traffic any_traffic(int suite)
{
    struct tls_traffic traffic = { .suite = (uint8_t)suite };

    memset(traffic.secret, 7 * suite, sizeof traffic.secret);
    assert_true(tls_traffic_start(&traffic, aeads));
    return traffic;
}

/* ---- RFC 8448 section 3 ---- */

static const struct {
    const char *secret, *key, *iv;
    const char *data, *alert;  /* records of 50 bytes, 0 to 49, and of close_notify */
    uint64_t    data_sequence; /* the server has sent a ticket first */
} rfc_8448[] = {
    { "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
      "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9",
      "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a"
      "20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
      "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3", 0 },
    { "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
      "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984",
      "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb"
      "501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
      "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9", 1 },
};

static void the_traces_of_rfc_8448_are_made_byte_for_byte(void **state)
{
    for (size_t i = 0; i < sizeof rfc_8448 / sizeof *rfc_8448; i++) {
        struct tls_traffic traffic =
            traffic_of(TLS_SUITE_AES_128_GCM_SHA256, rfc_8448[i].secret);
        uint8_t plain[50], record[50 + TLS_RECORD_OVERHEAD];

        for (uint8_t n = 0; n < sizeof plain; n++)
            plain[n] = n;
        assert_hex(traffic.key, rfc_8448[i].key);
        assert_hex(traffic.iv, rfc_8448[i].iv);
        traffic.sequence = rfc_8448[i].data_sequence;
        assert_true(tls_traffic_seal(&traffic, aeads, TLS_CONTENT_DATA,
                                     bytes_of(plain, sizeof plain), record));
        assert_hex(record, rfc_8448[i].data);
        assert_true(
            tls_traffic_seal(&traffic, aeads, TLS_CONTENT_ALERT, BYTES("\x01\x00"), record));
        assert_hex(record, rfc_8448[i].alert);
    }
}

static void the_traces_of_rfc_8448_are_opened(void **state)
{
    for (size_t i = 0; i < sizeof rfc_8448 / sizeof *rfc_8448; i++) {
        struct tls_traffic traffic =
            traffic_of(TLS_SUITE_AES_128_GCM_SHA256, rfc_8448[i].secret);
        uint8_t record[100], plain[100];
        size_t  len = from_hex(record, rfc_8448[i].data);

        traffic.sequence = rfc_8448[i].data_sequence;
        assert_true(tls_traffic_open(&traffic, aeads, bytes_of(record, len), plain));
        for (uint8_t n = 0; n < 50; n++)
            assert_int_equal(plain[n], n);
        assert_int_equal(plain[50], TLS_CONTENT_DATA);
    }
}

/* ---- properties ---- */

static void what_is_sealed_is_opened_in_place_or_not(void **state)
{
    static uint8_t plain[TLS_LONGEST_CONTENT], record[TLS_LONGEST_RECORD],
        opened[TLS_LONGEST_RECORD];
    static const size_t sizes[] = { 0,   1,   15,  16,   17,   100,  511,   512,
                                    513, 514, 527, 1000, 4096, 8192, 16383, 16384 };

    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 31 >> 3);
    for (int suite = TLS_SUITE_NONE + 1; suite < TLS_SUITES; suite++) {
        struct tls_traffic out = any_traffic(suite), in = any_traffic(suite);

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct bytes wire = bytes_of(record, sizes[i] + TLS_RECORD_OVERHEAD);
            uint8_t     *to = i % 2 == 0 ? opened : record + TLS_HEADER_BYTES;

            assert_true(tls_traffic_seal(&out, aeads, TLS_CONTENT_DATA,
                                         bytes_of(plain, sizes[i]), record));
            assert_true(tls_traffic_open(&in, aeads, wire, to));
            assert_memory_equal(to, plain, sizes[i]);
            assert_int_equal(to[sizes[i]], TLS_CONTENT_DATA);
        }
        assert_int_equal(out.sequence, sizeof sizes / sizeof *sizes);
        assert_int_equal(in.sequence, out.sequence);
    }
}

static void one_changed_bit_anywhere_is_seen(void **state)
{
    for (int suite = TLS_SUITE_NONE + 1; suite < TLS_SUITES; suite++) {
        for (size_t bit = 0; bit < (20 + TLS_RECORD_OVERHEAD) * 8; bit++) {
            struct tls_traffic out = any_traffic(suite), in = any_traffic(suite);
            uint8_t            record[20 + TLS_RECORD_OVERHEAD], plain[40];

            assert_true(tls_traffic_seal(&out, aeads, TLS_CONTENT_DATA,
                                         BYTES("twenty bytes of text"), record));
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(tls_traffic_open(&in, aeads, bytes_of(record, sizeof record), plain));
            assert_int_equal(in.sequence, 1);
        }
    }
}

/* Sessions take turns on the same contexts, and two have the same key for a while. */
static void sessions_that_share_the_ciphers_do_not_disturb_each_other(void **state)
{
    struct tls_traffic out[12], in[12];
    uint8_t            record[100], plain[100];

    for (int i = 0; i < 12; i++) {
        out[i] = in[i] = any_traffic(1 + i % 3);
        if (i >= 6)
            assert_true(tls_traffic_update(&out[i], aeads) &&
                        tls_traffic_update(&in[i], aeads));
    }
    for (int turn = 0; turn < 500; turn++) {
        int i = turn * 7 % 12, times = 1 + turn % 3;

        while (times-- > 0) {
            assert_true(
                tls_traffic_seal(&out[i], aeads, TLS_CONTENT_DATA, BYTES("text"), record));
            assert_true(tls_traffic_open(&in[i], aeads,
                                         bytes_of(record, 4 + TLS_RECORD_OVERHEAD), plain));
            assert_memory_equal(plain, "text", 4);
        }
        if (turn % 50 == 49)
            assert_true(tls_traffic_update(&out[i], aeads) &&
                        tls_traffic_update(&in[i], aeads));
    }
}

static void an_update_changes_all_and_starts_at_zero(void **state)
{
    struct tls_traffic traffic = any_traffic(TLS_SUITE_AES_256_GCM_SHA384), before;

    traffic.sequence = 1000;
    before = traffic;
    assert_true(tls_traffic_update(&traffic, aeads));
    assert_int_equal(traffic.sequence, 0);
    assert_memory_not_equal(traffic.secret, before.secret, sizeof before.secret);
    assert_memory_not_equal(traffic.key, before.key, sizeof before.key);
    assert_memory_not_equal(traffic.iv, before.iv, sizeof before.iv);
}

static void a_sequence_number_is_used_once_and_never_wraps(void **state)
{
    struct tls_traffic traffic = any_traffic(TLS_SUITE_CHACHA20_POLY1305_SHA256);
    uint8_t            record[TLS_RECORD_OVERHEAD], other[TLS_RECORD_OVERHEAD];

    traffic.sequence = UINT64_MAX - 2;
    assert_true(tls_traffic_seal(&traffic, aeads, TLS_CONTENT_DATA, bytes_of(NULL, 0), record));
    assert_true(tls_traffic_seal(&traffic, aeads, TLS_CONTENT_DATA, bytes_of(NULL, 0), other));
    assert_memory_not_equal(record, other, sizeof record);
    assert_int_equal(traffic.sequence, UINT64_MAX);
    assert_false(
        tls_traffic_seal(&traffic, aeads, TLS_CONTENT_DATA, bytes_of(NULL, 0), record));
    assert_false(tls_traffic_open(&traffic, aeads, bytes_of(other, sizeof other), record));
    assert_int_equal(traffic.sequence, UINT64_MAX);
}

static void a_wiped_one_is_zero(void **state)
{
    static const struct tls_traffic zero;
    struct tls_traffic              traffic = any_traffic(TLS_SUITE_AES_128_GCM_SHA256);

    tls_traffic_wipe(&traffic, aeads);
    assert_memory_equal(&traffic, &zero, sizeof zero);
    tls_traffic_wipe(&traffic, aeads);
}

static void suites_are_those_of_rfc_8446_without_ccm(void **state)
{
    assert_int_equal(tls_suite_find(0x1301), TLS_SUITE_AES_128_GCM_SHA256);
    assert_int_equal(tls_suite_find(0x1302), TLS_SUITE_AES_256_GCM_SHA384);
    assert_int_equal(tls_suite_find(0x1303), TLS_SUITE_CHACHA20_POLY1305_SHA256);
    assert_int_equal(tls_suite_find(0x1304), TLS_SUITE_NONE);
    assert_int_equal(tls_suite_find(0xc02f), TLS_SUITE_NONE);
    assert_int_equal(tls_suite_find(0), TLS_SUITE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_traces_of_rfc_8448_are_made_byte_for_byte),
        cmocka_unit_test(the_traces_of_rfc_8448_are_opened),
        cmocka_unit_test(what_is_sealed_is_opened_in_place_or_not),
        cmocka_unit_test(one_changed_bit_anywhere_is_seen),
        cmocka_unit_test(sessions_that_share_the_ciphers_do_not_disturb_each_other),
        cmocka_unit_test(an_update_changes_all_and_starts_at_zero),
        cmocka_unit_test(a_sequence_number_is_used_once_and_never_wraps),
        cmocka_unit_test(a_wiped_one_is_zero),
        cmocka_unit_test(suites_are_those_of_rfc_8446_without_ccm),
    };

    return cmocka_run_group_tests(tests, make_aeads, free_aeads);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/certificate.h"

#include <stdlib.h>
#include <string.h>

static struct cert alice;

static int make_certificate(void **state)
{
    alice = cert_make(
        &(struct cert_spec){
            .common_name = "alice",
            .names = "DNS:a.example.com,DNS:*.example.com,URI:spiffe://x/alice,email:al@x.org,"
                     "IP:10.0.0.1" },
        NULL);
    return 0;
}

static int free_certificate(void **state)
{
    cert_free(&alice);
    return 0;
}

static void assert_names(const struct cert *cert, enum certificate_name_kind kind,
                         const char *const *expected)
{
    struct certificate_names names;
    size_t                   n = 0;

    assert_int_equal(certificate_names_read(&names, cert->x509, kind, NULL), FAIL_NONE);
    for (; expected[n] != NULL; n++) {
        assert_true(n < names.count);
        assert_string_equal(names.items[n], expected[n]);
        assert_true(certificate_names_have(&names, expected[n]));
    }
    assert_int_equal(names.count, n);
    certificate_names_fini(&names);
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void each_kind_gives_its_names_and_no_other(void **state)
{
    assert_names(&alice, CERTIFICATE_CN, NAMES("alice"));
    assert_names(&alice, CERTIFICATE_DN, NAMES("CN=alice"));
    assert_names(&alice, CERTIFICATE_SAN_DNS, NAMES("a.example.com", "*.example.com"));
    assert_names(&alice, CERTIFICATE_SAN_URI, NAMES("spiffe://x/alice"));
    assert_names(&alice, CERTIFICATE_SAN_EMAIL, NAMES("al@x.org"));
}

static void names_are_compared_byte_for_byte(void **state)
{
    struct certificate_names names;

    assert_int_equal(certificate_names_read(&names, alice.x509, CERTIFICATE_SAN_DNS, NULL),
                     FAIL_NONE);
    assert_false(certificate_names_have(&names, "A.example.com"));
    assert_false(certificate_names_have(&names, "b.example.com"));
    assert_false(certificate_names_have(&names, ""));
    certificate_names_fini(&names);
}

static void a_distinguished_name_is_written_as_postgresql_writes_it(void **state)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    X509_NAME  *name = X509_NAME_new();

    X509_NAME_add_entry_by_txt(name, "C", MBSTRING_UTF8, (const unsigned char *)"CH", -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"A, B+C", -1,
                               -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"z\xc3\xbc",
                               -1, -1, 0);
    X509_set_subject_name(cert.x509, name);
    assert_names(&cert, CERTIFICATE_DN, NAMES("CN=z\\C3\\BC,O=A\\, B\\+C,C=CH"));
    assert_names(&cert, CERTIFICATE_CN, NAMES("z\xc3\xbc"));
    X509_NAME_free(name);
    cert_free(&cert);
}

static void assert_refused(const struct cert *cert, enum certificate_name_kind kind,
                           const char *text)
{
    struct failure           why = { 0 };
    struct certificate_names names;

    assert_int_equal(certificate_names_read(&names, cert->x509, kind, &why), FAIL_CERT);
    assert_non_null(strstr(why.text, text));
    certificate_names_fini(&names);
}

static void nul_two_common_names_and_broken_names_are_refused(void **state)
{
    static const uint8_t nul[] = { 0x30, 0x07, 0x82, 0x05, 'a', 'b', 0, 'c', 'd' };
    struct cert          two =
        cert_make(&(struct cert_spec){ .common_name = "alice", .second_name = "bob" }, NULL);
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);

    assert_refused(&two, CERTIFICATE_CN, "more than one");
    cert_set_raw_common_name(&cert, "alice\0.evil", 11, NULL);
    assert_refused(&cert, CERTIFICATE_CN, "NUL");
    cert_set_raw_names(&cert, nul, sizeof nul, NULL);
    assert_refused(&cert, CERTIFICATE_SAN_DNS, "NUL");
    cert_set_raw_names(&cert, nul, sizeof nul, NULL);
    assert_refused(&cert, CERTIFICATE_SAN_DNS, "cannot be read");
    cert_free(&two);
    cert_free(&cert);
    cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    cert_set_raw_names(&cert, "\x30\x07\x82\x05", 4, NULL);
    assert_refused(&cert, CERTIFICATE_SAN_URI, "cannot be read");
    cert_free(&cert);
}

static void the_bytes_of_a_common_name_count_whatever_string_they_are(void **state)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    X509_NAME  *name = X509_NAME_new();

    X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_T61STRING,
                               (const unsigned char *)"z\xfc", 2, -1, 0);
    X509_set_subject_name(cert.x509, name);
    assert_names(&cert, CERTIFICATE_CN, NAMES("z\xfc"));
    assert_true(certificate_has_common_name(cert.x509, "z\xfc"));
    assert_false(certificate_has_common_name(cert.x509, "z\xc3\xbc"));
    X509_NAME_free(name);
    name = X509_NAME_new();
    X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_BMPSTRING,
                               (const unsigned char *)"\0a\0l", 4, -1, 0);
    X509_set_subject_name(cert.x509, name);
    assert_refused(&cert, CERTIFICATE_CN, "NUL");
    assert_false(certificate_has_common_name(cert.x509, "al"));
    X509_NAME_free(name);
    cert_free(&cert);
}

static void a_certificate_may_have_none(void **state)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = NULL }, NULL);

    for (int kind = CERTIFICATE_CN; kind <= CERTIFICATE_SAN_EMAIL; kind++) {
        struct certificate_names names;

        assert_int_equal(
            certificate_names_read(&names, cert.x509, (enum certificate_name_kind)kind, NULL),
            FAIL_NONE);
        assert_int_equal(names.count, 0);
        certificate_names_fini(&names);
    }
    cert_free(&cert);
}

static void reading_fails_cleanly_when_memory_runs_out(void **state)
{
    unsigned n;

    for (n = 1; n < 50; n++) {
        struct failure           why = { 0 };
        struct certificate_names names;
        enum fail                rc;

        alloc_fail_at(n);
        rc = certificate_names_read(&names, alice.x509, CERTIFICATE_SAN_DNS, &why);
        certificate_names_fini(&names);
        if (!alloc_has_failed())
            break;
        assert_int_equal(rc, FAIL_MEMORY);
    }
    assert_int_equal(n, 5);
}

static void days_are_whole_and_past_ones_negative(void **state)
{
    assert_int_equal(certificate_days_left(86400 * 3 + 5, 0), 3);
    assert_int_equal(certificate_days_left(86399, 0), 0);
    assert_int_equal(certificate_days_left(0, 0), 0);
    assert_int_equal(certificate_days_left(0, 1), -1);
    assert_int_equal(certificate_days_left(0, 86401), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_gives_its_names_and_no_other),
        cmocka_unit_test(names_are_compared_byte_for_byte),
        cmocka_unit_test(a_distinguished_name_is_written_as_postgresql_writes_it),
        cmocka_unit_test(nul_two_common_names_and_broken_names_are_refused),
        cmocka_unit_test(the_bytes_of_a_common_name_count_whatever_string_they_are),
        cmocka_unit_test(a_certificate_may_have_none),
        cmocka_unit_test(reading_fails_cleanly_when_memory_runs_out),
        cmocka_unit_test(days_are_whole_and_past_ones_negative),
    };

    return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "x509/certificate.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <stdlib.h>
#include <string.h>

static void facts_tell_names_dates_and_a_serial_that_can_be_searched_for(void **state)
{
    struct cert ca =
        cert_make(&(struct cert_spec){ .common_name = "Root, Inc", .is_ca = true }, NULL);
    struct cert              leaf = cert_make(&(struct cert_spec){ .common_name = "db",
                                                                   .names = "DNS:db,IP:10.0.0.5,IP:::1,"
                                                                                         "email:a@b,URI:urn:x",
                                                                   .not_before = 1000000000,
                                                                   .not_after = 2000000000 },
                                              &ca);
    struct certificate_facts facts;

    ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf.x509), 0x0abcdef012);
    assert_int_equal(certificate_facts_init(&facts, leaf.x509, NULL), FAIL_NONE);
    assert_string_equal(facts.subject, "CN=db");
    assert_string_equal(facts.issuer, "CN=Root\\x5c, Inc");
    assert_string_equal(facts.serial, "0abcdef012");
    assert_string_equal(facts.names, "DNS:db, IP:10.0.0.5, IP:::1, email:a@b, URI:urn:x");
    assert_int_equal(strlen(facts.fingerprint), 64);
    assert_string_equal(facts.key, "EC P-256");
    assert_int_equal(facts.not_before, 1000000000);
    assert_int_equal(facts.not_after, 2000000000);
    certificate_facts_fini(&facts);
    cert_free(&leaf);
    cert_free(&ca);
}

static void text_of_a_peer_is_escaped_and_bounded(void **state)
{
    struct cert              cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    struct certificate_facts facts;
    char                     name[2000];

    cert_set_raw_common_name(&cert, "a\nb\xc3\xa9\0", 6, NULL);
    assert_int_equal(certificate_facts_init(&facts, cert.x509, NULL), FAIL_NONE);
    assert_string_equal(facts.subject, "CN=a\\x0ab\\xc3\\xa9\\x00");
    assert_string_equal(facts.names, "");
    certificate_facts_fini(&facts);

    memset(name, 'n', sizeof name);
    cert_set_raw_common_name(&cert, name, sizeof name, NULL);
    assert_int_equal(certificate_facts_init(&facts, cert.x509, NULL), FAIL_NONE);
    assert_int_equal(strlen(facts.subject), 1023);
    certificate_facts_fini(&facts);
    cert_free(&cert);
}

static void a_thousand_names_are_cut_short(void **state)
{
    char                     names[20000] = "DNS:first";
    struct cert              cert;
    struct certificate_facts facts;

    for (int i = 0; i < 1000; i++)
        strcat(names, ",DNS:name");
    cert = cert_make(&(struct cert_spec){ .common_name = "x", .names = names }, NULL);
    assert_int_equal(certificate_facts_init(&facts, cert.x509, NULL), FAIL_NONE);
    assert_true(strlen(facts.names) < 1100);
    assert_string_equal(facts.names + strlen(facts.names) - 5, ", ...");
    certificate_facts_fini(&facts);
    cert_free(&cert);
}

static void facts_fail_cleanly_when_memory_runs_out(void **state)
{
    struct cert cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    unsigned    n;

    for (n = 1; n < 100; n++) {
        struct certificate_facts facts;
        struct failure           why = { 0 };
        enum fail                rc;

        alloc_fail_at(n);
        rc = certificate_facts_init(&facts, cert.x509, &why);
        if (!alloc_has_failed()) {
            assert_int_equal(rc, FAIL_NONE);
            certificate_facts_fini(&facts);
            break;
        }
        assert_int_equal(rc, FAIL_MEMORY);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 3 && n < 100);
    cert_free(&cert);
}

static bool has(const struct cert *cert, const char *name)
{
    return certificate_has_common_name(cert->x509, name);
}

static void keys_are_named(void **state)
{
    static const struct {
        struct cert_spec spec;
        const char      *key;
    } cases[] = { { { .common_name = "a", .is_rsa = true }, "RSA 2048" },
                  { { .common_name = "a", .is_weak = true }, "RSA 1024" },
                  { { .common_name = "a" }, "EC P-256" } };

    for (size_t i = 0; i < 3; i++) {
        struct cert              cert = cert_make(&cases[i].spec, NULL);
        struct certificate_facts facts;

        assert_int_equal(certificate_facts_init(&facts, cert.x509, NULL), FAIL_NONE);
        assert_string_equal(facts.key, cases[i].key);
        certificate_facts_fini(&facts);
        cert_free(&cert);
    }
}

static void dates_are_written_in_utc(void **state)
{
    char text[CERTIFICATE_DATE];

    assert_string_equal(certificate_date(1750000000, text), "2025-06-15T15:06:40Z");
    assert_string_equal(certificate_date(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(certificate_date(INT64_C(253402300799), text), "9999-12-31T23:59:59Z");
}

static void a_login_name_is_compared_byte_for_byte(void **state)
{
    struct cert alice = cert_make(&(struct cert_spec){ .common_name = "alice" }, NULL);
    struct cert star = cert_make(&(struct cert_spec){ .common_name = "*.x.org" }, NULL);

    assert_true(has(&alice, "alice"));
    assert_false(has(&alice, "Alice"));
    assert_false(has(&alice, "alic"));
    assert_false(has(&alice, "alicee"));
    assert_false(has(&alice, ""));
    assert_true(has(&star, "*.x.org"));
    assert_false(has(&star, "a.x.org"));
    cert_free(&alice);
    cert_free(&star);
}

static void a_login_name_needs_exactly_one_common_name_without_a_nul(void **state)
{
    struct cert two =
        cert_make(&(struct cert_spec){ .common_name = "alice", .second_name = "root" }, NULL);
    struct cert none = cert_make(&(struct cert_spec){ .names = "DNS:alice" }, NULL);
    struct cert nul = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);

    cert_set_raw_common_name(&nul, "alice\0.x", 8, NULL);
    assert_false(has(&two, "alice"));
    assert_false(has(&two, "root"));
    assert_false(has(&none, "alice"));
    assert_false(has(&none, ""));
    assert_false(has(&nul, "alice"));
    cert_free(&two);
    cert_free(&none);
    cert_free(&nul);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_tell_names_dates_and_a_serial_that_can_be_searched_for),
        cmocka_unit_test(text_of_a_peer_is_escaped_and_bounded),
        cmocka_unit_test(a_thousand_names_are_cut_short),
        cmocka_unit_test(facts_fail_cleanly_when_memory_runs_out),
        cmocka_unit_test(keys_are_named),
        cmocka_unit_test(dates_are_written_in_utc),
        cmocka_unit_test(a_login_name_is_compared_byte_for_byte),
        cmocka_unit_test(a_login_name_needs_exactly_one_common_name_without_a_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

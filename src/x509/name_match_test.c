/* SPDX-License-Identifier: PostgreSQL */
#include "x509/name_match.h"

#include "harness/certs.h"
#include "harness/check.h"

#include <string.h>

static enum fail match(const char *common_name, const char *names, const char *host,
                       struct failure *why)
{
    struct cert cert =
        cert_make(&(struct cert_spec){ .common_name = common_name, .names = names }, NULL);
    enum fail rc;

    *why = (struct failure){ 0 };
    rc = name_match(cert.x509, host, why);
    assert_int_equal(rc, why->kind);
    cert_free(&cert);
    return rc;
}

static bool fits(const char *common_name, const char *names, const char *host)
{
    struct failure why;

    return match(common_name, names, host, &why) == FAIL_NONE;
}

static void a_dns_name_is_compared_without_case(void **state)
{
    assert_true(fits("x", "DNS:db.example.com", "db.example.com"));
    assert_true(fits("x", "DNS:DB.example.COM", "db.Example.com"));
    assert_true(fits("x", "DNS:other,DNS:db", "db"));
    assert_false(fits("x", "DNS:db.example.com", "db.example.co"));
    assert_false(fits("x", "DNS:db.example.com", "db.example.comm"));
}

static void a_star_stands_for_exactly_the_first_label(void **state)
{
    assert_true(fits("x", "DNS:*.example.com", "db.example.com"));
    assert_true(fits("*.example.com", NULL, "db.EXAMPLE.com"));
    assert_false(fits("x", "DNS:*.example.com", "a.db.example.com"));
    assert_false(fits("x", "DNS:*.example.com", "example.com"));
    assert_false(fits("x", "DNS:*.example.com", ".example.com"));
    assert_false(fits("x", "DNS:*.b.c", "x.y.b.c"));
    assert_false(fits("x", "DNS:d*.example.com", "db.example.com"));
    assert_false(fits("x", "DNS:db.*.com", "db.example.com"));
    assert_false(fits("x", "DNS:*", "db"));
    assert_false(fits("x", "DNS:*.", "db."));
    assert_false(fits("x", "DNS:*.*.com", "db.example.com"));
}

static void the_common_name_counts_only_without_names_of_the_hosts_kind(void **state)
{
    assert_true(fits("db", NULL, "db"));
    assert_false(fits("db", "DNS:other", "db"));
    assert_true(fits("db", "IP:10.0.0.5", "db"));
    assert_true(fits("db", "email:a@b", "db"));
    assert_true(fits("10.0.0.5", "DNS:db", "10.0.0.5"));
    assert_false(fits("10.0.0.5", "IP:10.0.0.6", "10.0.0.5"));
}

static void an_address_is_compared_as_bytes(void **state)
{
    assert_true(fits("x", "IP:10.0.0.5", "10.0.0.5"));
    assert_true(fits("x", "IP:127.0.0.1", "127.1"));
    assert_true(fits("x", "IP:10.0.0.5", "0x0a000005"));
    assert_true(fits("x", "IP:2001:db8::1", "2001:DB8:0:0::1"));
    assert_false(fits("x", "IP:2001:db8::1", "2001:db8::2"));
    assert_false(fits("x", "IP:10.0.0.5", "::ffff:10.0.0.5"));
    assert_true(fits("x", "DNS:10.0.0.5", "10.0.0.5")); /* libpq takes it */
}

static void a_mismatch_names_the_first_name_how_many_more_and_the_host(void **state)
{
    struct failure why;

    assert_int_equal(match("x", "DNS:a", "b", &why), FAIL_CERT);
    assert_string_equal(why.text, "server certificate is for \"a\", not for host \"b\"");
    assert_true(why.hint[0] != '\0');
    match("x", "DNS:a,IP:10.0.0.5", "b", &why);
    assert_string_equal(
        why.text, "server certificate is for \"a\" (and 1 other name), not for host \"b\"");
    match("x", "IP:10.0.0.5,DNS:a,DNS:c", "b\n", &why);
    assert_string_equal(why.text, "server certificate is for \"10.0.0.5\" (and 2 other names), "
                                  "not for host \"b\\x0a\"");
    match(NULL, NULL, "b", &why);
    assert_string_equal(why.text, "server certificate has no name, and host \"b\" is meant");
    assert_int_equal(match("x", NULL, "", &why), FAIL_CONFIG);
    assert_int_equal(match("x", NULL, NULL, &why), FAIL_CONFIG);
}

static void a_nul_within_a_name_is_a_failure(void **state)
{
    struct cert    cert = cert_make(&(struct cert_spec){ .common_name = "x" }, NULL);
    struct failure why = { 0 };

    cert_set_raw_common_name(&cert, "db\0.evil", 8, NULL);
    assert_int_equal(name_match(cert.x509, "db", &why), FAIL_CERT);
    assert_non_null(strstr(why.text, "NUL"));

    why = (struct failure){ 0 };
    cert_set_raw_names(&cert, "\x30\x06\x82\x04\x64\x62\x00\x78", 8, NULL);
    assert_int_equal(name_match(cert.x509, "db", &why), FAIL_CERT);
    assert_non_null(strstr(why.text, "NUL"));
    cert_free(&cert);
}

static void an_address_of_five_bytes_is_a_failure_even_if_a_later_name_fits(void **state)
{
    struct cert    cert = cert_make(&(struct cert_spec){ .common_name = "db" }, NULL);
    struct failure why = { 0 };

    cert_set_raw_names(&cert, "\x30\x0b\x87\x05\x0a\x00\x00\x05\x01\x82\x02\x64\x62", 13, NULL);
    assert_int_equal(name_match(cert.x509, "db", &why), FAIL_CERT);
    assert_string_equal(why.text, "server certificate contains an IP address of 5 bytes");
    cert_free(&cert);
}

static void names_that_cannot_be_read_never_lead_to_the_common_name(void **state)
{
    static const char names[] = "\x30\x08\x82\x02\x61\x62\x82\x02\x63\x64";

    for (size_t cut = 0; cut < sizeof names - 1; cut++) {
        struct cert    cert = cert_make(&(struct cert_spec){ .common_name = "db" }, NULL);
        struct failure why = { 0 };

        cert_set_raw_names(&cert, names, cut, NULL);
        assert_int_equal(name_match(cert.x509, "db", &why), FAIL_CERT);
        assert_string_equal(why.text, "server certificate's alternative names cannot be read");
        cert_free(&cert);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dns_name_is_compared_without_case),
        cmocka_unit_test(a_star_stands_for_exactly_the_first_label),
        cmocka_unit_test(the_common_name_counts_only_without_names_of_the_hosts_kind),
        cmocka_unit_test(an_address_is_compared_as_bytes),
        cmocka_unit_test(a_mismatch_names_the_first_name_how_many_more_and_the_host),
        cmocka_unit_test(a_nul_within_a_name_is_a_failure),
        cmocka_unit_test(an_address_of_five_bytes_is_a_failure_even_if_a_later_name_fits),
        cmocka_unit_test(names_that_cannot_be_read_never_lead_to_the_common_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

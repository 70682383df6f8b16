/* SPDX-License-Identifier: PostgreSQL */
#include "x509/trust.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/certificate.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static struct cert one, two;
static char       *dir, *bundle;

static int make_files(void **state)
{
    one = cert_make(&(struct cert_spec){ .common_name = "one", .is_ca = true }, NULL);
    two = cert_make(&(struct cert_spec){ .common_name = "two", .is_ca = true }, NULL);
    dir = certs_dir_new();
    bundle =
        certs_write_chain(dir, "ca.crt", (const struct cert *[]){ &one, &two, &one, NULL });
    return 0;
}

static int remove_files(void **state)
{
    certs_dir_free(dir);
    free(bundle);
    cert_free(&one);
    cert_free(&two);
    return 0;
}

static void a_bundle_gives_facts_a_store_and_each_name_once(void **state)
{
    struct trust              *trust = trust_load(bundle, NULL);
    struct x509_store_st      *store;
    struct stack_st_X509_NAME *names;

    assert_non_null(trust);
    assert_false(trust_is_system(trust));
    assert_int_equal(trust_count(trust), 3);
    assert_string_equal(trust_facts(trust, 1)->subject, "CN=two");
    names = trust_new_names(trust);
    assert_int_equal(sk_X509_NAME_num(names), 2);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    store = trust_new_store(trust_hold(trust), NULL);
    assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 2);
    X509_STORE_free(store);
    trust_release(trust);
    trust_release(trust);
    trust_release(NULL);
}

static void a_file_without_a_certificate_is_refused(void **state)
{
    struct failure why = { 0 };
    char          *text = certs_write_text(dir, "text", "# nothing here\n", 15);

    assert_null(trust_load(text, &why));
    assert_int_equal(why.kind, FAIL_CERT);
    assert_non_null(strstr(why.text, text));
    why = (struct failure){ 0 };
    assert_null(trust_load("/nonexistent/ca.crt", &why));
    assert_int_equal(why.kind, FAIL_IO);
    free(text);
}

static void a_damaged_certificate_in_a_bundle_is_counted_and_refused(void **state)
{
    static const char damaged[] =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct failure why = { 0 };
    char          *path = certs_write_text(dir, "damaged", damaged, sizeof damaged - 1);

    assert_null(trust_load(path, &why));
    assert_non_null(strstr(why.text, "certificate 1 in"));
    assert_non_null(strstr(why.text, "damaged"));
    free(path);
}

static void the_systems_store_must_exist(void **state)
{
    struct failure        why = { 0 };
    struct trust         *trust;
    struct x509_store_st *store;

    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    assert_null(trust_load(TRUST_SYSTEM, &why));
    assert_non_null(strstr(why.text, "no certificate store"));
    setenv("SSL_CERT_FILE", bundle, 1);
    trust = trust_load(TRUST_SYSTEM, NULL);
    assert_non_null(trust);
    assert_true(trust_is_system(trust));
    assert_int_equal(trust_count(trust), 0);
    assert_null(trust_new_names(trust));
    store = trust_new_store(trust, NULL);
    assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 2);
    X509_STORE_free(store);
    trust_release(trust);
}

static void loading_fails_cleanly_when_memory_runs_out(void **state)
{
    unsigned n;

    for (n = 1; n < 100; n++) {
        struct failure why = { 0 };
        struct trust  *trust;

        alloc_fail_at(n);
        trust = trust_load(bundle, &why);
        if (!alloc_has_failed()) {
            assert_non_null(trust);
            trust_release(trust);
            break;
        }
        assert_null(trust);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 5 && n < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_gives_facts_a_store_and_each_name_once),
        cmocka_unit_test(a_file_without_a_certificate_is_refused),
        cmocka_unit_test(a_damaged_certificate_in_a_bundle_is_counted_and_refused),
        cmocka_unit_test(the_systems_store_must_exist),
        cmocka_unit_test(loading_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}

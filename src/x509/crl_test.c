/* SPDX-License-Identifier: PostgreSQL */
#include "x509/crl.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/trust.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cert ca, other, leaf;
static char       *dir, *bundle;

static int make_files(void **state)
{
    ca = cert_make(&(struct cert_spec){ .common_name = "ca", .is_ca = true }, NULL);
    other = cert_make(&(struct cert_spec){ .common_name = "other", .is_ca = true }, NULL);
    leaf = cert_make(&(struct cert_spec){ .common_name = "leaf" }, &ca);
    dir = certs_dir_new();
    bundle = certs_write_chain(dir, "ca.crt", (const struct cert *[]){ &ca, NULL });
    return 0;
}

static int remove_files(void **state)
{
    certs_dir_free(dir);
    free(bundle);
    cert_free(&ca);
    cert_free(&other);
    cert_free(&leaf);
    return 0;
}

static void assert_refused(const char *file, const char *in, const char *text)
{
    struct failure why = { 0 };

    assert_null(crl_list_load(file, in, &why));
    if (strstr(why.text, text) == NULL)
        print_error("\"%s\"\n", why.text);
    assert_non_null(strstr(why.text, text));
}

static void a_file_gives_its_lists_and_their_facts(void **state)
{
    const struct cert *revoked[] = { &leaf, NULL };
    char *file = certs_write_crl(dir, "a.crl", &(struct crl_spec){ .revoked = revoked }, &ca);
    char *endless = certs_write_crl(dir, "b.crl", &(struct crl_spec){ .next_update = -1 }, &ca);
    struct crl_list *list = crl_list_load(file, NULL, NULL);

    assert_int_equal(crl_list_count(list), 1);
    assert_string_equal(crl_list_facts(list, 0)->issuer, "CN=ca");
    assert_string_equal(crl_list_facts(list, 0)->file, file);
    assert_int_equal(crl_list_facts(list, 0)->revoked, 1);
    assert_int_equal(crl_list_facts(list, 0)->this_update, CERTS_NOW - 24 * 3600);
    assert_int_equal(crl_list_facts(list, 0)->next_update, CERTS_NOW + 7 * 24 * 3600);
    crl_list_free(list);
    list = crl_list_load(endless, NULL, NULL);
    assert_int_equal(crl_list_facts(list, 0)->next_update, 0);
    assert_int_equal(crl_list_facts(list, 0)->revoked, 0);
    crl_list_free(list);
    assert_int_equal(crl_list_count(NULL), 0);
    free(file);
    free(endless);
}

static void a_directory_gives_each_list_once_and_skips_what_is_none(void **state)
{
    char *in = certs_dir_new(), path[512], hidden[512];
    char *one, *two, *text, *cert;

    assert_refused(NULL, in, "no revocation list in");
    one = certs_write_crl(in, "one.pem", &(struct crl_spec){ .next_update = 0 }, &ca);
    two = certs_write_crl(in, "two.crl", &(struct crl_spec){ .next_update = 0 }, &other);
    text = certs_write_text(in, "README", "nothing\n", 8);
    cert = certs_write_chain(in, "ca.pem", (const struct cert *[]){ &ca, NULL });
    snprintf(path, sizeof path, "%s/5ed36f99.r0", in);
    assert_int_equal(symlink(one, path), 0);
    snprintf(hidden, sizeof hidden, "%s/..data", in);
    assert_int_equal(symlink("/nonexistent", hidden), 0);

    struct crl_list *list = crl_list_load(NULL, in, NULL);

    assert_int_equal(crl_list_count(list), 2);
    assert_string_equal(crl_list_facts(list, 0)->issuer, "CN=ca");
    assert_string_equal(crl_list_facts(list, 1)->issuer, "CN=other");
    crl_list_free(list);
    list = crl_list_load(one, in, NULL);
    assert_int_equal(crl_list_count(list), 2);
    crl_list_free(list);
    free(one);
    free(two);
    free(text);
    free(cert);
    certs_dir_free(in);
}

static void what_should_be_a_list_and_is_none_is_refused(void **state)
{
    static const char damaged[] = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    char             *in = certs_dir_new();
    char             *file = certs_write_text(in, "x.pem", damaged, sizeof damaged - 1);
    char             *text = certs_write_text(dir, "text.pem", "hello", 5);
    char             *named;

    assert_refused(file, NULL, "revocation list 1 in");
    assert_refused(NULL, in, "is damaged");
    assert_refused(text, NULL, "no revocation list in");
    assert_refused(bundle, NULL, "no revocation list in");
    assert_refused("/nonexistent", NULL, "could not open");
    assert_refused(NULL, "/nonexistent", "could not read the directory");
    unlink(file);
    named = certs_write_text(in, "x.r0", "hello", 5);
    assert_refused(NULL, in, "x.r0");
    unlink(named);
    free(named);
    named = certs_write_text(in, "empty.crl", "", 0);
    assert_refused(NULL, in, "empty.crl is empty");
    free(named);
    free(file);
    free(text);
    certs_dir_free(in);
}

static void a_trust_with_other_lists_has_another_digest_and_checks_them(void **state)
{
    char *file = certs_write_crl(dir, "a.crl", &(struct crl_spec){ .next_update = 0 }, &ca);
    struct trust *plain = trust_load(bundle, NULL), *again = trust_load(bundle, NULL);
    struct trust *with =
        trust_load_files(&(struct trust_files){ .file = bundle, .crl_file = file }, NULL);
    X509_STORE *store = trust_new_store(with, NULL);

    assert_true(bytes_equal(trust_digest(plain), trust_digest(again)));
    assert_false(bytes_equal(trust_digest(plain), trust_digest(with)));
    assert_int_equal(trust_crl_count(plain), 0);
    assert_int_equal(trust_crl_count(with), 1);
    assert_string_equal(trust_crl_facts(with, 0)->issuer, "CN=ca");
    assert_int_equal(X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store)) &
                         (X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL),
                     X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    X509_STORE_free(store);
    trust_release(plain);
    trust_release(again);
    trust_release(with);
    free(file);
}

static void loading_fails_cleanly_when_memory_runs_out(void **state)
{
    char    *in = certs_dir_new();
    char    *file = certs_write_crl(in, "a.crl", &(struct crl_spec){ .next_update = 0 }, &ca);
    unsigned n;

    for (n = 1; n < 100; n++) {
        struct failure   why = { 0 };
        struct crl_list *list;

        alloc_fail_at(n);
        list = crl_list_load(file, in, &why);
        if (!alloc_has_failed()) {
            assert_non_null(list);
            crl_list_free(list);
            break;
        }
        assert_null(list);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    assert_true(n > 6 && n < 100);
    free(file);
    certs_dir_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_its_lists_and_their_facts),
        cmocka_unit_test(a_directory_gives_each_list_once_and_skips_what_is_none),
        cmocka_unit_test(what_should_be_a_list_and_is_none_is_refused),
        cmocka_unit_test(a_trust_with_other_lists_has_another_digest_and_checks_them),
        cmocka_unit_test(loading_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}

/* SPDX-License-Identifier: PostgreSQL */
#include "x509/chain.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"
#include "x509/trust.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static struct cert   root, issuing, leaf, stranger, alone;
static char         *dir;
static struct trust *trusted;

static struct trust *trust_of(const struct cert *ca)
{
    char         *path = certs_write_chain(dir, "ca.crt", (const struct cert *[]){ ca, NULL });
    struct trust *trust = trust_load(path, NULL);

    free(path);
    return trust;
}

static int make_all(void **state)
{
    dir = certs_dir_new();
    root = cert_make(&(struct cert_spec){ .common_name = "root", .is_ca = true }, NULL);
    issuing = cert_make(&(struct cert_spec){ .common_name = "issuing", .is_ca = true }, &root);
    leaf = cert_make(&(struct cert_spec){ .common_name = "leaf", .names = "DNS:db.example" },
                     &issuing);
    stranger = cert_make(&(struct cert_spec){ .common_name = "stranger", .is_ca = true }, NULL);
    alone = cert_make(&(struct cert_spec){ .common_name = "alone" }, NULL);
    trusted = trust_of(&root);
    return 0;
}

static int free_all(void **state)
{
    trust_release(trusted);
    certs_dir_free(dir);
    cert_free(&root);
    cert_free(&issuing);
    cert_free(&leaf);
    cert_free(&stranger);
    cert_free(&alone);
    return 0;
}

/* As a server would send them; ended by NULL. */
static struct chain *chain_of(const struct cert *const *sent)
{
    struct stack_st_X509 *stack = sk_X509_new_null();
    struct chain         *chain;

    for (; *sent != NULL; sent++)
        sk_X509_push(stack, (*sent)->x509);
    chain = chain_new(stack, NULL);
    sk_X509_free(stack);
    return chain;
}

#define CHAIN(...) chain_of((const struct cert *[]){ __VA_ARGS__, NULL })

static enum chain_fault judge(struct chain *chain, const struct trust *trust, int64_t wall_s)
{
    struct failure     why = { 0 };
    int                at = -2;
    struct chain_judge by = { trust, wall_s, 2 };
    enum chain_fault   fault = chain_verify(chain, &by, &at, &why);

    assert_int_equal(failed(&why), fault != CHAIN_GOOD);
    assert_int_not_equal(at, -2);
    chain_free(chain);
    return fault;
}

static void a_whole_chain_is_described_and_good(void **state)
{
    struct chain *chain = CHAIN(&leaf, &issuing);

    assert_int_equal(chain_length(chain), 2);
    assert_string_equal(chain_link(chain, 0)->key, "EC P-256");
    assert_string_equal(chain_link(chain, 0)->hash, "SHA256");
    assert_string_equal(chain_binding_hash(chain), "SHA256");
    assert_int_equal(chain_link(chain, 0)->issuer, 1);
    assert_int_equal(chain_link(chain, 1)->issuer, -1);
    assert_false(chain_link(chain, 0)->is_ca);
    assert_true(chain_link(chain, 1)->is_ca);
    assert_true(chain_is_in_order(chain));
    assert_int_equal(judge(chain, trusted, CERTS_NOW), CHAIN_GOOD);
}

static void what_cannot_be_found_is_told_apart(void **state)
{
    assert_int_equal(judge(CHAIN(&leaf), trusted, CERTS_NOW), CHAIN_LEAF_ONLY);
    assert_int_equal(judge(CHAIN(&leaf, &root), trusted, CERTS_NOW), CHAIN_MISSING_LINK);
    assert_int_equal(judge(CHAIN(&leaf, &stranger), trusted, CERTS_NOW), CHAIN_MISSING_LINK);
    assert_int_equal(judge(CHAIN(&alone), trusted, CERTS_NOW), CHAIN_SELF_SIGNED);
}

static void a_chain_to_somebody_else_is_an_unknown_ca(void **state)
{
    struct trust *other = trust_of(&stranger);

    assert_int_equal(judge(CHAIN(&leaf, &issuing), other, CERTS_NOW), CHAIN_UNKNOWN_CA);
    assert_int_equal(judge(CHAIN(&leaf, &issuing, &root), other, CERTS_NOW), CHAIN_UNKNOWN_CA);
    trust_release(other);
}

static void a_ca_that_was_made_anew_has_the_name_and_another_key(void **state)
{
    struct cert anew =
        cert_make(&(struct cert_spec){ .common_name = "root", .is_ca = true }, NULL);
    struct trust *other = trust_of(&anew);

    assert_int_equal(judge(CHAIN(&leaf, &issuing), other, CERTS_NOW), CHAIN_BAD_SIGNATURE);
    trust_release(other);
    cert_free(&anew);
}

static void dates_are_judged_by_the_time_that_is_told(void **state)
{
    int64_t year_s = INT64_C(366) * 86400;

    assert_int_equal(judge(CHAIN(&leaf, &issuing), trusted, CERTS_NOW + year_s), CHAIN_EXPIRED);
    assert_int_equal(judge(CHAIN(&leaf, &issuing), trusted, CERTS_NOW - year_s),
                     CHAIN_NOT_YET_VALID);
}

static void a_wrong_order_is_seen_and_does_no_harm(void **state)
{
    struct chain *chain = CHAIN(&leaf, &root, &issuing);

    assert_false(chain_is_in_order(chain));
    assert_int_equal(chain_link(chain, 0)->issuer, 2);
    assert_int_equal(chain_link(chain, 2)->issuer, 1);
    assert_int_equal(chain_link(chain, 1)->issuer, 1);
    assert_int_equal(judge(chain, trusted, CERTS_NOW), CHAIN_GOOD);
}

static void a_weak_key_is_seen_and_refused(void **state)
{
    struct cert weak =
        cert_make(&(struct cert_spec){ .common_name = "w", .is_weak = true }, &root);
    struct chain *chain = CHAIN(&weak);

    assert_true(chain_link(chain, 0)->has_weak_key);
    assert_string_equal(chain_link(chain, 0)->key, "RSA 1024");
    assert_int_equal(judge(chain, trusted, CERTS_NOW), CHAIN_WEAK);
    cert_free(&weak);
}

static void a_certificate_for_clients_has_the_wrong_purpose(void **state)
{
    struct cert client =
        cert_make(&(struct cert_spec){ .common_name = "c", .usage = "clientAuth" }, &root);

    assert_int_equal(judge(CHAIN(&client), trusted, CERTS_NOW), CHAIN_WRONG_PURPOSE);
    cert_free(&client);
}

static void names_are_those_of_the_leaf(void **state)
{
    struct chain  *chain = CHAIN(&leaf, &issuing);
    struct failure why = { 0 };

    assert_int_equal(chain_match_name(chain, "db.example", &why), FAIL_NONE);
    assert_int_equal(chain_match_name(chain, "issuing", &why), FAIL_CERT);
    assert_false(chain_has_broken_names(chain));
    chain_free(chain);
}

static void a_nul_in_a_name_is_seen(void **state)
{
    struct cert   odd = cert_make(&(struct cert_spec){ .common_name = "odd" }, &root);
    struct chain *chain;

    cert_set_raw_names(&odd,
                       "\x30\x06\x82\x04"
                       "a\0bc",
                       8, &root);
    chain = CHAIN(&odd);
    assert_true(chain_has_broken_names(chain));
    chain_free(chain);
    cert_free(&odd);
}

static void no_memory_is_no_chain(void **state)
{
    struct stack_st_X509 *stack = sk_X509_new_null();

    sk_X509_push(stack, leaf.x509);
    for (unsigned n = 1; n < 100; n++) {
        struct failure why = { 0 };
        struct chain  *chain;

        alloc_fail_at(n);
        chain = chain_new(stack, &why);
        if (!alloc_has_failed()) {
            assert_non_null(chain);
            assert_true(n > 1);
            chain_free(chain);
            break;
        }
        assert_null(chain);
        assert_int_equal(why.kind, FAIL_MEMORY);
    }
    sk_X509_free(stack);
    chain_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_chain_is_described_and_good),
        cmocka_unit_test(what_cannot_be_found_is_told_apart),
        cmocka_unit_test(a_chain_to_somebody_else_is_an_unknown_ca),
        cmocka_unit_test(a_ca_that_was_made_anew_has_the_name_and_another_key),
        cmocka_unit_test(dates_are_judged_by_the_time_that_is_told),
        cmocka_unit_test(a_wrong_order_is_seen_and_does_no_harm),
        cmocka_unit_test(a_weak_key_is_seen_and_refused),
        cmocka_unit_test(a_certificate_for_clients_has_the_wrong_purpose),
        cmocka_unit_test(names_are_those_of_the_leaf),
        cmocka_unit_test(a_nul_in_a_name_is_seen),
        cmocka_unit_test(no_memory_is_no_chain),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}

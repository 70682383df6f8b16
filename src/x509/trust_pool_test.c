/* SPDX-License-Identifier: PostgreSQL */
#include "x509/trust_pool.h"

#include "harness/alloc.h"
#include "harness/certs.h"
#include "harness/check.h"

#include <openssl/x509_vfy.h>
#include <stdlib.h>

static struct cert one;
static char       *dir, *bundle, *other;

static int make_files(void **state)
{
    one = cert_make(&(struct cert_spec){ .common_name = "one", .is_ca = true }, NULL);
    dir = certs_dir_new();
    bundle = certs_write_chain(dir, "ca.crt", (const struct cert *[]){ &one, NULL });
    other = certs_write_chain(dir, "other.crt", (const struct cert *[]){ &one, NULL });
    return 0;
}

static int remove_files(void **state)
{
    certs_dir_free(dir);
    free(bundle);
    free(other);
    cert_free(&one);
    return 0;
}

static struct trust *load(struct trust_pool *pool, const char *file)
{
    return trust_pool_load(pool, &(struct trust_files){ .file = file }, NULL);
}

static void the_same_files_are_loaded_once(void **state)
{
    struct trust_pool *pool = trust_pool_new();
    struct trust      *first = load(pool, bundle), *again, *another;
    char              *same = strdup(bundle);

    assert_non_null(first);
    again = load(pool, same);
    assert_ptr_equal(again, first);
    another = load(pool, other);
    assert_non_null(another);
    assert_ptr_not_equal(another, first);
    trust_pool_free(pool);
    assert_int_equal(trust_count(first), 1); /* it outlives the pool */
    trust_release(first);
    trust_release(again);
    trust_release(another);
    free(same);
}

static void with_other_lists_it_is_another_trust(void **state)
{
    struct trust_pool *pool = trust_pool_new();
    struct trust      *plain = load(pool, bundle);
    struct failure     why = { 0 };

    assert_null(trust_pool_load(
        pool, &(struct trust_files){ .file = bundle, .crl_file = "/nonexistent/ca.crl" },
        &why));
    assert_non_null(strstr(why.text, "/nonexistent/ca.crl"));
    assert_null(load(pool, "/nonexistent/ca.crt"));
    trust_release(plain);
    trust_pool_free(pool);
}

static void a_store_is_made_once_for_each_trust(void **state)
{
    struct trust_pool    *pool = trust_pool_new();
    struct trust         *mine = load(NULL, bundle), *loaded = load(pool, bundle);
    struct x509_store_st *first = trust_pool_store(pool, mine, NULL),
                         *again = trust_pool_store(pool, mine, NULL),
                         *of_loaded = trust_pool_store(pool, loaded, NULL),
                         *alone = trust_pool_store(NULL, mine, NULL);

    assert_ptr_not_equal(mine, loaded);
    assert_non_null(first);
    assert_ptr_equal(again, first);
    assert_ptr_not_equal(of_loaded, first);
    assert_ptr_not_equal(alone, first);
    trust_pool_free(pool);
    assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(first)), 1);
    X509_STORE_free(first);
    X509_STORE_free(again);
    X509_STORE_free(of_loaded);
    X509_STORE_free(alone);
    trust_release(mine);
    trust_release(loaded);
    trust_pool_free(NULL);
}

/* True where memory sufficed. */
static bool fill(struct trust_pool *pool, struct trust *mine, struct failure *why)
{
    struct trust         *loaded = trust_pool_load(pool, &(struct trust_files){ bundle }, why);
    struct x509_store_st *store = trust_pool_store(pool, mine, why);
    bool                  is_full = loaded != NULL && store != NULL;

    trust_release(loaded);
    X509_STORE_free(store);
    return is_full;
}

static void it_fails_cleanly_when_memory_runs_out(void **state)
{
    struct trust *mine = load(NULL, bundle);
    unsigned      n;

    for (n = 1; n < 100; n++) {
        struct failure     why = { 0 };
        struct trust_pool *pool;
        bool               sufficed;

        alloc_fail_at(n);
        pool = trust_pool_new();
        sufficed = pool != NULL && fill(pool, mine, &why);
        trust_pool_free(pool);
        if (!alloc_has_failed()) {
            assert_true(sufficed);
            break;
        }
        assert_false(sufficed);
        assert_true(n == 1 || why.kind == FAIL_MEMORY);
    }
    assert_true(n > 5 && n < 100);
    trust_release(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_files_are_loaded_once),
        cmocka_unit_test(with_other_lists_it_is_another_trust),
        cmocka_unit_test(a_store_is_made_once_for_each_trust),
        cmocka_unit_test(it_fails_cleanly_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}

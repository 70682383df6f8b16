/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/verifier_cache.h"

#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>

static struct scram_verifier numbered(uint32_t n)
{
    return (struct scram_verifier){ .stretch = { .iterations = n } };
}

static uint32_t find(const struct verifier_cache *cache, const char *user, uint64_t now)
{
    const struct scram_verifier *verifier;

    if (!verifier_cache_find(cache, user, now, &verifier))
        return 0;
    return verifier != NULL ? verifier->stretch.iterations : UINT32_MAX;
}

static void what_was_found_is_good_for_its_lifetime(void **state)
{
    struct verifier_cache *cache = verifier_cache_new(10, 100);
    struct scram_verifier  one = numbered(1), two = numbered(2);

    assert_int_equal(find(cache, "ann", 0), 0);
    verifier_cache_put(cache, "ann", 1000, &one);
    verifier_cache_put(cache, "bob", 1000, NULL);
    assert_int_equal(find(cache, "ann", 1099), 1);
    assert_int_equal(find(cache, "bob", 1099), UINT32_MAX);
    assert_int_equal(find(cache, "ann", 1100), 0);
    verifier_cache_put(cache, "ann", 1100, &two);
    assert_int_equal(find(cache, "ann", 1150), 2);
    verifier_cache_forget(cache, "ann");
    verifier_cache_forget(cache, "nobody");
    assert_int_equal(find(cache, "ann", 1150), 0);
    verifier_cache_free(cache);
    verifier_cache_free(NULL);
}

static void beyond_its_limit_the_oldest_gives_way(void **state)
{
    enum { MOST = 3000 };
    struct verifier_cache *cache = verifier_cache_new(MOST, UINT64_MAX);
    char                   user[16];

    for (uint32_t i = 1; i <= 2 * MOST; i++) {
        struct scram_verifier verifier = numbered(i);

        snprintf(user, sizeof user, "user-%u", i);
        verifier_cache_put(cache, user, i, &verifier);
    }
    for (uint32_t i = 1; i <= 2 * MOST; i++) {
        snprintf(user, sizeof user, "user-%u", i);
        assert_int_equal(find(cache, user, i), i <= MOST ? 0 : i);
    }
    verifier_cache_free(cache);
}

static void without_memory_nothing_is_remembered(void **state)
{
    struct verifier_cache *cache = verifier_cache_new(1, 100);

    alloc_fail_at(1);
    assert_null(verifier_cache_new(1, 1));
    assert_true(alloc_has_failed());
    alloc_fail_at(1);
    verifier_cache_put(cache, "ann", 1, NULL);
    assert_true(alloc_has_failed());
    assert_int_equal(find(cache, "ann", 1), 0);
    verifier_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_is_good_for_its_lifetime),
        cmocka_unit_test(beyond_its_limit_the_oldest_gives_way),
        cmocka_unit_test(without_memory_nothing_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

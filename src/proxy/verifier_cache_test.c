/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/verifier_cache.h"

#include "harness/alloc.h"
#include "harness/check.h"

#include <stdio.h>

static struct scram_verifier numbered(uint32_t n)
{
    return (struct scram_verifier){ .stretch = { .iterations = n } };
}

static uint32_t find(struct verifier_cache *cache, const char *user, uint64_t now)
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

/* Only some are dropped in one call, and none of the others is given out. */
static void of_many_that_are_over_none_is_found(void **state)
{
    struct verifier_cache *cache = verifier_cache_new(1000, 100);
    char                   user[16];

    for (uint32_t i = 1; i <= 1000; i++) {
        struct scram_verifier verifier = numbered(i);

        snprintf(user, sizeof user, "user-%u", i);
        verifier_cache_put(cache, user, 1, &verifier);
    }
    assert_int_equal(find(cache, "user-1000", 100), 1000);
    assert_int_equal(find(cache, "user-1000", 101), 0);
    verifier_cache_free(cache);
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
        assert_int_equal(find(cache, user, 2 * MOST), i <= MOST ? 0 : i);
    }
    verifier_cache_free(cache);
}

static void made_up_names_push_out_nobody(void **state)
{
    enum { MOST = 100 };
    struct verifier_cache *cache = verifier_cache_new(MOST, UINT64_MAX);
    struct scram_verifier  one = numbered(1);
    char                   user[16];

    verifier_cache_put(cache, "ann", 0, &one);
    for (uint32_t i = 0; i < 2 * MOST; i++) {
        snprintf(user, sizeof user, "stranger-%u", i);
        verifier_cache_put(cache, user, 1, NULL);
    }
    assert_int_equal(find(cache, "ann", 2), 1);
    assert_int_equal(find(cache, "stranger-100", 2), 0);
    assert_int_equal(find(cache, "stranger-101", 2), UINT32_MAX);
    for (uint32_t i = 0; i < MOST - 1; i++) {
        snprintf(user, sizeof user, "user-%u", i);
        verifier_cache_put(cache, user, 2, &one);
    }
    assert_int_equal(find(cache, "stranger-199", 3), 0);
    assert_int_equal(find(cache, "ann", 3), 1);
    verifier_cache_put(cache, "stranger-199", 3, NULL);
    assert_int_equal(find(cache, "stranger-199", 3), 0);
    assert_int_equal(find(cache, "ann", 3), 1);
    verifier_cache_free(cache);
}

/* ---- what is dropped ---- */

static unsigned dropped;

/* A verifier's salt is of these bytes. */
#define SALT 0xa7

static void look_at_freed(void *memory)
{
    const uint8_t *at = memory;

    for (size_t i = 0; i < sizeof(struct scram_verifier); i++)
        assert_int_not_equal(at[i], SALT);
    dropped++;
}

static void put_salted(struct verifier_cache *cache, unsigned from, unsigned to, uint64_t now)
{
    struct scram_verifier verifier = numbered(1);
    char                  user[16];

    memset(verifier.stretch.salt, SALT, sizeof verifier.stretch.salt);
    memset(verifier.stored_key, SALT, sizeof verifier.stored_key);
    memset(verifier.server_key, SALT, sizeof verifier.server_key);
    for (unsigned i = from; i < to; i++) {
        snprintf(user, sizeof user, "user-%u", i);
        verifier_cache_put(cache, user, now, i % 2 == 0 ? &verifier : NULL);
    }
}

static void whose_time_is_over_is_wiped_and_dropped_without_being_asked_for(void **state)
{
    struct verifier_cache *cache = verifier_cache_new(1000, 100);

    put_salted(cache, 0, 10, 1000);
    put_salted(cache, 10, 20, 1050);
    dropped = 0;
    alloc_before_free = look_at_freed;
    find(cache, "somebody", 1099);
    assert_int_equal(dropped, 0);
    find(cache, "somebody", 1100);
    assert_int_equal(dropped, 10);
    verifier_cache_put(cache, "somebody", 1150, NULL);
    assert_int_equal(dropped, 20);
    verifier_cache_forget(cache, "somebody");
    assert_int_equal(dropped, 21);
    alloc_before_free = NULL;
    verifier_cache_free(cache);
}

static void a_worker_drops_only_some_at_once(void **state)
{
    enum { USERS = 1000 };
    struct verifier_cache *cache = verifier_cache_new(USERS, 100);
    unsigned               before = 0, turns = 0;

    put_salted(cache, 0, USERS, 1000);
    dropped = 0;
    alloc_before_free = look_at_freed;
    for (; dropped < USERS && turns < USERS; turns++) {
        find(cache, "user-0", 1100);
        assert_in_range(dropped - before, 1, 200);
        before = dropped;
    }
    assert_in_range(turns, 5, 20);
    assert_int_equal(dropped, USERS);
    alloc_before_free = NULL;
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
        cmocka_unit_test(of_many_that_are_over_none_is_found),
        cmocka_unit_test(beyond_its_limit_the_oldest_gives_way),
        cmocka_unit_test(made_up_names_push_out_nobody),
        cmocka_unit_test(whose_time_is_over_is_wiped_and_dropped_without_being_asked_for),
        cmocka_unit_test(a_worker_drops_only_some_at_once),
        cmocka_unit_test(without_memory_nothing_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

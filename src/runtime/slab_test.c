/* SPDX-License-Identifier: PostgreSQL */
#include "runtime/slab.h"

#include "harness/alloc.h"
#include "harness/check.h"

#define MANY 2000

struct thing {
    uint64_t number;
    char     more[300];
};

static void objects_are_apart_zeroed_and_aligned(void **state)
{
    struct slab          slab = { 0 };
    static struct thing *things[MANY];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            things[i] = slab_take(&slab, sizeof(struct thing));
            assert_non_null(things[i]);
            assert_int_equal((uintptr_t)things[i] % sizeof(uint64_t), 0);
            assert_int_equal(things[i]->number, 0);
            assert_int_equal(things[i]->more[299], 0);
            things[i]->number = i + 1;
            memset(things[i]->more, 0xff, sizeof things[i]->more);
        }
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(things[i]->number, i + 1);
        for (size_t i = 0; i < MANY; i++)
            slab_give(things[(i * 7) % MANY]);
    }
    slab_fini(&slab);
}

/* Without a sanitizer: there every object has its own memory. */
static void what_was_given_back_is_taken_first(void **state)
{
    struct slab slab = { 0 };
    void       *a = slab_take(&slab, 64);
    void       *b;

    slab_give(a);
    b = slab_take(&slab, 64);
#ifndef __SANITIZE_ADDRESS__
    assert_ptr_equal(a, b);
#endif
    slab_give(b);
    slab_give(NULL);
    slab_fini(&slab);
}

static void one_after_the_other_costs_no_allocation(void **state)
{
#ifndef __SANITIZE_ADDRESS__
    struct slab slab = { 0 };
    void       *first = slab_take(&slab, sizeof(struct thing));

    alloc_fail_at(1);
    for (int i = 0; i < MANY; i++)
        slab_give(slab_take(&slab, sizeof(struct thing)));
    assert_false(alloc_has_failed());
    alloc_fail_at(0);
    slab_give(first);
    slab_fini(&slab);
#endif
}

static void without_memory_there_is_no_object(void **state)
{
    struct slab slab = { 0 };

    alloc_fail_at(1);
    assert_null(slab_take(&slab, 100));
    assert_true(alloc_has_failed());
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_apart_zeroed_and_aligned),
        cmocka_unit_test(what_was_given_back_is_taken_first),
        cmocka_unit_test(one_after_the_other_costs_no_allocation),
        cmocka_unit_test(without_memory_there_is_no_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

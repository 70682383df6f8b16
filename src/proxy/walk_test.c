/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/walk.h"

#include "harness/check.h"

#include <stdio.h>

#define S ((uint64_t)1000000)

static const struct route_target targets[8];

static struct address at(unsigned n)
{
    struct address address;
    char           host[32];

    snprintf(host, sizeof host, "10.0.%u.%u", n / 256, n % 256);
    assert_true(address_from_numeric(&address, host, 5432));
    return address;
}

/* Takes the next step, which is to this address. */
static void expect(struct walk *walk, uint64_t now_us, enum walk_step step, unsigned n)
{
    struct address address = at(n);

    assert_int_equal(walk_next(walk, now_us), step);
    assert_true(address_equal(walk_address(walk), &address));
}

/* The next step is to look up this target, which has `count` addresses from `first` on. */
static void look_up(struct walk *walk, uint64_t now_us, size_t target, unsigned first,
                    size_t count)
{
    struct address found[RESOLVE_MOST + 4];

    assert_int_equal(walk_next(walk, now_us), WALK_LOOK_UP);
    assert_ptr_equal(walk->target, &targets[target]);
    for (size_t i = 0; i < count; i++)
        found[i] = at(first + (unsigned)i);
    walk_found(walk, found, count);
}

static void each_address_of_each_target_has_its_turn(void **state)
{
    struct backoff backoff = { 0 };
    struct walk    walk;

    walk_begin(&walk, targets, 3, &backoff, S);
    look_up(&walk, S, 0, 1, 2);
    expect(&walk, S, WALK_CONNECT, 1);
    expect(&walk, S, WALK_CONNECT, 2);
    look_up(&walk, S, 1, 3, 0); /* a name without an address */
    look_up(&walk, S, 2, 3, 1);
    expect(&walk, S, WALK_CONNECT, 3);
    assert_int_equal(walk_next(&walk, S), WALK_OVER);
    assert_int_equal(walk_next(&walk, S), WALK_OVER);
}

static void without_targets_there_is_nothing_to_do(void **state)
{
    struct walk walk;

    walk_begin(&walk, targets, 0, NULL, S);
    assert_int_equal(walk_next(&walk, S), WALK_OVER);
}

static void what_failed_lately_is_tried_in_a_second_round_and_nothing_else(void **state)
{
    struct backoff backoff = { 0 };
    struct address one = at(1), three = at(3);
    struct walk    walk;

    backoff_failed(&backoff, &one, S);
    backoff_failed(&backoff, &three, S);
    walk_begin(&walk, targets, 2, &backoff, S + 1);
    look_up(&walk, S + 1, 0, 1, 2);
    expect(&walk, S + 1, WALK_CONNECT, 2);
    look_up(&walk, S + 1, 1, 3, 1);
    look_up(&walk, S + 1, 0, 1, 2);
    /* whatever time it is */
    expect(&walk, 9 * S, WALK_CONNECT, 1);
    look_up(&walk, 9 * S, 1, 3, 1);
    expect(&walk, 9 * S, WALK_CONNECT, 3);
    assert_int_equal(walk_next(&walk, 9 * S), WALK_OVER);
}

static void without_backoff_nothing_is_left_out(void **state)
{
    struct walk walk;

    walk_begin(&walk, targets, 1, NULL, S);
    look_up(&walk, S, 0, 1, 2);
    expect(&walk, S, WALK_CONNECT, 1);
    expect(&walk, S, WALK_CONNECT, 2);
    assert_int_equal(walk_next(&walk, S), WALK_OVER);
}

/* Addresses beyond those that can be remembered are never left out. */
static void however_many_there_are_none_is_forgotten(void **state)
{
    struct backoff backoff = { 0 };
    struct walk    walk;
    size_t         tried = 0;

    for (unsigned n = 0; n < BACKOFF_MOST; n++) {
        struct address address = at(50 + n);

        backoff_failed(&backoff, &address, S);
    }
    walk_begin(&walk, targets, 6, &backoff, S + 1);
    for (int step; (step = (int)walk_next(&walk, S + 1)) != WALK_OVER;) {
        struct address found[RESOLVE_MOST + 4];
        unsigned       place = (unsigned)(walk.target - targets) * RESOLVE_MOST;

        if (step == WALK_CONNECT) {
            tried++;
            continue;
        }
        for (unsigned i = 0; i < RESOLVE_MOST + 4; i++)
            found[i] = at(place + i);
        walk_found(&walk, found, RESOLVE_MOST + 4);
    }
    assert_int_equal(tried, 6 * RESOLVE_MOST);
}

static void an_address_can_be_had_once_more_whatever_is_known_of_it(void **state)
{
    struct backoff backoff = { 0 };
    struct address one = at(1);
    struct walk    walk;

    walk_begin(&walk, targets, 1, &backoff, S);
    look_up(&walk, S, 0, 1, 2);
    expect(&walk, S, WALK_CONNECT, 1);
    backoff_failed(&backoff, &one, S);
    walk_repeat(&walk);
    expect(&walk, S + 1, WALK_CONNECT_AGAIN, 1);
    expect(&walk, S + 1, WALK_CONNECT, 2);
    walk_repeat(&walk);
    expect(&walk, S + 1, WALK_CONNECT_AGAIN, 2);
    assert_int_equal(walk_next(&walk, S + 1), WALK_OVER);
}

static void to_one_place_there_is_one_step(void **state)
{
    struct address one = at(1);
    struct walk    walk;

    walk_begin_at(&walk, &targets[3], &one);
    assert_ptr_equal(walk.target, &targets[3]);
    assert_false(walk_has_choice(&walk));
    expect(&walk, S, WALK_CONNECT, 1);
    assert_int_equal(walk_next(&walk, S), WALK_OVER);
}

static void a_choice_is_more_than_one_target_or_address(void **state)
{
    struct walk walk;

    walk_begin(&walk, targets, 2, NULL, S);
    look_up(&walk, S, 0, 1, 1);
    assert_true(walk_has_choice(&walk));
    walk_begin(&walk, targets, 1, NULL, S);
    look_up(&walk, S, 0, 1, 1);
    assert_false(walk_has_choice(&walk));
    walk_found(&walk, (struct address[]){ at(1), at(2) }, 2);
    assert_true(walk_has_choice(&walk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_of_each_target_has_its_turn),
        cmocka_unit_test(without_targets_there_is_nothing_to_do),
        cmocka_unit_test(what_failed_lately_is_tried_in_a_second_round_and_nothing_else),
        cmocka_unit_test(without_backoff_nothing_is_left_out),
        cmocka_unit_test(however_many_there_are_none_is_forgotten),
        cmocka_unit_test(an_address_can_be_had_once_more_whatever_is_known_of_it),
        cmocka_unit_test(to_one_place_there_is_one_step),
        cmocka_unit_test(a_choice_is_more_than_one_target_or_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

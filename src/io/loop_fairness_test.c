/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who has to wait for whom in a turn of the loop: a small query for no more than one
 * turn's budget of bulk and of handshakes, whatever there is of both.
 */
#include "harness/loop_rig.h"

#include <stdlib.h>

#define BUDGET ((size_t)128 * 1024)
#define SHARE  ((size_t)64 * 1024) /* of one stream in a turn, while others wait */
#define BULK   ((size_t)16 * 1024)
#define CROWD  8
#define BIG    ((size_t)1 << 20)

struct crowd {
    struct rig *rig;
    struct end  near[CROWD]; /* what the loop serves */
    struct end  far[CROWD];
};

static void crowd_open(struct crowd *crowd, struct rig *rig)
{
    *crowd = (struct crowd){ .rig = rig };
    for (size_t i = 0; i < CROWD; i++)
        rig_pair(rig, &crowd->far[i], &crowd->near[i]);
}

static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < CROWD; i++)
        rig_close(crowd->rig, &crowd->far[i], &crowd->near[i]);
}

static void send_to(struct crowd *crowd, size_t i, struct bytes data)
{
    end_send(&crowd->far[i], data);
}

/* ---- patience ---- */

static unsigned told(const struct crowd *crowd, size_t from, size_t to)
{
    unsigned sum = 0;

    for (size_t i = from; i < to; i++)
        sum += crowd->near[i].received;
    return sum;
}

static void of_patient_streams_one_is_told_in_a_turn(struct rig *rig)
{
    struct crowd crowd;
    uint8_t      hello[300] = { 0 };

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++) {
        stream_set_patient(&crowd.near[i].stream, true);
        crowd.near[i].keeps_asking = true;
        end_ask(&crowd.near[i], 0);
        send_to(&crowd, i, bytes_of(hello, sizeof hello));
    }
    for (unsigned before = 0; before < CROWD;) {
        unsigned now;

        rig_turn(rig);
        assert_false(rig->gave_up);
        now = told(&crowd, 0, CROWD);
        if (!rig->backend->is_cut) /* a piece of a few bytes is no handshake */
            assert_true(now <= before + 1);
        before = now;
    }
    for (size_t i = 0; i < CROWD; i++) {
        until(rig, crowd.near[i].got.len == sizeof hello);
        assert_buf_is(&crowd.near[i].got, bytes_of(hello, sizeof hello));
    }
    crowd_close(&crowd);
}

static void who_is_not_patient_is_told_before_all_who_are(struct rig *rig)
{
    struct crowd crowd;
    uint8_t      hello[300] = { 0 };

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++)
        send_to(&crowd, i, bytes_of(hello, sizeof hello));
    rig_pass(rig, 20000); /* all of it is there */
    for (size_t i = 0; i < CROWD; i++) {
        stream_set_patient(&crowd.near[i].stream, i < CROWD - 1);
        end_ask(&crowd.near[i], 0);
    }
    until(rig, crowd.near[CROWD - 1].received == 1);
    assert_true(told(&crowd, 0, CROWD - 1) <= 1); /* the one of the same turn */
    until(rig, told(&crowd, 0, CROWD) == CROWD);
    crowd_close(&crowd);
}

static void patience_that_has_ended_costs_nothing(struct rig *rig)
{
    struct crowd crowd;
    unsigned     turns;

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++) {
        stream_set_patient(&crowd.near[i].stream, true);
        stream_set_patient(&crowd.near[i].stream, false);
        send_to(&crowd, i, BYTES("a small query, longer than what is free"));
    }
    rig_pass(rig, 20000);
    turns = rig->turns;
    for (size_t i = 0; i < CROWD; i++)
        end_ask(&crowd.near[i], 0);
    until(rig, told(&crowd, 0, CROWD) == CROWD);
    assert_true(rig->turns - turns <= 2);
    crowd_close(&crowd);
}

static void a_patient_stream_may_be_closed_while_it_stands_in_line(struct rig *rig)
{
    struct crowd crowd;
    uint8_t      hello[300] = { 0 };

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++) {
        stream_set_patient(&crowd.near[i].stream, true);
        end_ask(&crowd.near[i], 0);
        send_to(&crowd, i, bytes_of(hello, sizeof hello));
    }
    until(rig, told(&crowd, 0, CROWD) > 0);
    for (size_t i = 0; i < CROWD; i++)
        stream_close(&crowd.near[i].stream, i % 2 == 0);
    for (size_t i = 0; i < CROWD; i++)
        until(rig, crowd.near[i].closed == 1);
    crowd_close(&crowd);
}

/* ---- bulk ---- */

static size_t bytes_told(const struct crowd *crowd)
{
    size_t sum = 0;

    for (size_t i = 0; i < CROWD; i++)
        sum += crowd->near[i].got.len;
    return sum;
}

/* Streams are known to be bulk once a receive brought a lot; from there on a turn is bounded.
 */
static void bulk_streams_share_the_budget_of_a_turn(struct rig *rig)
{
    struct crowd crowd;
    uint8_t     *data = calloc(1, BIG);
    size_t       before;

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++) {
        crowd.near[i].keeps_asking = true;
        end_ask(&crowd.near[i], 0);
        send_to(&crowd, i, bytes_of(data, BIG));
    }
    for (size_t i = 0; i < CROWD; i++)
        until(rig, crowd.near[i].largest >= BULK || crowd.near[i].got.len == BIG);
    do {
        before = bytes_told(&crowd);
        rig_turn(rig);
        assert_false(rig->gave_up);
        /* a short receive may be told at once, one of each stream */
        assert_true(bytes_told(&crowd) - before < BUDGET + SHARE + CROWD * BULK);
    } while (bytes_told(&crowd) < CROWD * BIG);
    for (size_t i = 0; i < CROWD; i++)
        assert_memory_equal(crowd.near[i].got.memory, data, BIG);
    crowd_close(&crowd);
    free(data);
}

/* Nobody is passed over: whoever is behind has had some by the time another has had a lot. */
static void no_bulk_stream_starves(struct rig *rig)
{
    struct crowd crowd;
    uint8_t     *data = calloc(1, BIG);

    crowd_open(&crowd, rig);
    for (size_t i = 0; i < CROWD; i++)
        send_to(&crowd, i, bytes_of(data, BIG));
    rig_pass(rig, 5000);
    for (size_t i = 0; i < CROWD; i++) {
        crowd.near[i].keeps_asking = true;
        end_ask(&crowd.near[i], 0);
    }
    until(rig, bytes_told(&crowd) >= CROWD * BIG / 2);
    for (size_t i = 0; i < CROWD; i++)
        assert_true(crowd.near[i].got.len > 0);
    until(rig, bytes_told(&crowd) == CROWD * BIG);
    crowd_close(&crowd);
    free(data);
}

static const struct rig_test tests[] = {
    RIG_TEST(of_patient_streams_one_is_told_in_a_turn),
    RIG_TEST(who_is_not_patient_is_told_before_all_who_are),
    RIG_TEST(patience_that_has_ended_costs_nothing),
    RIG_TEST(a_patient_stream_may_be_closed_while_it_stands_in_line),
    RIG_TEST(bulk_streams_share_the_budget_of_a_turn),
    RIG_TEST(no_bulk_stream_starves),
};

int main(void)
{
    return rig_run(tests, sizeof tests / sizeof tests[0], NULL);
}

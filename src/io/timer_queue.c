/* SPDX-License-Identifier: PostgreSQL */
#include "io/timer_queue.h"

#include <assert.h>

/*
 * `child` is a timer's first child, `next` its next sibling.  `prev` is the sibling before
 * it, the parent of a first child, and the root's is the root itself.
 */

static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    struct loop_timer *parent, *child;

    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    parent = b->at_us < a->at_us ? b : a;
    child = parent == a ? b : a;

    child->next = parent->child;
    child->prev = parent;
    if (parent->child != NULL)
        parent->child->prev = child;
    parent->child = child;
    return parent;
}

/* Melds siblings in pairs, then the pairs into one: what makes the cost amortise. */
static struct loop_timer *meld_siblings(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL;
    struct loop_timer *root = NULL;

    while (first != NULL) {
        struct loop_timer *a = first;
        struct loop_timer *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct loop_timer *next = pairs->next;

        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void set_root(struct timer_queue *queue, struct loop_timer *root)
{
    queue->first = root;
    if (root != NULL) {
        root->prev = root;
        root->next = NULL;
    }
}

void timer_queue_add(struct timer_queue *queue, struct loop_timer *timer)
{
    assert(timer->prev == NULL);
    timer->child = NULL;
    timer->next = NULL;
    timer->prev = timer;
    set_root(queue, meld(queue->first, timer));
}

static void unlink_from_siblings(struct loop_timer *timer)
{
    if (timer->prev->child == timer)
        timer->prev->child = timer->next;
    else
        timer->prev->next = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
}

void timer_queue_remove(struct timer_queue *queue, struct loop_timer *timer)
{
    struct loop_timer *below = meld_siblings(timer->child);

    assert(timer->prev != NULL);
    if (timer == queue->first) {
        set_root(queue, below);
    } else {
        unlink_from_siblings(timer);
        set_root(queue, meld(queue->first, below));
    }
    timer->child = NULL;
    timer->next = NULL;
    timer->prev = NULL;
}

uint64_t timer_queue_next_us(const struct timer_queue *queue)
{
    return queue->first != NULL ? queue->first->at_us : TIMER_NEVER;
}

struct loop_timer *timer_queue_expired(struct timer_queue *queue, uint64_t now_us)
{
    struct loop_timer *timer = queue->first;

    if (timer == NULL || timer->at_us > now_us)
        return NULL;
    timer_queue_remove(queue, timer);
    return timer;
}

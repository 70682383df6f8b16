/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/renewal.h"

#include <assert.h>
#include <string.h>

/* Warnings may be the same before and behind a change; NULL where memory ran out. */
static const struct conf_problem *first_error(const struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->items[i].is_warning)
            return &problems->items[i];
    return NULL;
}

static void tell_once(struct renewal *renewal, const struct conf_problems *problems)
{
    const struct conf_problem *error = first_error(problems);

    if (error != NULL && strcmp(renewal->told.text, error->text) == 0)
        return;
    renewal->tell(renewal, problems);
    if (error != NULL)
        renewal->told = *error;
}

static bool is_patient(const struct renewal *renewal)
{
    return loop_now_us(renewal->loop) - renewal->waiting_since_us < RENEWAL_PATIENCE_US;
}

static void wait(struct renewal *renewal, const struct conf_problems *problems)
{
    assert(renewal->interval_us > 0);
    if (renewal->waiting_since_us == 0)
        renewal->waiting_since_us = loop_now_us(renewal->loop);
    if (!is_patient(renewal))
        tell_once(renewal, problems);
    loop_timer_start(renewal->loop, &renewal->retry,
                     is_patient(renewal) ? RENEWAL_RETRY_US : renewal->interval_us);
}

static void try(struct renewal *renewal)
{
    struct conf_problems problems = { .file = "" };

    if (renewal->attempt(renewal, &problems))
        renewal_rest(renewal, renewal->interval_us);
    else
        wait(renewal, &problems);
    conf_problems_fini(&problems);
}

void renewal_begin(struct renewal *renewal)
{
    /* what changes after a failure was told deserves patience of its own */
    if (renewal->told.text[0] != '\0' && !is_patient(renewal))
        renewal->waiting_since_us = 0;
    try(renewal);
}

void renewal_rest(struct renewal *renewal, uint64_t interval_us)
{
    loop_timer_stop(renewal->loop, &renewal->retry);
    renewal->interval_us = interval_us;
    renewal->waiting_since_us = 0;
    renewal->told.text[0] = '\0';
}

static void on_retry(struct loop_timer *timer)
{
    try(container_of(timer, struct renewal, retry));
}

void renewal_init(struct renewal *renewal, struct loop *loop)
{
    renewal->loop = loop;
    renewal->retry.expired = on_retry;
    renewal_rest(renewal, 0);
}

void renewal_fini(struct renewal *renewal)
{
    loop_timer_stop(renewal->loop, &renewal->retry);
}
